// The npm package in Node, as a user has it: `.ci/web` builds it and runs this. Time is faked, so nothing here waits.
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { test } from "node:test";
import { fakeTime, settle } from "./time.mjs";

const { AzureCommunicationTokenCredential, isRestError, parseConnectionString, RestError } = await import(process.env.NPM_PACKAGE);

const MINUTE = 60_000;

/** An unsigned token that expires at this moment, in milliseconds. */
function jwt(expires, name = "token") {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    return `${part({ alg: "none" })}.${part({ exp: Math.floor(expires / 1_000), name })}.c2ln`;
}

/** Counts the calls of a refresher that returns what `answer` does. */
function counted(answer) {
    const refresher = async (signal) => {
        refresher.calls += 1;
        refresher.signals.push(signal);
        return answer(refresher.calls, signal);
    };
    return Object.assign(refresher, { calls: 0, signals: [] });
}

const never = () => new Promise(() => {});

test("a fixed token is returned unchanged, even once expired", async (t) => {
    const time = fakeTime(t);
    for (const token of [jwt(time.now() + MINUTE), jwt(time.now() - MINUTE), "opaque"]) {
        const credential = new AzureCommunicationTokenCredential(token);
        assert.equal((await credential.getToken()).token, token);
        credential.dispose();
        await assert.rejects(credential.getToken(), /disposed/);
    }
    const whole = { token: "opaque", expiresOnTimestamp: time.now() + 5 };
    assert.deepEqual(await new AzureCommunicationTokenCredential(whole).getToken(), whole);
    assert.throws(() => new AzureCommunicationTokenCredential(""));
    assert.throws(() => new AzureCommunicationTokenCredential({}), TypeError);
});

test("ten callers share one refresh, and a valid token costs none", async (t) => {
    const time = fakeTime(t);
    const tokenRefresher = counted(() => jwt(time.now() + 20 * MINUTE));
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher });
    const tokens = await Promise.all(Array.from({ length: 10 }, () => credential.getToken()));
    assert.equal(new Set(tokens.map(({ token }) => token)).size, 1);
    await time.advance(19 * MINUTE);
    await credential.getToken();
    assert.equal(tokenRefresher.calls, 1, "on demand means: once it has expired");
    await time.advance(5 * MINUTE);
    assert.notEqual((await credential.getToken()).token, tokens[0].token);
    assert.equal(tokenRefresher.calls, 2);
    credential.dispose();
});

for (const steady of [true, false]) {
    test(`a token is renewed ten minutes before its expiry; a monotonic clock that stands still: ${!steady}`, async (t) => {
        const time = fakeTime(t, { steady });
        const tokenRefresher = counted(() => jwt(time.now() + 60 * MINUTE));
        const options = { tokenRefresher, token: jwt(time.now() + 60 * MINUTE), refreshProactively: true };
        const credential = new AzureCommunicationTokenCredential(options);
        await time.advance(50 * MINUTE - 2_000);
        assert.equal(tokenRefresher.calls, 0);
        await time.advance(4_000);
        assert.equal(tokenRefresher.calls, 1);
        credential.dispose();
        assert.equal(time.timers(), 0, "dispose stops the timer");
    });
}

test("a refresher that returns the same token is asked at half of what is left", async (t) => {
    const time = fakeTime(t);
    const token = jwt(time.now() + 20 * MINUTE);
    const tokenRefresher = counted(() => token);
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher, token, refreshProactively: true });
    await time.advance(10 * MINUTE + 100);
    assert.equal(tokenRefresher.calls, 1);
    await time.advance(10 * MINUTE - 1_100);
    assert.equal(tokenRefresher.calls, 10);
    credential.dispose();
});

/** Fails when a timer that fires in one run with others is told of the timeout before the answer. */
test("timers that fire without a pause do not make an answer late", async (t) => {
    const time = fakeTime(t);
    const tokenRefresher = counted(() => jwt(time.now() + 60 * MINUTE));
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher, refreshProactively: true });
    time.tick(19 * MINUTE);
    await settle();
    assert.equal((await credential.getToken()).expiresOnTimestamp > time.now(), true);
    assert.equal(tokenRefresher.calls, 1);
    credential.dispose();
});

test("a token for thirty days is no storm", async (t) => {
    const time = fakeTime(t);
    const tokenRefresher = counted(() => ({ token: "opaque", expiresOnTimestamp: time.now() + 30 * 1_440 * MINUTE }));
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher, refreshProactively: true });
    await time.advance(1_440 * MINUTE);
    assert.equal(tokenRefresher.calls, 1);
    credential.dispose();
});

