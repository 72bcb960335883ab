// Identifiers of the npm package: each raw id, there and back.
import assert from "node:assert/strict";
import { test } from "node:test";

const {
    createIdentifierFromRawId,
    deserializeCommunicationIdentifier,
    getIdentifierKind,
    getIdentifierRawId,
    serializeCommunicationIdentifier,
} = await import(process.env.NPM_PACKAGE);

/** Raw id, shape, services' JSON without the raw id. */
const IDENTIFIERS = [
    ["8:acs:a", { kind: "communicationUser", communicationUserId: "8:acs:a" }, { communicationUser: { id: "8:acs:a" } }],
    [
        "8:dod-acs:r_t_u",
        { kind: "teamsExtensionUser", userId: "u", tenantId: "t", resourceId: "r", cloud: "dod" },
        { teamsExtensionUser: { userId: "u", tenantId: "t", resourceId: "r", cloud: "dod" } },
    ],
    [
        "8:gcch:x",
        { kind: "microsoftTeamsUser", microsoftTeamsUserId: "x", isAnonymous: false, cloud: "gcch" },
        { microsoftTeamsUser: { userId: "x", isAnonymous: false, cloud: "gcch" } },
    ],
    [
        "8:teamsvisitor:x",
        { kind: "microsoftTeamsUser", microsoftTeamsUserId: "x", isAnonymous: true },
        { microsoftTeamsUser: { userId: "x", isAnonymous: true, cloud: "public" } },
    ],
    [
        "4:+1_as",
        { kind: "phoneNumber", phoneNumber: "+1_as", isAnonymous: false, assertedId: "as" },
        { phoneNumber: { value: "+1_as", isAnonymous: false, assertedId: "as" } },
    ],
    [
        "4:anonymous",
        { kind: "phoneNumber", phoneNumber: "anonymous", isAnonymous: true },
        { phoneNumber: { value: "anonymous", isAnonymous: true } },
    ],
    [
        "28:orgid:x",
        { kind: "microsoftTeamsApp", teamsAppId: "x", cloud: "public" },
        { microsoftTeamsApp: { appId: "x", cloud: "public" } },
    ],
    ["28:ag08-global:x", { kind: "unknown", id: "28:ag08-global:x" }, {}],
    ["", { kind: "unknown", id: "" }, {}],
];

test("each raw id has its shape, and comes back", () => {
    for (const [rawId, shape, json] of IDENTIFIERS) {
        assert.deepEqual(createIdentifierFromRawId(rawId), shape);
        assert.equal(getIdentifierRawId(shape), rawId);
        assert.deepEqual(serializeCommunicationIdentifier(shape), { rawId, ...json });
        const { cloud = "public", ...rest } = shape;
        const whole = ["communicationUser", "unknown"].includes(shape.kind) ? shape : { ...shape, rawId };
        const back = deserializeCommunicationIdentifier({ rawId, ...json });
        assert.deepEqual(back, rest.microsoftTeamsUserId ? { ...whole, cloud } : whole);
    }
});

test("what is left out is the default, and an explicit raw id wins", () => {
    assert.deepEqual(getIdentifierKind({ phoneNumber: "+1" }), { kind: "phoneNumber", phoneNumber: "+1" });
    assert.equal(getIdentifierRawId({ microsoftTeamsUserId: "u" }), "8:orgid:u");
    assert.equal(getIdentifierRawId({ microsoftTeamsUserId: "u", isAnonymous: true }), "8:teamsvisitor:u");
    assert.equal(getIdentifierRawId({ phoneNumber: "+1", rawId: "4:other" }), "4:other");
});

test("what is no identifier is refused", () => {
    assert.throws(() => createIdentifierFromRawId(null), TypeError);
    assert.throws(() => deserializeCommunicationIdentifier({ rawId: "x", phoneNumber: {} }), /value/);
    assert.throws(() => deserializeCommunicationIdentifier({ microsoftTeamsUser: { userId: "u" } }), /rawId/);
    const two = { rawId: "x", phoneNumber: { value: "1" }, communicationUser: { id: "2" } };
    assert.throws(() => deserializeCommunicationIdentifier(two), /only one/i);
});
