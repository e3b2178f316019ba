/**
 * What deployed code finds around itself: nothing of the machine, of the server, of other projects, or of other code.
 * Each line is tried from inside; what came of it is appended, and judged here.
 */

import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type HostileWorld, isTold, type Neighbours, startHostileWorld, startNeighbours } from "./hostile-world.ts";

/** What a trial gave, or how it failed. */
interface Outcome {
  value?: unknown;
  error?: string;
}

interface Wall {
  what: string;
  /** The body of an async function. */
  trial: string;
  right(outcome: Outcome): void | Promise<void>;
}

/** Code that knows `fetch` as it was before anything of ours touched it. */
const hookOf = (body: string) => `const originalFetch = globalThis.fetch;
export default { async afterAppend({ event, append }) { ${body} } };`;

const fails =
  (message: RegExp) =>
  ({ value, error }: Outcome): void => {
    expect(value).toBeUndefined();
    expect(error).toMatch(message);
  };
const gives =
  (wanted: unknown) =>
  ({ value }: Outcome): void =>
    expect(value).toEqual(wanted);
const refusedByGate = ({ value, error }: Outcome): void => {
  // Names that nobody knows are not refused: they lead nowhere.
  if (error === undefined) expect([403, 502]).toContain((value as { status: number }).status);
  else expect(error).toMatch(/not|invalid|refused|Unable|unsupported/i);
};

const node = (name: string) => `process.getBuiltinModule("node:${name}")`;
const ask = (url: string, init = "{}") =>
  `const answer = await fetch(${url}, ${init}); return { status: answer.status, text: (await answer.text()).slice(0, 300) };`;
/** Resolves with all that came back. */
const knock = (socket: string) => `return new Promise((resolve, reject) => {
  const socket = ${socket};
  let heard = "";
  socket.on("data", (data) => { heard += data; });
  socket.on("error", reject);
  socket.on("close", () => resolve({ heard }));
  socket.write("GET / HTTP/1.0\\r\\n\\r\\n");
});`;
const neverHeard = ({ value, error }: Outcome): void => {
  if (error === undefined) expect(value).toEqual({ heard: "" });
  else expect(error).toMatch(/not|permitted|proxy|closed|failed|reset|lost/i);
};

let world: HostileWorld;
let neighbours: Neighbours;
/** Counts who reaches it. */
let machine: Server;
let machineUrl: string;
let reached = 0;
const marker = path.join(mkdtempSync(path.join(tmpdir(), "walls-")), "written");

beforeAll(async () => {
  machine = createServer((_, response) => response.end("confidential"));
  machine.on("connection", () => reached++);
  await new Promise<void>((resolve) => machine.listen(0, "127.0.0.1", resolve));
  machineUrl = `http://127.0.0.1:${(machine.address() as AddressInfo).port}/`;
  process.env.WALLS_TEST_CONFIDENTIAL = "confidential";
  world = await startHostileWorld();
  neighbours = await startNeighbours(world, [{ path: "/neighbour" }, { path: "/neighbour", project: "other" }]);
});
afterAll(async () => {
  await neighbours.stop();
  await world.close();
  machine.close();
  rmSync(path.dirname(marker), { recursive: true });
  delete process.env.WALLS_TEST_CONFIDENTIAL;
  expect(reached).toBe(0);
});

let trials = 0;
async function tryInside(trial: string, at = `/trial-${++trials}`): Promise<Outcome> {
  await world.deploy(
    at,
    `export default { async afterAppend({ event, append, env }) {
    if (event.type !== "try") return;
    const { machine, server, marker } = event.payload;
    const outcome = await (async () => { ${trial} })().then(
      (value) => ({ value }), (error) => ({ error: String(error?.message ?? error) }));
    await append({ type: "outcome", payload: outcome });
  } };`,
  );
  await world.append(at, "try", { machine: machineUrl, server: world.url, marker });
  const { payload } = await world.until(at, ({ type }) => type === "outcome");
  return payload as Outcome;
}