test("the refresher's own error reaches the caller, and the valid token survives it", async (t) => {
    const time = fakeTime(t);
    const error = new RangeError("the issuer is down");
    const tokenRefresher = counted(() => Promise.reject(error));
    const token = jwt(time.now() + 20 * MINUTE);
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher, token, refreshProactively: true });
    await time.advance(19 * MINUTE);
    assert.ok(tokenRefresher.calls > 1, "it is tried again");
    assert.equal((await credential.getToken()).token, token);
    await time.advance(2 * MINUTE);
    await assert.rejects(credential.getToken(), (thrown) => thrown === error);
    credential.dispose();
});

test("a refresher that throws, or returns no token, fails its callers", async (t) => {
    fakeTime(t);
    for (const tokenRefresher of [() => undefined, async () => ({}), () => { throw new Error("no token: at once"); }]) {
        const credential = new AzureCommunicationTokenCredential({ tokenRefresher });
        await assert.rejects(credential.getToken(), /token/);
        credential.dispose();
    }
});

test("an expired answer is an error that says so", async (t) => {
    const time = fakeTime(t);
    const tokenRefresher = counted(() => jwt(time.now() - MINUTE));
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher });
    await assert.rejects(credential.getToken(), /expired/);
    assert.equal(tokenRefresher.calls, 1);
    credential.dispose();
});

/** Fails when the signal of the first caller ends the refresh of the others. */
test("an abort ends one call only", async (t) => {
    const time = fakeTime(t);
    let open;
    const answer = new Promise((resolve) => (open = resolve));
    const tokenRefresher = counted(async (call, signal) => {
        await Promise.race([answer, new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)))]);
        return jwt(time.now() + 20 * MINUTE);
    });
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher });
    const [first, second] = [new AbortController(), new AbortController()];
    const calls = [credential.getToken({ abortSignal: first.signal }), credential.getToken({ abortSignal: second.signal }), credential.getToken()];
    assert.equal(tokenRefresher.signals[0], first.signal, "the refresher gets the very signal");
    first.abort();
    second.abort();
    for (const call of calls.slice(0, 2)) {
        await assert.rejects(call, { name: "AbortError" });
    }
    open();
    assert.ok((await calls[2]).token);
    assert.equal(tokenRefresher.calls, 2, "the refresh that the signal ended is made again");
    assert.ok((await credential.getToken({ abortSignal: first.signal })).token, "a valid token needs no waiting");
    credential.dispose();
});

test("dispose answers at once, and aborts the refresh", async (t) => {
    const time = fakeTime(t);
    const tokenRefresher = counted(never);
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher });
    const waiting = credential.getToken();
    credential.dispose();
    credential.dispose();
    await assert.rejects(waiting, /disposed/);
    await assert.rejects(credential.getToken(), /disposed/);
    assert.equal(tokenRefresher.signals[0].aborted, true);
    assert.equal(time.timers(), 0);
});

test("a refresher that hangs is given up after a minute", async (t) => {
    const time = fakeTime(t);
    const tokenRefresher = counted(never);
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher });
    const waiting = assert.rejects(credential.getToken(), /no valid token/);
    await time.advance(MINUTE + 1_000);
    await waiting;
    assert.equal(tokenRefresher.signals[0].aborted, true);
    credential.dispose();
});

test("an unreadable token counts as good for as long as the option says", async (t) => {
    const time = fakeTime(t);
    const options = { tokenRefresher: async () => "opaque", undecodableTokenExpiryIntervalInSeconds: 1_800 };
    const credential = new AzureCommunicationTokenCredential(options);
    assert.equal((await credential.getToken()).expiresOnTimestamp, time.now() + 30 * MINUTE);
    credential.dispose();
    for (const lifetime of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        const refused = { tokenRefresher: never, undecodableTokenExpiryIntervalInSeconds: lifetime };
        assert.throws(() => new AzureCommunicationTokenCredential(refused), RangeError);
    }
});

test("a clock that is set back or forward never makes an expired token valid", async (t) => {
    const time = fakeTime(t);
    const tokenRefresher = counted(() => jwt(Date.now() + 20 * MINUTE));
    const credential = new AzureCommunicationTokenCredential({ tokenRefresher });
    const { token } = await credential.getToken();
    time.set(60 * MINUTE);
    assert.notEqual((await credential.getToken()).token, token);
    assert.equal(tokenRefresher.calls, 2);
    credential.dispose();
});

/** The service, and a source of Entra tokens, in place of `fetch`. */
function entra(t, answers) {
    const requests = [];
    const real = globalThis.fetch;
    globalThis.fetch = async (url, init) => {
        requests.push({ url, ...init });
        const { status = 200, headers = {}, body } = answers.length > 1 ? answers.shift() : answers[0];
        return new Response(JSON.stringify(body), { status, headers });
    };
    t.after(() => (globalThis.fetch = real));
    const source = { token: "entra-1", asked: [] };
    const tokenCredential = {
        getToken: async (...asked) => {
            source.asked.push(asked);
            return source.token === null ? null : { token: source.token, expiresOnTimestamp: 0 };
        },
    };
    const options = { resourceEndpoint: "https://contoso.communication.azure.com", tokenCredential };
    return { requests, source, options };
}

