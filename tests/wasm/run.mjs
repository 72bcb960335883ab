// Runs `src/main.rs`; its only output is its exit status.
import { readFile } from "node:fs/promises";

const module = await WebAssembly.compile(await readFile(process.argv[2]));
const imports = WebAssembly.Module.imports(module);
if (imports.length > 0) {
    throw new Error(`nothing is to be asked of the host, but ${imports.map((one) => one.name)} are`);
}
const { exports } = await WebAssembly.instantiate(module);
const status = exports.main(0, 0);
if (status !== 0) {
    throw new Error(`it ended with status ${status}: see src/main.rs`);
}
console.log("the recorded lives and a driven credential, in WebAssembly: passed");
