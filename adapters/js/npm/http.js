// The exchange's requests, by `fetch`.

/** In milliseconds. */
const TIMEOUT = 30_000;

/** Sends one request: no cookies, no cache, no redirects. Reads no more of the body than `limit` and one chunk. */
export async function fetchOnce(url, headers, body, signal, limit) {
    const ending = new AbortController();
    const abort = () => ending.abort(signal.reason);
    signal.addEventListener("abort", abort);
    const timer = setTimeout(() => ending.abort(new Error("no response within 30 s")), TIMEOUT);
    try {
        const response = await fetch(url, {
            method: "POST",
            headers,
            body,
            redirect: "manual",
            credentials: "omit",
            cache: "no-store",
            referrerPolicy: "no-referrer",
            signal: ending.signal,
        });
        const read = await bodyOf(response, limit);
        return { status: response.status, headers: [...response.headers].flat(), body: read };
    } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        // A body that is too long is not read to its end.
        ending.abort();
    }
}

async function bodyOf(response, limit) {
    const reader = response.body?.getReader();
    const chunks = [];
    let length = 0;
    while (reader !== undefined && length <= limit) {
        const { done, value } = await reader.read();
        if (done) {
            break;
        }
        chunks.push(value);
        length += value.length;
    }
    const body = new Uint8Array(length);
    let at = 0;
    for (const chunk of chunks) {
        body.set(chunk, at);
        at += chunk.length;
    }
    return body;
}
