// The credential. It is the host of the core's machines: it hands in what happens with the time, does what they say, and keeps
// one timer. Clocks and timers are looked up at each call, so a test that fakes them fakes these.
import { RestError } from "./clients.js";
import { Core, maxBody } from "./core.js";
import { fetchOnce } from "./http.js";
import { watch } from "./page.js";

/** The clocks may be set while a timer runs, so it looks at them this often. In milliseconds. */
const SLICE = 60_000;

/** In seconds. */
const OPAQUE_LIFETIME = 600;

/** Keeps a user's access token fresh. See `index.d.ts`. */
export class AzureCommunicationTokenCredential {
    #host;

    constructor(tokenOrOptions) {
        this.#host = hostOf(tokenOrOptions);
    }

    getToken(options) {
        return this.#host.getToken(options?.abortSignal);
    }

    dispose() {
        this.#host.dispose();
    }
}

function hostOf(from) {
    if (typeof from === "string") {
        return new Host(Core.fixed(from, undefined, OPAQUE_LIFETIME, ...now()));
    }
    if (typeof from?.tokenRefresher === "function") {
        return refreshing(from);
    }
    if (typeof from?.tokenCredential?.getToken === "function") {
        return ofEntra(from);
    }
    if (typeof from?.token === "string" && from.expiresOnTimestamp !== undefined) {
        const { token, expiresOn } = read(from);
        return new Host(Core.fixed(token, expiresOn, OPAQUE_LIFETIME, ...now()));
    }
    throw new TypeError(
        "pass a token (a string, or { token, expiresOnTimestamp }), { tokenRefresher: async () => … }, " +
            "or { resourceEndpoint, tokenCredential }",
    );
}

function refreshing(options) {
    const lifetime = options.undecodableTokenExpiryIntervalInSeconds ?? OPAQUE_LIFETIME;
    if (!Number.isFinite(lifetime) || lifetime <= 0) {
        throw new RangeError("undecodableTokenExpiryIntervalInSeconds is not a number of seconds above 0");
    }
    const { token, expiresOn } = options.token === undefined ? {} : read(options.token);
    const proactive = options.refreshProactively === true;
    const core = Core.refreshing(token, expiresOn, proactive, lifetime, random(), ...now());
    return new Host(core, { refresher: options.tokenRefresher });
}

function ofEntra(options) {
    const { resourceEndpoint, scopes, tokenCredential } = options;
    if (typeof resourceEndpoint !== "string") {
        throw new TypeError("resourceEndpoint is not a string: pass one such as https://contoso.communication.azure.com");
    }
    try {
        const core = Core.entra(resourceEndpoint, scopes === undefined ? undefined : [...scopes], random(), ...now());
        return new Host(core, { source: tokenCredential });
    } catch (error) {
        if (!error.message.startsWith("Scopes")) {
            throw error;
        }
        // Where programs expect it: in getToken.
        return new Refusing(error);
    }
}

/** What a refresher may return, as the core takes it. */
function read(answer) {
    if (typeof answer === "string") {
        return { token: answer, expiresOn: undefined };
    }
    if (typeof answer?.token === "string" && Number.isFinite(answer.expiresOnTimestamp)) {
        return { token: answer.token, expiresOn: answer.expiresOnTimestamp };
    }
    throw new TypeError("a token is a string, or { token: string, expiresOnTimestamp: number of milliseconds }");
}

function random() {
    return globalThis.crypto.getRandomValues(new Uint8Array(8));
}

/** What both clocks say. */
function now() {
    return [Date.now(), performance.now()];
}

function aborted() {
    return new DOMException("getToken was aborted by its abortSignal", "AbortError");
}

/** A credential whose options are refused when a token is asked for. */
class Refusing {
    #error;

    constructor(error) {
        this.#error = error;
    }

    async getToken() {
        throw this.#error;
    }

    dispose() {
        this.#error = new Error("User credential is disposed: make a new one");
    }
}

class Host {
    #core;
    #work;
    #waiters = new Map();
    #lastWaiter = 0;
    /** The signal of the request that is being handed in. */
    #asking;
    /** The refresh in flight. */
    #call;
    #timer;
    #forget;

    constructor(core, work = {}) {
        this.#core = core;
        this.#work = work;
        this.#forget = watch(this);
        this.#drain();
    }

    getToken(signal) {
        return new Promise((resolve, reject) => {
            const waiter = (this.#lastWaiter = (this.#lastWaiter + 1) >>> 0);
            this.#waiters.set(waiter, { resolve, reject, leave() {} });
            this.#asking = signal;
            this.#core.request(waiter, ...now());
            this.#drain();
            this.#asking = undefined;
            const waiting = this.#waiters.get(waiter);
            if (waiting !== undefined && signal) {
                const abort = () => this.#abort(waiter);
                if (signal.aborted) {
                    abort();
                } else {
                    signal.addEventListener("abort", abort);
                    waiting.leave = () => signal.removeEventListener("abort", abort);
                }
            }
        });
    }

    /** Ends one request. The refresh goes on, for the others and for the next. */
    #abort(waiter) {
        this.#core.cancel(waiter, ...now());
        this.#answer(waiter, (request) => request.reject(aborted()));
        this.#drain();
    }

