// The npm package in a real page: serves the folder, opens the page in headless Chromium, and reads what it says.
// Usage: node browser.mjs FOLDER
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";

const folder = process.argv[2];
const TYPES = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };

/** Three credentials: one renews ahead of time, one is told that the network is back, one gives up at an abort. */
const PAGE = `<!doctype html><title>acs-common</title><body>running<script type="module">
import { AzureCommunicationTokenCredential, createIdentifierFromRawId } from "./browser.js";
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const check = (holds, what) => { if (!holds) throw new Error(what) };
try {
    let calls = 0;
    const short = { tokenRefresher: async () => ({ token: "r" + ++calls, expiresOnTimestamp: Date.now() + 3_000 }), refreshProactively: true };
    const renewed = new AzureCommunicationTokenCredential(short);
    check((await renewed.getToken()).token === "r1", "the first token");
    await pause(2_000);
    check(calls === 2 && (await renewed.getToken()).token === "r2", "renewed after half of its life, after " + calls);
    renewed.dispose();

    let tries = 0;
    const tokenRefresher = async () => { if (++tries === 1) throw new Error("offline"); return "fresh" };
    const offline = new AzureCommunicationTokenCredential({ tokenRefresher });
    await offline.getToken().then(() => check(false, "no network"), () => {});
    await pause(1_000);
    dispatchEvent(new Event("online"));
    check((await offline.getToken()).token === "fresh", "the network is back");
    offline.dispose();

    const hanging = new AzureCommunicationTokenCredential({ tokenRefresher: () => new Promise(() => {}) });
    const error = await hanging.getToken({ abortSignal: AbortSignal.timeout(20) }).catch((error) => error);
    check(error.name === "AbortError", "aborted: " + error);
    hanging.dispose();
    check(createIdentifierFromRawId("8:orgid:x").kind === "microsoftTeamsUser", "an identifier");
    document.body.textContent = "passed";
} catch (error) {
    document.body.textContent = "failed: " + (error.stack ?? error);
}
</script>`;

const server = createServer(async (request, response) => {
    const name = request.url === "/" ? "page.html" : request.url.slice(1);
    try {
        const body = name === "page.html" ? PAGE : await readFile(join(folder, name));
        response.writeHead(200, { "Content-Type": TYPES[name.split(".").at(-1)] ?? "text/plain" }).end(body);
    } catch {
        response.writeHead(404).end();
    }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${server.address().port}/`;
const options = ["--headless", "--no-sandbox", "--disable-gpu", "--timeout=60000", "--virtual-time-budget=20000", "--dump-dom", url];
const { stdout } = await promisify(execFile)("chromium", options, { timeout: 120_000 });
server.close();
const said = /<body>([^<]*)/.exec(stdout)?.[1] ?? stdout;
console.log(`the npm package in Chromium: ${said}`);
process.exitCode = said === "passed" ? 0 : 1;
