/** Processors that are deployed by an event, on a whole engine with a clock that only the test moves. */
import { defineProcessor, type Processor, type StreamEvent } from "@millrace/protocol";
import { createManualClock } from "@millrace/testing";
import { expect, test } from "vitest";
import { builtin, createWorld, untilQuiet, type World, type WorldOptions } from "../../test/world.ts";
import { processorKind } from "./processors.ts";

// biome-ignore lint/suspicious/noExplicitAny: processors of all kinds of state
type Any = Processor<any>;

const pingPong = defineProcessor<{ pings: number }>({
  slug: "ping-pong",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : state),
  async afterAppend({ event, state, append }) {
    if (event.type === "ping") await append({ type: "pong", payload: { pings: state.pings } });
  },
});

function worldOf(scripts: Record<string, Any>, options: WorldOptions = {}): World {
  const load = async ({ payload }: { payload: { script?: unknown } }) => {
    const processor = scripts[payload.script as string];
    if (processor === undefined) throw new Error(`no script ${payload.script}`);
    return processor;
  };
  return createWorld({ ...options, consumers: [processorKind(load)] });
}

function configured(slug: string, script = slug, extra: object = {}) {
  return { type: builtin("dynamic-worker/configured"), payload: { slug, script, ...extra } };
}

async function pass(world: World, milliseconds: number, step = 500): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += step) {
    world.clock.advance(step);
    await untilQuiet();
  }
}

async function ofType(world: World, type: string): Promise<StreamEvent[]> {
  return (await world.events("/s")).filter((event) => event.type === type);
}

