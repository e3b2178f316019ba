/**
 * Code that takes what it can get: left on a stream, it is stopped, and the stream says so, while neighbours on other
 * streams and in another project go on and lose nothing.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { builtin } from "../processes/http.ts";
import {
  type Deployment,
  type HostileWorld,
  isTold,
  type Neighbours,
  startHostileWorld,
  startNeighbours,
} from "./hostile-world.ts";

interface Hostile {
  what: string;
  code: string | Deployment;
  /** What the stream says of it. */
  told: RegExp;
  /** At once; what fails otherwise is tried again some times, and then halted. */
  halted: boolean;
}

const looped = /computed for too long without giving way, as in an endless loop, and was stopped/;
const overstuffed = /took more memory than it may have|computed for too long|allocation failed/i;
const hung = /had hung and would never generate a response/;

const hook = (body: string) => `const kept = [];
export default { async afterAppend({ event, append, waitUntil }) { if (event.type === "evil") { ${body} } } };`;

const hostile: Hostile[] = [
  {
    what: "an endless loop in reduce",
    code: `export default { reduce({ state, event }) { if (event.type === "evil") for (;;) {} return state; } };`,
    told: looped,
    halted: true,
  },
  { what: "an endless loop in afterAppend", code: hook("for (;;) {}"), told: looped, halted: true },
  {
    what: "an endless loop after an await of an append",
    code: hook('await append({ type: "x" }); for (;;) {}'),
    told: looped,
    halted: true,
  },
  {
    what: "an endless loop after a timer",
    code: hook("await new Promise((resolve) => setTimeout(resolve, 300)); for (;;) {}"),
    told: looped,
    halted: true,
  },
  {
    what: "an endless loop while an append is not answered",
    code: hook('append({ type: "x" }); for (;;) {}'),
    told: looped,
    halted: true,
  },
  {
    what: "a loop that awaits, and gives way to nobody",
    code: hook("for (;;) await null;"),
    told: looped,
    halted: true,
  },
  { what: "an endless loop at module load", code: "for (;;) {}\nexport default {};", told: looped, halted: true },
  {
    what: "a regular expression that backtracks for ever",
    code: hook('/^(a+)+$/.test("a".repeat(60) + "b");'),
    told: looped,
    halted: true,
  },
  {
    what: "an endless loop in work that is left open",
    code: hook('waitUntil("work", async () => { for (;;) {} });'),
    told: /^The work "work" was interrupted|computed for too long/,
    halted: false,
  },
  {
    what: "a heap bomb",
    code: hook("for (;;) kept.push(new Array(100_000).fill(0).map(() => ({})));"),
    told: overstuffed,
    halted: true,
  },
  {
    what: "an ArrayBuffer bomb",
    code: hook("for (;;) kept.push(new Uint8Array(64 << 20).fill(1));"),
    told: overstuffed,
    halted: false,
  },
  {
    what: "a hoard of memory that nothing is done with",
    code: hook("for (;;) kept.push(new ArrayBuffer(256 << 20));"),
    told: overstuffed,
    halted: false,
  },
  {
    what: "100,000 timers",
    code: hook("for (let i = 0; i < 100_000; i++) setTimeout(() => {}, 1e8);"),
    told: /exceeded the number of active timeouts/,
    halted: false,
  },
  {
    what: "20,000 appends that nobody awaits",
    code: hook('for (let i = 0; i < 20_000; i++) append({ type: "x", payload: { i } });'),
    told: /computed for too long|is paused|memory/,
    halted: false,
  },
  {
    what: "a promise that never settles",
    code: hook("await new Promise(() => {});"),
    told: hung,
    halted: false,
  },
  {
    what: "a hook that takes longer than its limit",
    code: { script: hook("await new Promise((resolve) => setTimeout(resolve, 1e8));"), limits: { timeoutMs: 200 } },
    told: /^The hook ran for more than 200 ms, which is its limit\.$/,
    halted: false,
  },
  {
    what: "a module that never loads",
    code: "await new Promise(() => {});\nexport default {};",
    told: /could not be loaded: .*Top-level await in module is unsettled/s,
    halted: true,
  },
  { what: "process.exit()", code: hook("process.exit(1);"), told: /process\.exit\(1\)/, halted: false },
  {
    what: "abortIsolate()",
    code: `import { abortIsolate } from "cloudflare:workers";\n${hook('abortIsolate("gone");')}`,
    told: hung,
    halted: false,
  },
  {
    what: "a recursion without end",
    code: hook("(function again() { again(); })();"),
    told: /Maximum call stack size exceeded/,
    halted: false,
  },
  {
    what: "an append of 30 MB",
    code: hook('await append({ type: "x", payload: { text: "x".repeat(30 << 20) } });'),
    told: /characters, more than 4194304/,
    halted: false,
  },
  {
    what: "a state of 30 MB",
    code: `export default { reduce({ state, event }) {
      return event.type === "evil" ? { text: "x".repeat(30 << 20) } : state; } };`,
    told: /The state has \d+ characters as JSON, more than/,
    halted: true,
  },
  {
    what: "what is not JSON",
    code: hook('const payload = {}; payload.payload = payload; await append({ type: "x", payload });'),
    told: /circular structure/,
    halted: false,
  },
  { what: "something that is no error, thrown", code: hook("throw null;"), told: /threw null/, halted: false },
];

