// Tells credentials when the page or the network came back. Timers of a hidden page are late.

/** A page that was hidden for longer is as good as a device that slept. In milliseconds. */
const LONG_HIDDEN = 30_000;

/** Weak, so that a credential that nobody holds is collected. */
const hosts = new Set();
let hiddenSince;

/** Tells `host` from now on, by its methods `look` and `retryNow`. Returns what ends that. */
export function watch(host) {
    const held = new WeakRef(host);
    hosts.add(held);
    return () => hosts.delete(held);
}

function tell(what) {
    for (const held of hosts) {
        const host = held.deref();
        if (host === undefined) {
            hosts.delete(held);
        } else {
            host[what]();
        }
    }
}

function turned() {
    if (document.hidden) {
        hiddenSince ??= [Date.now(), performance.now()];
    } else if (hiddenSince !== undefined) {
        const [wall, steady] = hiddenSince;
        hiddenSince = undefined;
        // By either clock.
        const long = Math.max(Date.now() - wall, performance.now() - steady) > LONG_HIDDEN;
        tell(long ? "retryNow" : "look");
    }
}

// Node has neither.
if (typeof document === "object") {
    document.addEventListener("visibilitychange", turned);
    turned();
}
if (typeof globalThis.addEventListener === "function") {
    globalThis.addEventListener("online", () => tell("retryNow"));
    globalThis.addEventListener("pageshow", () => tell("look"));
}