test("a configured processor reduces, acts and appends; history before it is reduced only", async () => {
  const world = worldOf({ "ping-pong": pingPong });
  await world.append("/s", [{ type: "ping" }, { type: "ping" }]);
  await world.append("/s", configured("ping-pong"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  const pongs = await ofType(world, "pong");
  expect(pongs.map(({ payload, source }) => [payload, source])).toEqual([
    [{ pings: 3 }, { kind: "processor", slug: "ping-pong", cause: { streamPath: "/s", offset: 5 }, depth: 1 }],
  ]);
  await pass(world, 3_000);
  expect((await world.engine.state("public", "/s")).consumers["ping-pong"]).toMatchObject({ lag: 0 });
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("a hook that throws is tried again, tells it once, and is halted after five attempts", async () => {
  const attempts: number[] = [];
  const failing = defineProcessor({
    slug: "failing",
    initialState: null,
    reduce: () => null,
    afterAppend({ event, attempt }) {
      if (event.type !== "ping") return;
      attempts.push(attempt);
      throw new Error("no");
    },
  });
  const world = worldOf({ failing, "ping-pong": pingPong });
  await world.append("/s", [configured("failing"), configured("ping-pong")]);
  await world.append("/s", { type: "ping" });
  await pass(world, 60_000);
  expect(attempts).toEqual([1, 2, 3, 4, 5]);
  const errors = await ofType(world, builtin("error-occurred"));
  expect(errors.map(({ payload }) => payload)).toEqual([
    { message: "no", about: { kind: "processor", slug: "failing", offset: 4 } },
  ]);
  const [halted] = await ofType(world, builtin("dynamic-worker/halted"));
  expect(halted?.payload).toMatchObject({ slug: "failing", offset: 4, message: "no", attempts: 5 });
  expect(await ofType(world, "pong")).toHaveLength(1);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
  await world.append("/s", { type: builtin("dynamic-worker/resumed"), payload: { slug: "failing", from: "head" } });
  await pass(world, 3_000);
  expect(attempts).toHaveLength(5);
});

test("a processor that loops is paused within its burst, removed while paused, and the stream is usable", async () => {
  const looping = defineProcessor({
    slug: "looping",
    initialState: null,
    reduce: () => null,
    async afterAppend({ append }) {
      await append({ type: "again" });
    },
  });
  const world = worldOf({ looping });
  await world.append("/s", configured("looping"));
  await world.append("/s", { type: "go" });
  await pass(world, 5_000);
  const again = await ofType(world, "again");
  expect(again.length).toBeLessThan(130);
  const [paused] = await ofType(world, builtin("paused"));
  expect(paused?.payload).toMatchObject({ cause: { kind: "rate" } });
  await world.append("/s", { type: builtin("dynamic-worker/removed"), payload: { slug: "looping" } });
  await world.append("/s", { type: builtin("resumed") });
  await world.append("/s", { type: "hello" });
  await pass(world, 60_000);
  expect(await ofType(world, "again")).toHaveLength(again.length);
  expect(await ofType(world, "hello")).toHaveLength(1);
});

test("waitUntil does not hold up the cursor, is aborted by a later hook, and is closed on disk", async () => {
  const log: string[] = [];
  const model = defineProcessor({
    slug: "model",
    initialState: null,
    reduce: () => null,
    afterAppend({ event, waitUntil, abort }) {
      if (event.type === "stop") abort("call");
      if (event.type !== "ask") return;
      waitUntil("call", async ({ signal, append }) => {
        await append({ type: "started" });
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        log.push("aborted");
        await append({ type: "partial" });
      });
    },
  });
  const world = worldOf({ model });
  await world.append("/s", configured("model"));
  await world.append("/s", { type: "ask" });
  await untilQuiet();
  expect((await world.engine.state("public", "/s")).consumers.model).toMatchObject({ cursor: 4, lag: 0 });
  await world.append("/s", { type: "stop" });
  await untilQuiet();
  expect(log).toEqual(["aborted"]);
  expect(await ofType(world, "partial")).toHaveLength(1);
  await pass(world, 3_000);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("what waits for another attempt is not forgotten when the stream is opened before that", async () => {
  const attempts: number[] = [];
  const failingOnce = defineProcessor({
    slug: "failing-once",
    initialState: null,
    reduce: () => null,
    afterAppend({ event, attempt }) {
      if (event.type !== "ping") return;
      attempts.push(attempt);
      if (attempt === 1) throw new Error("no");
    },
  });
  const scripts = { "failing-once": failingOnce };
  const world = worldOf(scripts);
  await world.append("/s", configured("failing-once"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  expect(attempts).toEqual([1]);
  await world.engine.close();
  const after = worldOf(scripts, { directory: world.directory, clock: world.clock });
  await after.append("/s", { type: "hello" });
  await pass(after, 5_000);
  expect(attempts).toEqual([1, 2]);
});

test("what is halted goes on at its cursor after a restart", async () => {
  const seen: string[] = [];
  const failing = defineProcessor({
    slug: "failing",
    initialState: null,
    reduce: () => null,
    afterAppend({ event }) {
      if (event.type === "bad" && seen.push(event.type) < 6) throw new Error("no");
      if (event.type === "good") seen.push(event.type);
    },
  });
  const world = worldOf({ failing });
  await world.append("/s", configured("failing"));
  await world.append("/s", [{ type: "bad" }, { type: "good" }]);
  await pass(world, 60_000);
  await world.engine.close();
  const after = worldOf({ failing }, { directory: world.directory, clock: world.clock });
  await after.append("/s", { type: builtin("dynamic-worker/resumed"), payload: { slug: "failing" } });
  await pass(after, 60_000);
  expect(seen).toEqual(["bad", "bad", "bad", "bad", "bad", "bad", "good"]);
});

test("each catch-up at one cursor is one of its own: what a later one appends is stored as well", async () => {
  const never = () => new Promise<void>(() => {});
  const working = defineProcessor({
    slug: "working",
    initialState: null,
    reduce: () => null,
    async afterAppend({ event, attempt, waitUntil }) {
      if (event.type === "ask") waitUntil("first", never);
      if (event.type === "ask-again" && attempt > 1) waitUntil("second", never);
      if (event.type === "ask-again") await never();
    },
    async afterCatchUp({ append, interrupted }) {
      const work = interrupted?.work.map(({ name }) => name);
      if (work !== undefined) await append({ type: "interrupted", payload: { work } });
    },
  });
  let world = worldOf({ working });
  await world.append("/s", configured("working"));
  await world.append("/s", [{ type: "ask" }, { type: "ask-again" }]);
  await untilQuiet();
  // One process after another ends in the middle of the same hook, the third one after it had begun more work.
  for (let crash = 0; crash < 3; crash++) {
    world = worldOf({ working }, { directory: world.directory, clock: createManualClock(world.clock.now()) });
    await pass(world, 3_000);
  }
  const interrupted = await ofType(world, "interrupted");
  expect(interrupted.map(({ payload }) => payload)).toEqual([{ work: ["first"] }, { work: [] }, { work: ["second"] }]);
});

test("a process that dies while an attempt is waited for has not died of it", async () => {
  let isMended = false;
  const failing = defineProcessor({
    slug: "failing",
    initialState: null,
    reduce: () => null,
    afterAppend({ event }) {
      if (event.type === "ping" && !isMended) throw new Error("no");
    },
  });
  let world = worldOf({ failing });
  await world.append("/s", configured("failing"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  for (let crash = 0; crash < 20; crash++) {
    world = worldOf({ failing }, { directory: world.directory, clock: createManualClock(world.clock.now()) });
    // Whoever appends has the stream opened, and its consumers with it.
    await world.append("/s", { type: "hello" });
    await pass(world, 20, 20);
  }
  isMended = true;
  await pass(world, 10_000);
  expect(await ofType(world, builtin("dynamic-worker/halted"))).toHaveLength(0);
  expect((await world.engine.state("public", "/s")).consumers.failing).toMatchObject({ lag: 0 });
});