let world: HostileWorld;
let neighbours: Neighbours;
beforeAll(async () => {
  world = await startHostileWorld();
  const here = [1, 2, 3, 4].map((number) => ({ path: `/neighbours/${number}` }));
  const there = [1, 2].map((number) => ({ path: `/neighbours/${number}`, project: "other" }));
  neighbours = await startNeighbours(world, [...here, ...there]);
});
afterEach(() => neighbours.goOn());
afterAll(async () => {
  const { pongs } = await neighbours.stop();
  await world.close();
  expect(pongs).toBeGreaterThan(100);
});

describe("stopped and told, while the neighbours go on", () => {
  test.each(hostile)("$what", async ({ what, code, told, halted }) => {
    const path = `/${what.toLowerCase().replaceAll(/\W+/g, "-").slice(0, 40)}`;
    const configured = await world.deploy(path, code);
    const evil = await world.append(path, "evil");

    const { type, payload } = await world.until(path, isTold);

    const { message, ...about } = payload as { message: string };
    expect(message).toMatch(told);
    if (type !== builtin("dynamic-worker/halted")) {
      expect(halted).toBe(false);
      expect(about).toEqual({ about: { kind: "processor", slug: "code", offset: evil.offset } });
      return;
    }
    const offset = message.includes("could not be loaded") ? configured.offset : evil.offset;
    expect(about).toMatchObject({
      slug: "code",
      offset,
      howToResume: expect.stringContaining("dynamic-worker/resumed"),
    });
  });
});

test("what was stopped goes on with other code, and from there", async () => {
  await world.deploy("/mended", hook("for (;;) {}"));
  await world.append("/mended", "evil");
  await world.until("/mended", isTold);

  await world.deploy("/mended", hook('await append({ type: "good" });'));
  await world.until("/mended", ({ type }) => type === "good");
});

test("what was stopped may be resumed as it is: it runs alone, and behind the event that it stumbled over", async () => {
  await world.deploy(
    "/resumed",
    `export default { async afterAppend({ event, append }) {
    if (event.type === "evil") for (;;) {}
    if (event.type === "fine") await append({ type: "good" });
  } };`,
  );
  await world.append("/resumed", "evil");
  await world.until("/resumed", isTold);

  await world.append("/resumed", builtin("dynamic-worker/resumed"), { slug: "code", from: "cursor" });
  await world.until("/resumed", (event) => isTold(event) && event.offset > 5);
  await world.append("/resumed", builtin("dynamic-worker/resumed"), { slug: "code", from: "head" });
  await world.append("/resumed", "fine");
  await world.until("/resumed", ({ type }) => type === "good");
});

test("two that loop at the same time are both found", async () => {
  const paths = ["/two/first", "/two/second"];
  for (const [i, path] of paths.entries()) {
    await world.deploy(path, { script: hook("for (;;) {}"), env: { NUMBER: String(i) } });
  }
  await Promise.all(paths.map((path) => world.append(path, "evil")));

  for (const path of paths) {
    const { payload } = await world.until(path, isTold);
    expect((payload as { message: string }).message).toMatch(looped);
  }
});

test("work that loops once it is left open is found by the next event, and the stream lives on", async () => {
  await world.deploy("/work-again", hook('waitUntil("work", async () => { for (;;) {} });'));
  await world.append("/work-again", "evil");
  await world.until("/work-again", isTold);

  await world.append("/work-again", "evil");
  await world.until("/work-again", ({ type }) => type === builtin("dynamic-worker/halted"));
});

test("what loops behind the end of its hook, again and again, is found, though others run when it does", async () => {
  const script = `import { waitUntil } from "cloudflare:workers";
export default { afterAppend({ event }) {
  if (event.type === "evil") waitUntil(new Promise((resolve) => setTimeout(resolve, 300)).then(() => { for (;;) {} }));
} };`;
  await world.deploy("/behind", script);
  let isFound = false;
  const found = world.until("/behind", isTold).finally(() => (isFound = true));
  // Each is answered long before it loops.
  while (!isFound) {
    await world.append("/behind", "evil");
    await Promise.race([found, new Promise((resolve) => setTimeout(resolve, 400))]);
  }

  expect(await found).toMatchObject({
    type: builtin("dynamic-worker/halted"),
    payload: { message: expect.stringMatching(looped) },
  });
});

test("code that loops when it is loaded is found once, on however many streams it was left", async () => {
  const before = world.faults.length;
  const paths = Array.from({ length: 20 }, (_, number) => `/everywhere/${number}`);
  await Promise.all(paths.map((path) => world.deploy(path, "for (;;) { /* everywhere */ }\nexport default {};")));
  for (const path of paths) {
    const { payload } = await world.until(path, isTold);
    expect((payload as { message: string }).message).toMatch(looped);
  }
  // Each end of a process that was shared is told to the operator.
  expect(world.faults.length - before).toBeLessThan(5);
});
