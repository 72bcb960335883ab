// Runs `src/main.rs`, which reports only its exit status.
import { readFile } from "node:fs/promises";

const module = await WebAssembly.compile(await readFile(process.argv[2]));
const imports = WebAssembly.Module.imports(module);
if (imports.length > 0) {
    throw new Error(`the module must not import anything from the host, but it imports ${imports.map((one) => one.name)}`);
}
const { exports } = await WebAssembly.instantiate(module);
const status = exports.main(0, 0);
if (status !== 0) {
    throw new Error(`the module ended with status ${status}: see src/main.rs`);
}
console.log("the recorded scenarios and a polled credential, in WebAssembly: passed");