    dispose() {
        this.#core.dispose(...now());
        this.#drain();
        this.#forget();
    }

    /** The timer may be late. */
    look() {
        this.#core.look(...now());
        this.#drain();
    }

    /** The network is back, or the page was hidden for long. */
    retryNow() {
        this.#core.retryNow(...now());
        this.#drain();
    }

    /** Does what the core says, then sets the timer. */
    #drain() {
        for (let said = this.#core.poll(...now()); said !== undefined; said = this.#core.poll(...now())) {
            const [what, ...details] = said;
            switch (what) {
                case "token": {
                    const [waiter, token, expiresOnTimestamp] = details;
                    this.#answer(waiter, (request) => request.resolve({ token, expiresOnTimestamp }));
                    break;
                }
                case "failed": {
                    const [waiter, error] = details;
                    this.#answer(waiter, (request) => request.reject(error));
                    break;
                }
                case "refused": {
                    const [waiter, message, statusCode, code] = details;
                    this.#answer(waiter, (request) => request.reject(new RestError(message, { statusCode, code })));
                    break;
                }
                case "call":
                    this.#refresh(details[0]);
                    break;
                case "acquire":
                    this.#acquire(...details);
                    break;
                case "send":
                    this.#send(...details);
                    break;
                case "hang up":
                    this.#hangUp();
                    break;
                default:
                    throw new Error(`the core says "${what}": the files of this package are of different versions`);
            }
        }
        this.#sleep();
    }

    #answer(waiter, give) {
        const request = this.#waiters.get(waiter);
        if (request !== undefined) {
            this.#waiters.delete(waiter);
            request.leave();
            give(request);
        }
    }

    #sleep() {
        clearTimeout(this.#timer);
        const left = this.#core.sleep(...now());
        if (left !== undefined) {
            this.#timer = setTimeout(() => this.#wake(), Math.min(Math.max(left, 1), SLICE));
        }
    }

    /** An answer that has come counts before the time does, so a call in flight gets its turn first. */
    #wake() {
        if (this.#call === undefined) {
            this.look();
        } else {
            settled().then(() => this.look());
        }
    }

    /** Starts a call, in place of any earlier one. `ended` is for this call's answers: it is handed `how` if the call is still in flight. */
    #start() {
        this.#hangUp();
        const call = { aborting: new AbortController() };
        this.#call = call;
        const ended = (how) => {
            if (this.#call === call) {
                this.#call = undefined;
                how();
                this.#drain();
            }
        };
        return { signal: call.aborting.signal, ended };
    }

    #hangUp() {
        const call = this.#call;
        this.#call = undefined;
        call?.aborting.abort();
    }

    #refresh(request, theirs = this.#asking) {
        const { signal, ended } = this.#start();
        attempt(() => this.#work.refresher(theirs ?? signal)).then(read).then(
            ({ token, expiresOn }) => ended(() => this.#core.received(request, token, expiresOn, ...now())),
            (error) =>
                ended(() => {
                    if (theirs?.aborted) {
                        // One caller has left. The refresh is for the others too, and for the next.
                        this.#refresh(request, null);
                    } else {
                        this.#core.failed(request, error, ...now());
                    }
                }),
        );
    }

    #acquire(request, scopes) {
        const { ended } = this.#start();
        attempt(() => this.#work.source.getToken(scopes)).then(
            (answer) =>
                ended(() => {
                    if (typeof answer?.token === "string") {
                        this.#core.acquired(request, answer.token, ...now());
                    } else {
                        const error = new Error("tokenCredential.getToken returned no token: is a user signed in?");
                        this.#core.notAcquired(request, error, ...now());
                    }
                }),
            (error) => ended(() => this.#core.notAcquired(request, error, ...now())),
        );
    }

    #send(request, url, headers, body) {
        const { signal, ended } = this.#start();
        fetchOnce(url, headers, body, signal, maxBody()).then(
            (answer) =>
                ended(() => this.#core.responded(request, answer.status, answer.headers, answer.body, ...now())),
            (error) => ended(() => this.#core.unreached(request, error, ...now())),
        );
    }
}

/** Gives promises that are settled the time to be heard: a chain takes a turn for each `then`. */
async function settled() {
    for (let turn = 0; turn < 32; turn++) {
        await undefined;
    }
}

/** A promise of what `call` returns, even if it throws. */
async function attempt(call) {
    return call();
}
