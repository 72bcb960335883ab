// What clients of the services are made from: an endpoint with a key or a token, the policies that put it on requests, and the
// services' errors. The core signs and reads.
import { checkUrl, readConnectionString, sign } from "./core.js";

/** What tokens for the services are asked for. */
const SCOPES = ["https://communication.azure.com//.default"];

/** A key that does not show when it is printed. */
class Key {
    #key;

    constructor(key) {
        this.#key = key;
    }

    get key() {
        return this.#key;
    }
}

export const isKeyCredential = (credential) => typeof credential?.key === "string";

const isTokenCredential = (credential) => typeof credential?.getToken === "function";

export function parseConnectionString(connectionString) {
    const [endpoint, key] = readConnectionString(String(connectionString));
    return { endpoint, credential: new Key(key) };
}

export function parseClientArguments(connectionStringOrUrl, credentialOrOptions) {
    if (isKeyCredential(credentialOrOptions) || isTokenCredential(credentialOrOptions)) {
        checkUrl(String(connectionStringOrUrl), true);
        return { url: connectionStringOrUrl, credential: credentialOrOptions };
    }
    const { endpoint, credential } = parseConnectionString(connectionStringOrUrl);
    return { url: endpoint, credential };
}

export function createCommunicationAuthPolicy(credential) {
    if (isKeyCredential(credential)) {
        return createCommunicationAccessKeyCredentialPolicy(credential);
    }
    if (!isTokenCredential(credential)) {
        throw new TypeError("pass a credential with getToken, or one with a key");
    }
    return {
        name: "communicationTokenPolicy",
        async sendRequest(request, next) {
            // A token goes to no one else.
            checkUrl(request.url, false);
            const answer = await credential.getToken(SCOPES, { abortSignal: request.abortSignal });
            if (typeof answer?.token !== "string") {
                throw new Error("the credential returned no token: is a user signed in?");
            }
            request.headers.set("Authorization", `Bearer ${answer.token}`);
            return next(request);
        },
    };
}

export function createCommunicationAccessKeyCredentialPolicy(credential) {
    if (!isKeyCredential(credential)) {
        throw new TypeError("pass a credential with a key: { key: string }");
    }
    return {
        name: "communicationAccessKeyPolicy",
        async sendRequest(request, next) {
            const body = await bytes(request.body);
            // The key of the moment, since it may be rotated.
            const [target, ...headers] = sign(credential.key, request.method, request.url, body, Date.now());
            for (let at = 0; at < headers.length; at += 2) {
                request.headers.set(headers[at], headers[at + 1]);
            }
            // What was signed is what is sent.
            request.url = new URL(request.url).origin + target;
            return next(request);
        },
    };
}

/** The bytes of a body that can be read twice. */
async function bytes(body) {
    if (body === undefined || body === null) {
        return new Uint8Array();
    }
    if (typeof body === "string") {
        return new TextEncoder().encode(body);
    }
    if (body instanceof ArrayBuffer) {
        return new Uint8Array(body);
    }
    if (ArrayBuffer.isView(body)) {
        return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
    }
    if (typeof body.arrayBuffer === "function") {
        return new Uint8Array(await body.arrayBuffer());
    }
    throw new TypeError("a request with a stream as its body cannot be signed: read it into a string or bytes first");
}

/** The service refused a request. */
export class RestError extends Error {
    static REQUEST_SEND_ERROR = "REQUEST_SEND_ERROR";
    static PARSE_ERROR = "PARSE_ERROR";

    constructor(message, { code, statusCode, request, response } = {}) {
        super(message);
        this.name = "RestError";
        this.code = code;
        this.statusCode = statusCode;
        // A request has the token in its headers. So these do not show when the error is printed.
        for (const [name, value] of Object.entries({ request, response })) {
            Object.defineProperty(this, name, { value, enumerable: false });
        }
    }
}

/** Also true for an error of another copy of this class, as the reference has it. */
export const isRestError = (error) => error instanceof RestError || (error instanceof Error && error.name === "RestError");
