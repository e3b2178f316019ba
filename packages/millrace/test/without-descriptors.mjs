/** Runs deployed code, opens all the files that it may, and says what becomes of more code, of the walls around it, and of its end. */
import { closeSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { createCompiler } from "../dist/sandbox/compile.js";
import { findIsolation } from "../dist/sandbox/isolation.js";
import { workerdBinary } from "../dist/sandbox/workerd-binary.js";
import { createWorkerdSandbox } from "../dist/sandbox/workerd-sandbox.js";

const open = [];
const compiler = createCompiler();
const settings = {
  compile: async ({ modules, main }) => ({ script: modules[main], locate: (error) => error }),
  async listen(_, socketPath) {
    const server = createServer((socket) => socket.destroy());
    await new Promise((resolve, reject) => server.once("error", reject).listen(socketPath, resolve));
    return {
      async close() {
        await new Promise((resolve) => server.close(() => resolve()));
        // What it gives back others take.
        if (open.length > 0) takeAll();
      },
    };
  },
  onFault: () => {},
};
const sandbox = createWorkerdSandbox(settings);
const another = createWorkerdSandbox(settings);
const codeOf = (text, more) => ({ project: "p", modules: { "p.js": text }, main: "p.js", env: {}, ...more });
const place = { path: "/p", slug: "p", epoch: 1, configuredAt: 1 };
const told = (what) =>
  what.then(
    () => "done",
    ({ reason, message }) => `${reason}: ${message}`,
  );

console.log(await told(compiler.compile({ modules: { "p.js": "export default {}" }, main: "p.js" })));
console.log(await told(sandbox.load(codeOf("export default {}"), place)));

takeAll();
// Enough for its files and its socket, and not for the pipes of a process.
for (const descriptor of open.splice(-4)) closeSync(descriptor);
console.log(await told(sandbox.load(codeOf("export default { slug: 'own' }", { limits: { memoryMb: 64 } }), place)));
takeAll();
console.log(await told(compiler.compile({ modules: { "p.js": "export default { a: 1 }" }, main: "p.js" })));
console.log(await told(findIsolation()));
console.log(`missing: ${(await another.isolation()).missing}`);
console.log(await told(sandbox.close()));
compiler.close();
for (const descriptor of open.splice(0)) closeSync(descriptor);
console.log((await another.isolation()).description === (await findIsolation(workerdBinary())).description);
await another.close();

function takeAll() {
  try {
    for (;;) open.push(openSync("/dev/null"));
  } catch {
    // None is left.
  }
}