const walls: Wall[] = [
  {
    what: "files of the machine",
    trial: `return ${node("fs")}.readFileSync("/etc/passwd", "utf8");`,
    right: fails(/no such file|ENOENT|not/i),
  },
  {
    what: "a list of files",
    trial: `return ${node("fs")}.readdirSync("/").sort();`,
    right: gives(["bundle", "dev", "tmp"]),
  },
  {
    what: "files to write, for others to see",
    trial: `try { ${node("fs")}.writeFileSync(marker, "x"); } catch {} return "tried";`,
    right: (outcome) => {
      expect(outcome).toEqual({ value: "tried" });
      expect(existsSync(marker)).toBe(false);
    },
  },
  {
    what: "the environment of a process",
    trial: `return ${node("fs")}.readFileSync("/proc/self/environ", "utf8");`,
    right: fails(/no such file|ENOENT|not/i),
  },
  { what: "variables of the server", trial: "return [Object.keys(process.env), env];", right: gives([[], {}]) },
  {
    what: "a process to start",
    trial: `return String(${node("child_process")}.execSync("id"));`,
    right: fails(/not implemented|undefined|not a function|null/i),
  },
  {
    what: "a signal to send",
    trial: "return process.kill(1, 0);",
    right: fails(/not|undefined/i),
  },
  {
    what: "a thread to start",
    trial: `return String(new (${node("worker_threads")}.Worker)("1", { eval: true }));`,
    right: fails(/not|undefined|null/i),
  },
  { what: "the server's API", trial: ask('server + "/api/streams/trial-1"'), right: refusedByGate },
  {
    what: "the server's API, to append with",
    trial: ask('server + "/api/streams/forged"', '{ method: "POST", body: JSON.stringify({ type: "x" }) }'),
    right: refusedByGate,
  },
  {
    what: "a raw socket",
    trial: knock(`${node("net")}.connect(Number(new URL(machine).port), "127.0.0.1")`),
    right: neverHeard,
  },
  {
    what: "a unix socket",
    trial: knock(`${node("net")}.connect("/tmp/millrace.sock")`),
    right: neverHeard,
  },
  {
    what: "the sockets of its own process",
    trial: `return ${node("fs")}.readdirSync("/tmp");`,
    right: gives([]),
  },
  {
    what: "a TLS socket",
    trial: knock(`${node("tls")}.connect(Number(new URL(machine).port), "127.0.0.1")`),
    right: neverHeard,
  },
  {
    what: "a socket of the runtime",
    trial: `const { connect } = await import("cloudflare:sockets"); const socket = connect(new URL(machine).host);
      await socket.writable.getWriter().write(new TextEncoder().encode("GET / HTTP/1.0\\r\\n\\r\\n"));
      return { heard: await new Response(socket.readable).text() };`,
    right: neverHeard,
  },
  {
    what: "a server that others reach",
    trial: `return new Promise((resolve, reject) => { const server = ${node("net")}.createServer((socket) => socket.end("here"));
      server.on("error", reject); server.listen(0, () => resolve(server.address())); });`,
    // It believes that it listens.
    async right({ value }) {
      const { port } = value as { port: number };
      const socket = connect(port, "127.0.0.1");
      await expect(once(socket, "connect")).rejects.toThrow(/ECONNREFUSED/);
    },
  },
  { what: "this machine", trial: ask("machine"), right: refusedByGate },
  ...[
    "http://localhost:PORT/",
    "http://127.1:PORT/",
    "http://2130706433:PORT/",
    "http://0x7f000001:PORT/",
    "http://[::1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://0.0.0.0:PORT/",
    "http://localhost.:PORT/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://100.64.0.1/",
    "file:///etc/passwd",
    "unix:/tmp/millrace.sock",
    "ftp://127.0.0.1/",
  ].map((url) => ({
    what: `a private address, as ${url}`,
    trial: ask(`"${url}".replace("PORT", new URL(machine).port)`),
    right: refusedByGate,
  })),
  {
    what: "a WebSocket to this machine",
    trial: `return new Promise((resolve, reject) => { const socket = new WebSocket(machine.replace("http", "ws"));
      socket.addEventListener("open", () => resolve("open")); socket.addEventListener("error", () => reject(new Error("not opened"))); });`,
    right: fails(/not opened/),
  },
  {
    what: "names, looked up by the code",
    trial: `return ${node("dns")}.promises.resolve4("localhost");`,
    right: fails(/./),
  },
  { what: "eval", trial: 'return eval("1 + 1");', right: fails(/Code generation from strings disallowed/) },
  { what: "new Function", trial: 'return new Function("return 1")();', right: fails(/Code generation from strings/) },
  {
    what: "the constructor of an async function",
    trial: 'return (async () => {}).constructor("return 1")();',
    right: fails(/Code generation from strings/),
  },
  {
    what: "code of WebAssembly",
    trial: "return String(await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])));",
    right: fails(/Wasm code generation disallowed/),
  },
  {
    what: "the runner beside it",
    trial: 'const name = "runner.js"; return Object.keys(await import(name));',
    right: fails(/No such module|not/i),
  },
  {
    what: "what the runner may use",
    trial: `const { env, exports } = await import("cloudflare:workers");
      return [env.LOADER, env.EGRESS, exports?.Egress].map((each) => each === undefined);`,
    right: gives([true, true, true]),
  },
  {
    what: "a cache that others read",
    trial: `await caches.default.put("http://x/", new Response("x", { headers: { "cache-control": "max-age=60" } }));
      return (await caches.default.match("http://x/"))?.status;`,
    right: ({ value }) => expect(value).toBeUndefined(),
  },
  {
    what: "a path that leads out of the project",
    trial: `const said = []; for (const at of ["/../other/x", "//other/x", "http://other/x"]) {
      await append({ path: at, event: { type: "out" } }).catch((error) => said.push(error.code)); } return said;`,
    right: ({ value }) => expect(new Set(value as string[])).toEqual(new Set(["invalid_request"])),
  },
  {
    what: "a source of its own making",
    trial: `const stored = await append({ type: "x", source: { kind: "server", slug: "core", depth: 0 } }); return stored.source;`,
    right: ({ value, error }) => {
      if (error === undefined) expect(value).toMatchObject({ kind: "processor", slug: "code" });
      else expect(error).toMatch(/source/);
    },
  },
  {
    what: "an event that only the server may write",
    trial: `return append({ type: "https://events.iterate.com/events/stream/dynamic-worker/halted", payload: { slug: "code", offset: 1, message: "x" } });`,
    right: fails(/server/),
  },
];

