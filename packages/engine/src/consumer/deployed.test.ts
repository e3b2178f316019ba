/** Processors whose code lies in a sandbox, which forgets, ends and is told of it. */

import { createInProcessSandbox, type InProcessSandbox } from "@millrace/testing";
import { expect, test } from "vitest";
import { errorsIn, ofType, pass } from "../../test/processors.ts";
import { builtin, createWorld, untilQuiet, type World, type WorldOptions } from "../../test/world.ts";
import type { Sandbox } from "../ports/sandbox.ts";

interface SandboxWorld extends World {
  sandbox: InProcessSandbox;
}

function worldWith(options: WorldOptions & { statesMax?: number } = {}): SandboxWorld {
  const sandbox = createInProcessSandbox(options);
  return { ...createWorld({ ...options, ports: { sandbox } }), sandbox };
}

function deployed(slug: string, script: string, extra: object = {}) {
  return { type: builtin("dynamic-worker/configured"), payload: { slug, script, ...extra } };
}

/** What is said of the first that was halted. */
async function haltOf(world: World): Promise<{ slug: string; offset: number; attempts: number; message: string }> {
  const [halted] = await ofType(world, builtin("dynamic-worker/halted"));
  return halted?.payload as never;
}

/** Until what needs turns of the event loop beyond the engine's own has had them. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await untilQuiet();
}

const counting = `export default {
  slug: "counting",
  initialState: { count: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { count: state.count + 1 } : state),
  async afterAppend({ event, state, append }) {
    if (event.type === "ping") await append({ type: "pong", payload: state });
  },
};`;

const pongs = async (world: World, path = "/s") => (await ofType(world, "pong", path)).map(({ payload }) => payload);

test("deployed code folds history, acts on what comes, and appends", async () => {
  const world = worldWith();
  await world.append("/s", [{ type: "ping" }, { type: "ping" }]);
  await world.append("/s", deployed("counting", counting));
  await world.append("/s", { type: "ping" });
  await settle();
  const [pong] = await ofType(world, "pong");
  expect(pong).toMatchObject({ payload: { count: 3 }, source: { kind: "processor", slug: "counting", depth: 1 } });
  expect(await world.engine.processorState("public", "/s", "counting", 2)).toMatchObject({ state: { count: 1 } });
  expect(await world.engine.processorState("public", "/s", "counting", undefined)).toMatchObject({
    state: { count: 3 },
    offset: 6,
  });
});

test("a state that the sandbox has forgotten is made again from the log", async () => {
  const world = worldWith({ statesMax: 1 });
  for (const path of ["/a", "/b"]) await world.append(path, deployed("counting", counting));
  for (let i = 0; i < 3; i++) {
    for (const path of ["/a", "/b"]) {
      await world.append(path, { type: "ping" });
      await settle();
    }
  }
  for (const path of ["/a", "/b"]) expect(await pongs(world, path)).toEqual([1, 2, 3].map((count) => ({ count })));
});

test("what takes a while begins before code is on disk, and not for what is removed or there already", async () => {
  const prepared: string[] = [];
  const sandbox: Sandbox = { ...createInProcessSandbox(), prepare: (project) => void prepared.push(project) };
  const preparedAtCommit: number[] = [];
  const world = createWorld({
    ports: { sandbox },
    intercept(call, proceed) {
      if (call.operation === "append" && call.path === "/s") preparedAtCommit.push(prepared.length);
      return proceed();
    },
  });
  await world.append("/s", { type: "ping" });
  await world.append("/s", deployed("counting", counting));
  expect(preparedAtCommit.slice(0, 2)).toEqual([0, 1]);
  await settle();
  await world.append("/s", { type: "ping" });
  await world.append("/s", { type: builtin("dynamic-worker/removed"), payload: { slug: "counting" } });
  await settle();
  expect(prepared).toEqual(["public"]);
});

test.each(["loads", "folds"])(
  "code that never %s holds up neither the end of the server nor another version",
  async (what) => {
    const loaded = createInProcessSandbox();
    const never = () => new Promise<never>(() => {});
    const sandbox: Sandbox = {
      async load(code, place) {
        const hangs = !code.modules["processor.ts"]?.endsWith("works");
        if (hangs && what === "loads") return never();
        const processor = await loaded.load(code, place);
        return hangs ? { ...processor, deliver: never } : processor;
      },
      close: () => loaded.close(),
    };
    const world = createWorld({ ports: { sandbox } });
    await world.append("/s", { type: "ping" });
    await world.append("/s", deployed("counting", counting));
    await settle();
    expect(await pongs(world)).toEqual([]);
    await world.append("/s", deployed("counting", `${counting}// works`));
    await world.append("/s", { type: "ping" });
    await settle();
    expect(await pongs(world)).toEqual([{ count: 2 }]);
    await world.append("/t", deployed("counting", counting));
    await settle();
    await world.engine.close();
    const next = createWorld({ directory: world.directory });
    expect([world.failures, await errorsIn(next), await errorsIn(next, "/t")]).toEqual([[], [], []]);
  },
);

test("the end of a sandbox interrupts what runs, loses nothing and costs no attempt", async () => {
  const world = worldWith();
  const slow = `export default {
    slug: "slow", initialState: { count: 0 },
    reduce: ({ state }) => ({ count: state.count + 1 }),
    async afterAppend({ event, state, append, attempt }) {
      if (event.type === "ping" && attempt === 1) await new Promise(() => {});
      if (event.type === "ping") await append({ type: "pong", payload: { ...state, attempt } });
    },
    async afterCatchUp({ append, interrupted }) {
      if (interrupted) await append({ type: "caught-up", payload: { interrupted: { ...interrupted } } });
    },
  };`;
  await world.append("/s", deployed("slow", slow));
  await settle();
  await world.append("/s", { type: "ping" });
  await settle();
  world.sandbox.crash();
  await settle();
  expect(await pongs(world)).toEqual([{ count: 3, attempt: 2 }]);
  const [caughtUp] = await ofType(world, "caught-up");
  expect(caughtUp?.payload).toEqual({ interrupted: { offset: 3, work: [] } });
  expect(await errorsIn(world)).toEqual([]);
});

test("a reducer that throws halts its processor at that offset, with the author's line", async () => {
  const world = worldWith();
  const bad = `export default { slug: "bad", initialState: {},
    reduce({ state, event }) { if (event.type === "poison") throw new TypeError("no such thing"); return state; },
    afterAppend() {} };`;
  await world.append("/s", deployed("bad", bad));
  await world.append("/s", [{ type: "fine" }, { type: "poison" }, { type: "fine" }]);
  await settle();
  const halted = await haltOf(world);
  expect(halted).toMatchObject({ slug: "bad", offset: 4, attempts: 1 });
  expect(halted.message).toMatch(/^reduce failed: TypeError: no such thing \(at /);
});

test.each([
  ["a map", "new Map()", /not JSON: the state is a Map/],
  ["a promise", "Promise.resolve(1)", /returned a promise/],
  ["nothing that ends", "{ text: 'x'.repeat(9_000_000) }", /more than 8388608/],
])("a state that is %s halts it", async (_name, state, message) => {
  const world = worldWith();
  const script = `export default { slug: "odd", initialState: {}, afterAppend() {},
    reduce: ({ event, state }) => event.type === "odd" ? ${state} : state };`;
  await world.append("/s", [deployed("odd", script), { type: "odd" }]);
  await settle();
  const halted = await haltOf(world);
  expect(halted).toMatchObject({ slug: "odd", offset: 3 });
  expect(halted.message).toMatch(message);
});

test("code that does not load halts it, and the next good configuration works", async () => {
  const world = worldWith();
  await world.append("/s", deployed("counting", "export default 7"));
  await settle();
  const halted = await haltOf(world);
  expect(halted).toMatchObject({
    offset: 2,
    message: expect.stringContaining("is a number, not a processor"),
  });
  await world.append("/s", deployed("counting", counting));
  await world.append("/s", { type: "ping" });
  await settle();
  expect(await pongs(world)).toEqual([{ count: 1 }]);
});

test("a variable of the stream reaches the code, and another value restarts it", async () => {
  const world = worldWith();
  const telling = `export default { slug: "telling", initialState: {}, reduce: ({ state }) => state,
    async afterAppend({ event, append, env }) {
      if (event.type === "ask") await append({ type: "told", payload: { ...env } }) } };`;
  const set = (value: string) => ({ type: builtin("dynamic-worker/env-var-set"), payload: { key: "WHO", value } });
  await world.append("/s", [set("ada"), deployed("telling", telling, { env: { OWN: "1" } }), { type: "ask" }]);
  await settle();
  await world.append("/s", [set("bob"), { type: "ask" }]);
  await pass(world, 2_000);
  await settle();
  const told = (await ofType(world, "told")).map(({ payload }) => payload);
  expect(told).toEqual([
    { WHO: "ada", OWN: "1" },
    { WHO: "bob", OWN: "1" },
  ]);
});

test("work goes on behind the hook, and is aborted by a later one", async () => {
  const world = worldWith();
  const working = `export default { slug: "working", initialState: { n: 0 }, reduce: ({ state }) => ({ n: state.n + 1 }),
    async afterAppend({ event, append, waitUntil, abort }) {
      if (event.type === "begin") waitUntil("answer", async ({ signal, append, state }) => {
        await append({ type: "began", payload: state() });
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        await append({ type: "partial", payload: state() });
      });
      if (event.type === "stop") abort("answer");
    } };`;
  await world.append("/s", [deployed("working", working), { type: "begin" }]);
  await settle();
  expect(await ofType(world, "began")).toHaveLength(1);
  await world.append("/s", { type: "stop" });
  await settle();
  const [partial] = await ofType(world, "partial");
  expect(partial?.payload).toMatchObject({ n: expect.any(Number) });
});
