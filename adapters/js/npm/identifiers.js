// Identifiers, in the reference's shapes. The core reads and writes them as the services' JSON.
import { identifierFromRawId, readIdentifier } from "./core.js";

export const isCommunicationUserIdentifier = (identifier) => typeof identifier.communicationUserId === "string";
export const isPhoneNumberIdentifier = (identifier) => typeof identifier.phoneNumber === "string";
export const isMicrosoftTeamsUserIdentifier = (identifier) => typeof identifier.microsoftTeamsUserId === "string";
export const isMicrosoftTeamsAppIdentifier = (identifier) => typeof identifier.teamsAppId === "string";
export const isTeamsExtensionUserIdentifier = (identifier) =>
    ["userId", "tenantId", "resourceId"].every((name) => typeof identifier[name] === "string");
export const isUnknownIdentifier = (identifier) => typeof identifier.id === "string";

/** Each kind: how it is known, and its properties in the services' JSON. */
const KINDS = {
    communicationUser: { is: isCommunicationUserIdentifier, id: ["communicationUserId", "id"], others: [] },
    phoneNumber: { is: isPhoneNumberIdentifier, id: ["phoneNumber", "value"], others: ["isAnonymous", "assertedId"] },
    microsoftTeamsUser: {
        is: isMicrosoftTeamsUserIdentifier,
        id: ["microsoftTeamsUserId", "userId"],
        others: ["isAnonymous", "cloud"],
    },
    microsoftTeamsApp: { is: isMicrosoftTeamsAppIdentifier, id: ["teamsAppId", "appId"], others: ["cloud"] },
    teamsExtensionUser: {
        is: isTeamsExtensionUserIdentifier,
        id: ["userId", "userId"],
        others: ["tenantId", "resourceId", "cloud"],
    },
};

const kindOf = (identifier) => Object.keys(KINDS).find((kind) => KINDS[kind].is(identifier)) ?? "unknown";

export const getIdentifierKind = (identifier) => ({ ...identifier, kind: kindOf(identifier) });

/** The services' JSON of an identifier, as an object. */
function written(identifier) {
    const kind = kindOf(identifier);
    if (kind === "unknown") {
        return { rawId: identifier.id };
    }
    const { id, others } = KINDS[kind];
    const model = { [id[1]]: identifier[id[0]] };
    for (const name of others) {
        model[name] = identifier[name];
    }
    // Null: it follows from the parts.
    return { rawId: identifier.rawId ?? null, [kind]: model };
}

/** JavaScript's shape of the services' JSON. */
function shaped(json, withRawId) {
    const { kind, rawId, [kind]: model } = JSON.parse(json);
    if (kind === "unknown") {
        return { kind, id: rawId };
    }
    const { id, others } = KINDS[kind];
    const shape = { kind, [id[0]]: model[id[1]] };
    for (const name of others) {
        if (model[name] !== undefined) {
            shape[name] = model[name];
        }
    }
    return withRawId && kind !== "communicationUser" ? { ...shape, rawId } : shape;
}

export function serializeCommunicationIdentifier(identifier) {
    const { kind, ...serialized } = JSON.parse(readIdentifier(JSON.stringify(written(identifier))));
    return serialized;
}

export function deserializeCommunicationIdentifier(serialized) {
    const model = Object.keys(KINDS).find((kind) => serialized[kind]);
    if (model !== undefined && model !== "communicationUser" && typeof serialized.rawId !== "string") {
        throw new Error(`Property rawId is required for identifier of type ${model}.`);
    }
    return shaped(readIdentifier(JSON.stringify(serialized)), true);
}

export const getIdentifierRawId = (identifier) => serializeCommunicationIdentifier(identifier).rawId;

export function createIdentifierFromRawId(rawId) {
    if (typeof rawId !== "string") {
        throw new TypeError("a raw id is a string");
    }
    const shape = shaped(identifierFromRawId(rawId), false);
    // A raw id of a visitor names no cloud.
    const { cloud, ...visitor } = shape;
    return shape.kind === "microsoftTeamsUser" && shape.isAnonymous ? visitor : shape;
}