describe("nothing is found", () => {
  test.each(walls)("$what", async ({ trial, right }) => right(await tryInside(trial)));
});

test("nothing that was tried reached another project, or the log past append", async () => {
  const inOther: string[] = [];
  for await (const { path: at } of world.client("other").streams()) inOther.push(at);
  expect(inOther).toEqual(["/", "/neighbour"]);
  const here: string[] = [];
  for await (const { path: at } of world.client().streams()) here.push(at);
  expect(here).not.toContain("/forged");
});

test("another stream's variables, globals and state are not there, also with the same code", async () => {
  const code = `let calls = 0; export default { initialState: { mine: 0 },
    reduce: ({ state, event }) => (event.type === "try" ? { mine: state.mine + 1 } : state),
    async afterAppend({ event, append, state, env }) { if (event.type !== "try") return;
      globalThis.left = (globalThis.left ?? 0) + 1;
      await append({ type: "outcome", payload: { key: env.KEY ?? null, inProcess: process.env.KEY ?? null,
        left: globalThis.left, calls: ++calls, state } }); } };`;
  await world.deploy("/variables/a", { script: code, env: { KEY: "of a" } });
  await world.deploy("/variables/b", { script: code, env: { KEY: "of b" } });
  await world.deploy("/variables/c", code);
  const seen: unknown[] = [];
  for (const name of ["a", "b", "c"]) {
    await world.append(`/variables/${name}`, "try");
    seen.push((await world.until(`/variables/${name}`, ({ type }) => type === "outcome")).payload);
  }
  const own = { left: 1, calls: 1, state: { mine: 1 } };
  expect(seen).toEqual([
    { key: "of a", inProcess: "of a", ...own },
    { key: "of b", inProcess: "of b", ...own },
    { key: null, inProcess: null, ...own },
  ]);
});

