// What clients are made from, the policies, and the services' errors.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";

const {
    createCommunicationAccessKeyCredentialPolicy,
    createCommunicationAuthPolicy,
    isKeyCredential,
    isRestError,
    parseClientArguments,
    parseConnectionString,
    RestError,
} = await import(process.env.NPM_PACKAGE);

const URL_ = "https://contoso.communication.azure.com";
const CONNECTION = `endpoint=${URL_}/;accesskey=pw==`;

/** A request of a pipeline, as far as policies use it. */
function request(url, method = "GET", body = undefined) {
    return { url, method, body, headers: new Headers() };
}

async function send(policy, sent) {
    const answer = {};
    assert.equal(await policy.sendRequest(sent, async (passed) => (assert.equal(passed, sent), answer)), answer);
    return sent;
}

/** Fails when an export is missing that the reference has, and programs import. */
test("it has every run-time export of the reference", async () => {
    const exported = Object.keys(await import(process.env.NPM_PACKAGE)).sort();
    assert.deepEqual(exported, [
        "AzureCommunicationTokenCredential",
        "RestError",
        "createCommunicationAccessKeyCredentialPolicy",
        "createCommunicationAuthPolicy",
        "createIdentifierFromRawId",
        "deserializeCommunicationIdentifier",
        "getIdentifierKind",
        "getIdentifierRawId",
        "isCommunicationUserIdentifier",
        "isKeyCredential",
        "isMicrosoftTeamsAppIdentifier",
        "isMicrosoftTeamsUserIdentifier",
        "isPhoneNumberIdentifier",
        "isRestError",
        "isTeamsExtensionUserIdentifier",
        "isUnknownIdentifier",
        "parseClientArguments",
        "parseConnectionString",
        "serializeCommunicationIdentifier",
    ]);
});

test("a connection string is read, and its key does not show", () => {
    const { endpoint, credential } = parseConnectionString(CONNECTION);
    assert.deepEqual([endpoint, credential.key], [`${URL_}/`, "pw=="]);
    assert(!JSON.stringify(credential).includes("pw") && !inspect(credential).includes("pw"));
    assert.throws(() => parseConnectionString("secret"), (error) => /^Invalid connection string/.test(error.message) && !/secret/.test(error.message));
});

test("a key is told from a source of tokens", () => {
    for (const key of [{ key: "k" }, { key: "" }, parseConnectionString(CONNECTION).credential]) {
        assert.equal(isKeyCredential(key), true);
    }
    for (const other of [undefined, null, {}, { key: 1 }, "key", { getToken() {} }]) {
        assert.equal(isKeyCredential(other), false);
    }
});

/** Fails when the endpoint is not checked. */
test("a client's arguments are an endpoint and a credential, or a connection string", () => {
    const [key, tokens] = [{ key: "k" }, { getToken() {} }];
    assert.deepEqual(parseClientArguments(URL_, key), { url: URL_, credential: key });
    assert.equal(parseClientArguments(`${URL_}/`, tokens).credential, tokens);
    const { url, credential } = parseClientArguments(CONNECTION, { retryOptions: {} });
    assert.deepEqual([url, credential.key], [`${URL_}/`, "pw=="]);
    for (const wrong of ["http://contoso.communication.azure.com", "contoso", `${URL_}/chat?x=1`, ""]) {
        assert.throws(() => parseClientArguments(wrong, key), /Invalid endpoint url/);
    }
    assert.throws(() => parseClientArguments(URL_, {}), /Invalid connection string/);
});

/** The text that is signed, and the signature, are those of the reference's documentation and tests. */
test("a request is signed as the service wants it, with the key of the moment", async (t) => {
    const now = Date.now;
    t.after(() => (Date.now = now));
    Date.now = () => Date.UTC(2022, 3, 13, 18, 9, 12, 451);
    const credential = { key: "pw==" };
    const policy = createCommunicationAccessKeyCredentialPolicy(credential);
    const first = await send(policy, request("https://example.com/testPath?testQuery=test"));
    assert.equal(first.headers.get("x-ms-date"), "Wed, 13 Apr 2022 18:09:12 GMT");
    assert.equal(first.headers.get("x-ms-content-sha256"), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    const start = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=";
    assert.equal(first.headers.get("authorization"), `${start}DGdgwggJWnQyc6EHjR/Vbqg1ES64KpD6U2XwTDDj3tU=`);
    const plain = await send(policy, request("https://example.com/testPath"));
    assert.equal(plain.headers.get("authorization"), `${start}+6tWkg3lNKVjQHHmxkdGQcJjUgzclsWTMebnuCz1ngU=`);

    credential.key = "c2Vjb25k";
    const rotated = await send(policy, request("https://example.com/testPath"));
    assert.notEqual(rotated.headers.get("authorization"), plain.headers.get("authorization"));

    const hashes = new Set();
    for (const body of ["añ", new TextEncoder().encode("añ"), new Blob(["añ"]), new TextEncoder().encode("añ").buffer]) {
        hashes.add((await send(policy, request(URL_, "POST", body))).headers.get("x-ms-content-sha256"));
    }
    assert.equal(hashes.size, 1);
    const spaced = await send(policy, request(`${URL_}/a?b=%20c`));
    assert.equal(spaced.url, `${URL_}/a?b=+c`);
    await assert.rejects(send(policy, request(URL_, "POST", () => "a stream")), /stream/);
    assert.throws(() => createCommunicationAccessKeyCredentialPolicy({ getToken() {} }), TypeError);
});

/** Fails when the token goes out by plain http. */
test("a token is put on each request", async () => {
    const asked = [];
    const credential = { getToken: async (...args) => (asked.push(args), { token: `t${asked.length}` }) };
    const policy = createCommunicationAuthPolicy(credential);
    const abortSignal = new AbortController().signal;
    const sent = { ...request(`${URL_}/chat?x=1`), abortSignal };
    assert.equal((await send(policy, sent)).headers.get("authorization"), "Bearer t1");
    assert.equal((await send(policy, sent)).headers.get("authorization"), "Bearer t2");
    assert.deepEqual(asked[0], [["https://communication.azure.com//.default"], { abortSignal }]);
    await assert.rejects(send(policy, request("http://contoso.communication.azure.com/")), /Invalid endpoint url/);
    assert.equal(asked.length, 2);
    const signed = await send(createCommunicationAuthPolicy({ key: "pw==" }), request(URL_));
    assert.match(signed.headers.get("authorization"), /^HMAC-SHA256 /);
    await assert.rejects(send(createCommunicationAuthPolicy({ getToken: async () => null }), request(URL_)), /no token/);
    assert.throws(() => createCommunicationAuthPolicy({}), TypeError);
});

/** Fails when the request, which has the token in its headers, shows. */
test("an error of the service is known as such, and does not show the request", () => {
    const error = new RestError("no", { statusCode: 403, code: "Forbidden", request: { headers: "CANARY" } });
    assert.deepEqual([error.name, error.message, error.statusCode, error.code], ["RestError", "no", 403, "Forbidden"]);
    assert.equal(error.request.headers, "CANARY");
    assert(!inspect(error).includes("CANARY") && !JSON.stringify(error).includes("CANARY"));
    assert(isRestError(error) && error instanceof Error);
    assert(isRestError(Object.assign(new Error("another copy"), { name: "RestError" })));
    for (const other of [new Error("no"), { name: "RestError" }, undefined, "RestError"]) {
        assert.equal(isRestError(other), false);
    }
});
