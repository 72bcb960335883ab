// For browsers and bundlers: loads the core from beside this file.
import load from "./core.js";

await load();

export * from "./all.js";
