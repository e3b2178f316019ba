/** A server that compiles something slow, for whoever kills it meanwhile. */
import { createCompiler } from "../dist/sandbox/compile.js";

const source = `export default ${"(".repeat(400_000)}1${")".repeat(400_000)}`;
await createCompiler({ timeoutMs: 600_000 }).compile({ modules: { "a.js": source }, main: "a.js" });
