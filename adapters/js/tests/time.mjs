// Time that tests move: the clocks and timers of the host, replaced.

const real = { setTimeout, clearTimeout, now: Date.now, steady: performance.now.bind(performance) };

/** Replaces clocks and timers for one test. `steady: false`: the monotonic clock stays as it is, as some fakes leave it. */
export function fakeTime(test, { steady = true } = {}) {
    let now = 0;
    let last = 0;
    const timers = new Map();
    const start = 1_700_000_000_000;
    Date.now = () => start + now;
    if (steady) {
        performance.now = () => now;
    }
    globalThis.setTimeout = (callback, delay = 0) => {
        // As hosts do.
        const wait = delay >= 2 ** 31 ? 1 : Math.max(delay, 1);
        timers.set(++last, { at: now + wait, callback });
        return last;
    };
    globalThis.clearTimeout = (id) => timers.delete(id);
    test.after(() => {
        Date.now = real.now;
        performance.now = real.steady;
        Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout });
    });
    const next = (end) => {
        const due = [...timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at);
        return due[0];
    };
    const fire = ([id, timer]) => {
        timers.delete(id);
        now = Math.max(now, timer.at);
        timer.callback();
    };
    return {
        now: () => start + now,
        timers: () => timers.size,
        /** Moves the wall clock alone. */
        set: (ms) => {
            const ahead = ms;
            Date.now = () => start + now + ahead;
        },
        /** No promise is settled in between. */
        tick(ms) {
            const end = now + ms;
            for (let due = next(end); due !== undefined; due = next(end)) {
                fire(due);
            }
            now = end;
        },
        async advance(ms) {
            const end = now + ms;
            await settle();
            for (let due = next(end); due !== undefined; due = next(end)) {
                fire(due);
                await settle();
            }
            now = end;
        },
    };
}

/** Lets every promise that can be settled be settled. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));