test("who forges the identity of another call speaks for nobody but itself", async () => {
  const alone = await startHostileWorld();
  onTestFinished(() => alone.close());
  await alone.deploy(
    "/victim",
    hookOf(`if (event.type !== "wait") return;
      await append({ type: "waits" });
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      await append({ type: "waited" });`),
  );
  await alone.append("/victim", "wait");
  await alone.until("/victim", ({ type }) => type === "waits");

  await alone.deploy(
    "/forger",
    hookOf(`if (event.type !== "try") return;
      for (let call = 1; call < 50; call++) {
        const headers = { "x-millrace-call": String(call), "x-millrace-isolate": "victim" };
        await (await fetch(event.payload.machine, { headers })).text();
        await (await originalFetch(event.payload.machine, { headers })).text();
      }
      await append({ type: "tried" });`),
  );
  await alone.append("/forger", "try", { machine: machineUrl });
  await alone.until("/forger", ({ type }) => type === "tried");

  await alone.until("/victim", ({ type }) => type === "waited");
  expect((await alone.read("/victim")).filter(isTold)).toEqual([]);
  expect((await alone.read("/forger")).filter(isTold)).not.toEqual([]);
});

describe("tricks on what stands beside the code harm that code alone", () => {
  const tricks: [what: string, body: string][] = [
    ["promises that never settle", "Promise.prototype.then = () => new Promise(() => {});"],
    ["JSON that lies", 'JSON.stringify = () => "no JSON"; JSON.parse = () => ({ is: "forged" });'],
    ["arrays that push nothing", "Array.prototype.push = () => 0;"],
    ["maps that hold what they like", 'Map.prototype.get = () => ({ offset: 1, value: "forged", unchecked: 9 });'],
    [
      "objects with what is not theirs",
      'Object.prototype.is = "done"; Object.prototype.offset = 1; Object.prototype.toJSON = () => "forged";',
    ],
    [
      "a result of its own",
      `const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");
      const run = AsyncLocalStorage.prototype.run;
      AsyncLocalStorage.prototype.run = function (store, ...rest) {
        store?.host?.returned({ is: "done", state: "}{", passedOver: "all" });
        store?.host?.append({ type: "forged" }, { toString: "x" });
        store?.host?.open({}); store?.host?.log("constructor", "x"); store?.host?.begun("__proto__");
        return run.call(this, store, ...rest); };`,
    ],
    [
      "questions that nobody knows",
      `const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");
      const run = AsyncLocalStorage.prototype.run;
      AsyncLocalStorage.prototype.run = function (store, ...rest) {
        store?.host?.ask("nonsense", "[]"); store?.host?.ask("x".repeat(1e6), "[]");
        store?.host?.ask({ toJSON: () => { for (;;) {} } }, { toString: () => { for (;;) {} } });
        return run.call(this, store, ...rest); };`,
    ],
    [
      "a fault of its own",
      `const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");
      AsyncLocalStorage.prototype.run = () => Promise.resolve({ result: 1, works: 2 });`,
    ],
    [
      "a fault that is nested deeper than anybody can write",
      `const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");
      const deep = '{"a":' + "[".repeat(1e6) + "]".repeat(1e6) + "}";
      AsyncLocalStorage.prototype.run = async () =>
        '{"is":"hook-failed","error":{"name":"E","message":"m","code":"x","data":' + deep + '}}';`,
    ],
    [
      "a number where a result belongs",
      `const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");
      AsyncLocalStorage.prototype.run = async () => 42;`,
    ],
    [
      "a result that asks back",
      `const { AsyncLocalStorage } = process.getBuiltinModule("node:async_hooks");
      AsyncLocalStorage.prototype.run = async () => ({ is: "done", toJSON: () => { for (;;) {} } });`,
    ],
  ];

  test.each(tricks)("%s", async (what, body) => {
    const at = `/tricks/${what.replaceAll(" ", "-")}`;
    await world.deploy(
      at,
      `${body}\nexport default { initialState: { tricks: 0 }, afterAppend: async ({ append, event }) => {
      if (event.type === "try") await append({ type: "tried" }); } };`,
    );
    for (const _ of [1, 2]) await world.append(at, "try");
    await neighbours.goOn();

    // Whatever it says of itself, the server answers, and the stream lives on.
    const answer = await fetch(`${world.url}/api/state${at}?processor=code`, { signal: AbortSignal.timeout(20_000) });
    expect([200, 400, 404, 503]).toContain(answer.status);
    await world.deploy(
      at,
      'export default { afterAppend: async ({ event, append }) => { if (event.type === "again") await append({ type: "honest" }); } };',
    );
    await world.append(at, "again");
    await world.until(at, ({ type }) => type === "honest");
    await neighbours.goOn();
  });
});