const good = (time, token = "acs") => ({
    body: { identity: { id: "8:acs:1" }, accessToken: { token, expiresOn: new Date(time.now() + 60 * MINUTE).toISOString() } },
});

test("an Entra token is exchanged, once as long as it is the same", async (t) => {
    const time = fakeTime(t);
    const { requests, source, options } = entra(t, [good(time)]);
    const scopes = ["https://auth.msft.communication.azure.com/TeamsExtension.ManageCalls"];
    const credential = new AzureCommunicationTokenCredential({ ...options, scopes });
    assert.deepEqual(await credential.getToken(), { token: "acs", expiresOnTimestamp: time.now() + 60 * MINUTE });
    await credential.getToken();
    assert.equal(requests.length, 1);
    const [{ url, method, headers, body, redirect, credentials }] = requests;
    assert.equal(url, "https://contoso.communication.azure.com/access/teamsExtension/:exchangeAccessToken?api-version=2025-06-30");
    assert.deepEqual([method, body, redirect, credentials], ["POST", "{}", "manual", "omit"]);
    assert.equal(new Headers(headers).get("authorization"), "Bearer entra-1");
    assert.deepEqual(source.asked[0], [scopes]);
    source.token = "entra-2";
    await time.advance(1_000);
    await credential.getToken();
    assert.equal(requests.length, 2);
    credential.dispose();
});

test("a busy service is asked again, a refusal is an error with its status", async (t) => {
    const time = fakeTime(t);
    const refused = { status: 403, body: { error: { code: "Forbidden", message: "no" } } };
    const busy = { status: 503, headers: { "Retry-After": "0" } };
    const { requests, options } = entra(t, [busy, good(time), refused]);
    const credential = new AzureCommunicationTokenCredential(options);
    const asked = credential.getToken();
    await time.advance(5_000);
    assert.equal((await asked).token, "acs");
    credential.dispose();
    const other = new AzureCommunicationTokenCredential(options);
    await assert.rejects(other.getToken(), { statusCode: 403, code: "Forbidden", name: "RestError" });
    await assert.rejects(other.getToken(), (error) => error instanceof RestError && isRestError(error));
    assert.equal(requests.length, 3);
    other.dispose();
});

test("options of an Entra user that cannot be right are refused", async (t) => {
    const time = fakeTime(t);
    const { requests, source, options } = entra(t, [good(time)]);
    for (const scopes of [[], ["https://graph.microsoft.com/.default"]]) {
        const credential = new AzureCommunicationTokenCredential({ ...options, scopes });
        await assert.rejects(credential.getToken(), /Scopes validation failed/);
        credential.dispose();
        await assert.rejects(credential.getToken(), /disposed/);
    }
    assert.throws(() => new AzureCommunicationTokenCredential({ ...options, resourceEndpoint: "http://contoso.com" }), /https/);
    source.token = null;
    const credential = new AzureCommunicationTokenCredential(options);
    await assert.rejects(credential.getToken(), /no token/);
    assert.equal(requests.length, 0);
    credential.dispose();
});

/** Fails when an error of ours quotes a token, or when a printed credential shows one. */
test("no secret shows", async (t) => {
    const time = fakeTime(t);
    const secret = "canary0123456789canary";
    const { options, source } = entra(t, [{ status: 403, body: { error: { code: "x", message: `Bearer ${secret} is refused` } } }]);
    source.token = secret;
    const shown = [];
    const credentials = [
        new AzureCommunicationTokenCredential(secret),
        new AzureCommunicationTokenCredential({ tokenRefresher: async () => jwt(time.now() - MINUTE, secret) }),
        new AzureCommunicationTokenCredential(options),
    ];
    for (const credential of credentials) {
        const said = await credential.getToken().then(() => "", (error) => error);
        shown.push(inspect(said, { depth: 9, showHidden: true }), inspect(credential, { depth: 9, showHidden: true }));
        credential.dispose();
    }
    const parsed = parseConnectionString(`endpoint=https://contoso.communication.azure.com/;accesskey=${secret}`);
    assert.equal(parsed.credential.key, secret);
    shown.push(inspect(parsed, { depth: 9 }), JSON.stringify(parsed));
    assert.throws(() => parseConnectionString(`endpoint=;accesskey=${secret}`), (error) => shown.push(inspect(error)) > 0);
    assert.ok(shown.some((text) => text.includes("403")), "the errors were looked at");
    for (const text of shown) {
        assert.ok(!text.includes(secret), text);
    }
});
