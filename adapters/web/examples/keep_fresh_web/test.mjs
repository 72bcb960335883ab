// Presses each button of the page in headless Chromium, by keyboard, waits, and reads the numbers.
// Usage: node test.mjs FOLDER [SCREENSHOTS]
// FOLDER is what ./build made. SCREENSHOTS: a folder for pictures of the page, in two widths, dark and light.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const [folder, shots] = process.argv.slice(2);
const TYPES = { html: "text/html", js: "text/javascript", css: "text/css", wasm: "application/wasm" };
/** What WebDriver calls these keys. */
const TAB = "\uE004";
const ENTER = "\uE007";
const WIDE = { width: 1000, height: 900, deviceScaleFactor: 1, mobile: false };
const PHONE = { width: 360, height: 740, deviceScaleFactor: 2, mobile: true };

async function serve() {
    const server = createServer(async (request, response) => {
        const name = request.url === "/" ? "index.html" : request.url.slice(1);
        try {
            const body = await readFile(join(folder, name));
            response.writeHead(200, { "Content-Type": TYPES[name.split(".").at(-1)] ?? "text/plain" }).end(body);
        } catch {
            response.writeHead(404).end();
        }
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return server;
}

/** A browser, driven by WebDriver. */
class Browser {
    #session;

    static async start() {
        const browser = new Browser();
        browser.driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "inherit"] });
        const port = await new Promise((resolve, reject) => {
            let said = "";
            browser.driver.on("error", reject);
            browser.driver.stdout.on("data", (text) => {
                said += text;
                const started = /successfully on port (\d+)/.exec(said);
                if (started) {
                    resolve(started[1]);
                }
            });
        });
        browser.#session = `http://127.0.0.1:${port}/session`;
        const capabilities = {
            "goog:chromeOptions": { args: ["--headless=new", "--no-sandbox", "--disable-gpu"] },
            "goog:loggingPrefs": { browser: "ALL" },
        };
        const { sessionId } = await browser.send("POST", "", { capabilities: { alwaysMatch: capabilities } });
        browser.#session += `/${sessionId}`;
        return browser;
    }

    async send(method, path, body) {
        const answer = await fetch(this.#session + path, { method, body: body && JSON.stringify(body) });
        const { value } = await answer.json();
        if (!answer.ok) {
            throw new Error(`${path}: ${value.message}`);
        }
        return value;
    }

    run(script, ...args) {
        return this.send("POST", "/execute/sync", { script, args });
    }

    devtools(cmd, params) {
        return this.send("POST", "/goog/cdp/execute", { cmd, params });
    }

    async type(key) {
        const actions = [{ type: "keyDown", value: key }, { type: "keyUp", value: key }];
        await this.send("POST", "/actions", { actions: [{ type: "key", id: "keyboard", actions }] });
    }

    /** Goes to a button by the tab key, and presses it. */
    async press(name) {
        for (let steps = 0; steps < 30; steps++) {
            const at = await this.run("return document.activeElement?.dataset.press ?? document.activeElement?.id");
            if (at === name) {
                await this.type(ENTER);
                return;
            }
            await this.type(TAB);
        }
        throw new Error(`the tab key does not lead to ${name}`);
    }

    async numbers() {
        const text = await this.run(`return Object.fromEntries(
            [...document.querySelectorAll("output, dd, dd > span")].filter(({ id }) => id).map(({ id, textContent }) => [id, textContent]))`);
        return Object.fromEntries(Object.entries(text).map(([name, value]) => [name, Number(value)]));
    }

    /** Waits until the numbers are so, and returns them. */
    async until(holds, what, limit = 15_000) {
        const end = Date.now() + limit;
        for (;;) {
            const numbers = await this.numbers();
            if (holds(numbers)) {
                return numbers;
            }
            assert(Date.now() < end, `not within ${limit} ms: ${what}; ${JSON.stringify(numbers)}`);
            await pause(100);
        }
    }

    async look(name, metrics, scheme) {
        await this.devtools("Emulation.setDeviceMetricsOverride", metrics);
        await this.devtools("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
        // The picture is drawn anew in the meantime.
        await pause(600);
        const seen = await this.run(`
            const { scrollWidth, clientWidth } = document.documentElement;
            const small = [...document.querySelectorAll("button")].filter((button) => button.offsetHeight < 44);
            return { over: scrollWidth - clientWidth, small: small.length, paper: getComputedStyle(document.body).backgroundColor,
                picture: document.querySelector("#picture svg").getBoundingClientRect().width, room: clientWidth,
                drawn: getComputedStyle(document.querySelector("#picture .paper")).fill }`);
        assert.equal(seen.over, 0, `${name}: it is wider than the screen`);
        assert.equal(seen.small, 0, `${name}: buttons that are hard to hit`);
        assert(seen.picture <= seen.room && seen.picture >= 320, `${name}: the picture is ${seen.picture} px wide`);
        assert.equal(seen.paper, seen.drawn, `${name}: the picture has the colours of the page`);
        if (shots) {
            const { data } = await this.devtools("Page.captureScreenshot", { captureBeyondViewport: true });
            await mkdir(shots, { recursive: true });
            await writeFile(join(shots, `${name}.png`), data, "base64");
        }
        return seen.paper;
    }

    async close() {
        await this.send("DELETE", "").catch(() => {});
        this.driver.kill();
    }
}

/** The issuer fails, but for less long than the token is valid: nobody notices. */
async function outage(browser, name) {
    const before = await browser.until(({ left }) => left > 4, "a token");
    await browser.press(name);
    await browser.until(({ failed }) => failed > before.failed, `${name}: a refresh fails`);
    await pause(1_000);
    await browser.press("works");
    const { renewed } = await browser.numbers();
    const after = await browser.until((now) => now.renewed > renewed, `${name}: a new token`);
    assert.equal(after.inSpite, 0, `${name}: callers were refused while a token was valid`);
    assert.equal(after.without, before.without, `${name}: a caller is without a token`);
    assert.equal(after.waited, before.waited, `${name}: a caller waits`);
    assert.equal(after.refused, before.refused, `${name}: the service refuses a token`);
    assert(after.served > before.served + 20, `${name}: the callers go on`);
}

/** Something that costs a new token, but no caller. */
async function step(browser, name, change = () => {}) {
    const before = await browser.until(({ left }) => left > 2, "a token");
    await browser.press(name);
    const renewed = await browser.until((now) => now.renewed > before.renewed, `${name}: a new token`, 3_000);
    const after = await browser.until(({ served }) => served > renewed.served + 20, `${name}: the callers go on`, 5_000);
    assert.equal(after.without, before.without, `${name}: a caller is without a token`);
    assert(after.refreshes <= before.refreshes + 3, `${name}: too many refreshes`);
    change(before, after);
}

const server = await serve();
const browser = await Browser.start();
try {
    await browser.send("POST", "/url", { url: `http://127.0.0.1:${server.address().port}/` });
    await browser.until(({ served }) => served > 8, "the first requests are served");

    for (const name of ["down", "hang", "garbage", "expired"]) {
        await outage(browser, name);
    }
    await step(browser, "revoke", (before, after) => assert(after.refused > before.refused && after.refused <= before.refused + 8));
    await step(browser, "clock");
    // Refreshes go on as before, also with the wrong clock.
    const wrong = await browser.numbers();
    const still = await browser.until(({ renewed }) => renewed > wrong.renewed, "a renewal with a wrong clock");
    assert.equal(still.refused, wrong.refused, "the service refuses a token of a computer with a wrong clock");
    const ahead = await browser.numbers();
    await browser.press("clock");
    await browser.until(({ renewed }) => renewed > ahead.renewed, "a renewal with the right clock");
    await step(browser, "sleep");

    // Longer than a token is valid: then there is none, and callers hear of that.
    await browser.press("down");
    const none = await browser.until(({ without, left }) => without > 20 && left === 0, "callers without a token");
    const shown = await browser.run("return document.querySelector('#callers').textContent");
    assert.match(shown, /no token/);
    await browser.press("works");
    await browser.until(({ served, left }) => served > none.served + 20 && left > 4, "all is well again", 5_000);

    const looks = [];
    for (const scheme of ["light", "dark"]) {
        looks.push(await browser.look(`wide-${scheme}`, WIDE, scheme), await browser.look(`phone-${scheme}`, PHONE, scheme));
    }
    assert(looks[0] === looks[1] && looks[2] === looks[3] && looks[0] !== looks[2], `light and dark differ: ${looks}`);

    // The picture stands still when it is held, and the counters do not.
    await browser.press("pause");
    const picture = () => browser.run("return document.querySelector('#picture').innerHTML");
    const [held, counted] = [await picture(), await browser.numbers()];
    await browser.until(({ served }) => served > counted.served + 20, "the callers go on");
    assert.equal(await picture(), held, "a picture that is held changes");

    const last = await browser.numbers();
    assert.equal(last.inSpite, 0, "callers were refused while a token was valid");
    assert.equal(last.mostInFlight, 1, "refreshes at the same time");
    const logged = (await browser.send("POST", "/se/log", { type: "browser" })).filter(({ level }) => level === "SEVERE");
    assert.deepEqual(logged, [], "errors in the console");
    console.log(
        `keep_fresh in Chromium: 8 buttons pressed, ${last.served} requests served, ${last.inSpite} callers refused while a token ` +
            `is valid, ${last.renewed} of ${last.refreshes} refreshes brought a token`,
    );
} catch (error) {
    console.error(await browser.run("return document.querySelector('#news').innerText").catch(() => ""));
    throw error;
} finally {
    await browser.close();
    server.close();
}
