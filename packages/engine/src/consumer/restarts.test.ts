/** How a server ends, and what the next one does: after an orderly stop nothing is in doubt, after a crash everything is. */
import { defineProcessor } from "@millrace/protocol";
import { expect, test } from "vitest";
import { acting, after, configured, errorsIn, mortal, ofType, pass, worldOf } from "../../test/processors.ts";
import { builtin, createWorld, untilQuiet } from "../../test/world.ts";
import { processorKind } from "./processors.ts";

/** Tells what its calls were given, and ends as the test says. */
function witness(seen: string[], act: (attempt: number) => Promise<void> | void = () => {}) {
  return defineProcessor<number>({
    slug: "p",
    initialState: 0,
    reduce: ({ state }) => state + 1,
    async afterAppend({ event, attempt }) {
      if (event.type !== "ping") return;
      seen.push(`act ${event.offset} #${attempt}`);
      await act(attempt);
    },
    afterCatchUp({ state, missed, interrupted }) {
      seen.push(`decide at ${state} ${JSON.stringify({ missed, interrupted })}`);
    },
  });
}

const forever = () => new Promise<void>(() => {});

test("after an orderly stop nothing is done twice, and no attempt is counted", async () => {
  const seen: string[] = [];
  const world = worldOf({ p: witness(seen) });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  await world.engine.close();
  const next = after(world, { p: witness(seen) });
  await next.append("/s", { type: "ping" });
  await pass(next, 5_000);
  expect(seen).toEqual(["decide at 2 {}", "act 3 #1", "act 4 #1"]);
  await next.engine.close();
});

test("an orderly stop in the middle of a backlog goes on in its middle", async () => {
  const seen: string[] = [];
  let hold = true;
  const p = witness(seen, () => (hold && seen.length === 3 ? forever() : undefined));
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", [{ type: "ping" }, { type: "ping" }, { type: "ping" }]);
  await untilQuiet();
  expect(seen).toEqual(["decide at 2 {}", "act 3 #1", "act 4 #1"]);
  const closing = world.engine.close();
  await pass(world, 6_000);
  await closing;
  hold = false;
  const next = after(world, { p });
  await pass(next, 5_000);
  expect(seen.slice(3), "the call that was ended is named; the one behind it never began").toEqual([
    'decide at 3 {"interrupted":{"offset":4,"work":[]}}',
    "act 4 #2",
    "act 5 #1",
  ]);
  expect(await errorsIn(next)).toEqual([]);
});

test("a server that died in a hook: the next one decides, and calls it a second time", async () => {
  const seen: string[] = [];
  const first = mortal({ p: witness(seen, forever) });
  await first.append("/s", configured("p"));
  await first.append("/s", [{ type: "ping" }, { type: "ping" }]);
  await untilQuiet();
  first.die();
  const next = after(first, { p: witness(seen) });
  await pass(next, 5_000);
  expect(seen).toEqual([
    "decide at 2 {}",
    "act 3 #1",
    'decide at 2 {"interrupted":{"offset":3,"work":[]}}',
    "act 3 #2",
    "act 4 #1",
  ]);
  expect((await next.engine.state("public", "/s")).consumers.p).toMatchObject({ lag: 0 });
});

test("a server that died idle has interrupted nothing, also when the progress was never saved alone", async () => {
  const seen: string[] = [];
  const first = mortal({ p: witness(seen) });
  await first.append("/s", configured("p"));
  await first.append("/s", { type: "ping" });
  await pass(first, 3_000);
  first.die();
  const next = after(first, { p: witness(seen) });
  await next.append("/s", { type: "ping" });
  await pass(next, 3_000);
  expect(seen).toEqual(["decide at 2 {}", "act 3 #1", "act 4 #1"]);
});

test("fifteen servers that died in the same hook: it is halted", async () => {
  const seen: string[] = [];
  const p = acting("p", "ping", ({ attempt }) => {
    seen.push(`#${attempt}`);
    return forever();
  });
  let world = mortal({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  for (let n = 0; n < 16; n++) {
    await pass(world, 2_000);
    world.die();
    world = mortal({ p }, { directory: world.directory, clock: world.clock });
  }
  await pass(world, 2_000);
  expect(seen).toEqual(Array.from({ length: 15 }, (_, i) => `#${i + 1}`));
  const halted = await ofType(world, builtin("dynamic-worker/halted"));
  expect(halted.map(({ payload }) => payload)).toEqual([expect.objectContaining({ offset: 3, attempts: 15 })]);
});

test.each([
  ["dies", true],
  ["stops in order", false],
])("open work of a server that %s is found as interrupted, and not run again by itself", async (_, dies) => {
  const seen: string[] = [];
  const model = defineProcessor<null>({
    slug: "model",
    initialState: null,
    reduce: () => null,
    afterAppend({ event, waitUntil }) {
      if (event.type !== "ask") return;
      waitUntil("call", async ({ signal }) => {
        seen.push("runs");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      });
    },
    async afterCatchUp({ interrupted, append }) {
      seen.push(JSON.stringify(interrupted ?? null));
      for (const { name } of interrupted?.work ?? []) await append({ type: "interrupted", payload: name });
    },
  });
  const world = mortal({ model });
  await world.append("/s", configured("model"));
  await world.append("/s", { type: "ask" });
  await pass(world, 2_000);
  if (dies) world.die();
  else await world.engine.close();
  const next = after(world, { model });
  await pass(next, 3_000);
  expect(seen).toEqual(["null", "runs", '{"work":[{"name":"call","offset":3}]}']);
  expect((await ofType(next, "interrupted")).map(({ payload }) => payload)).toEqual(["call"]);
  expect(await errorsIn(next)).toEqual([]);
  expect((await next.directory.log("public", "/s").load()).wakeAt, "nothing is owed").toBeNull();
});

test("open work of a processor that does not decide is told as an error, once", async () => {
  const runs: number[] = [];
  const p = acting("p", "ask", ({ waitUntil }) => {
    waitUntil("call", () => {
      runs.push(1);
      return forever();
    });
  });
  let world = mortal({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  for (let n = 0; n < 3; n++) {
    await pass(world, 3_000);
    world.die();
    world = mortal({ p }, { directory: world.directory, clock: world.clock });
  }
  await pass(world, 3_000);
  expect(runs).toHaveLength(1);
  expect(await errorsIn(world)).toEqual(['The work "call" was interrupted. It is not run again by itself.']);
});

test("a stream that is paused at the start keeps its processor waiting, and nothing is halted for it", async () => {
  const seen: string[] = [];
  const world = worldOf({ p: witness(seen) });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 2_000);
  await world.append("/s", [{ type: "ping" }, { type: builtin("paused") }]);
  await pass(world, 2_000);
  await world.engine.close();
  const next = after(world, { p: witness(seen) });
  await pass(next, 10_000);
  expect(next.clock.nextTimerInMs(), "a paused stream has no claim").toBeUndefined();
  await next.engine.state("public", "/s");
  await pass(next, 10_000);
  expect(await ofType(next, builtin("dynamic-worker/halted"))).toEqual([]);
  expect(seen).toEqual(["decide at 2 {}", "act 3 #1"]);
  await next.append("/s", { type: builtin("resumed") });
  await pass(next, 3_000);
  expect(seen.slice(2)).toEqual(["act 4 #1"]);
});

test("a processor that is halted stays so over a restart, and has no claim", async () => {
  const p = acting("p", "ping", () => {
    throw new Error("no");
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 60_000);
  await world.engine.close();
  expect((await world.directory.log("public", "/s").load()).wakeAt).toBeNull();
  const next = after(world, { p });
  await next.append("/s", { type: "ping" });
  await pass(next, 60_000);
  expect(await ofType(next, builtin("dynamic-worker/halted"))).toHaveLength(1);
  expect((await next.engine.state("public", "/s")).consumers.p).toMatchObject({
    halted: { offset: 3, message: "no" },
  });
  expect(next.clock.nextTimerInMs()).toBeUndefined();
});

test("a stream that leaves memory while its processor waits for the next attempt interrupted nothing", async () => {
  const seen: string[] = [];
  const p = witness(seen, () => {
    throw new Error("no");
  });
  const world = worldOf({ p }, { limits: { openStreams: 2 } });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  for (let n = 0; n < 30; n++) {
    await pass(world, 1_000);
    await world.append(`/other${n}`, { type: "hello" });
    await world.append(`/another${n}`, { type: "hello" });
  }
  expect(seen).toEqual(["decide at 2 {}", "act 3 #1", "act 3 #2", "act 3 #3", "act 3 #4", "act 3 #5"]);
});

test("a stream that leaves memory while it is paused has interrupted nothing", async () => {
  const seen: string[] = [];
  const world = worldOf({ p: witness(seen) }, { limits: { openStreams: 2 } });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 2_000);
  await world.append("/s", [{ type: "ping" }, { type: builtin("paused") }]);
  for (let n = 0; n < 5; n++) {
    await pass(world, 1_000);
    await world.append(`/other${n}`, { type: "hello" });
    await world.append(`/another${n}`, { type: "hello" });
  }
  await world.append("/s", { type: builtin("resumed") });
  await pass(world, 3_000);
  expect(seen).toEqual(["decide at 2 {}", "act 3 #1", "act 4 #1"]);
});

test("a server that died in the first call after a pause: that call counts", async () => {
  const seen: string[] = [];
  const hangs = defineProcessor<null>({
    slug: "p",
    initialState: null,
    reduce: () => null,
    async afterAppend({ event, attempt, signal }) {
      if (event.type !== "ping") return;
      seen.push(`#${attempt}`);
      if (attempt === 1) await new Promise((resolve) => signal.addEventListener("abort", resolve));
      if (attempt === 2) await forever();
    },
  });
  const first = mortal({ p: hangs });
  await first.append("/s", configured("p"));
  await first.append("/s", { type: "ping" });
  await untilQuiet();
  await first.append("/s", { type: builtin("paused") });
  await pass(first, 3_000);
  await first.append("/s", { type: builtin("resumed") });
  await untilQuiet();
  first.die();
  const next = after(first, { p: hangs });
  await pass(next, 3_000);
  expect(seen).toEqual(["#1", "#2", "#3"]);
});

test("whoever waited for a paused stream waits for it no more once it went on without, and can leave memory", async () => {
  const p = acting("p", "ping", async ({ append }) => {
    await append({ path: "/other", event: { type: "pong" } });
  });
  const world = worldOf({ p }, { limits: { openStreams: 2 } });
  await world.append("/other", { type: builtin("paused") });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 500);
  await world.engine.delete("public", "/other", { children: false });
  await pass(world, 5_000);
  expect(await ofType(world, "pong", "/other")).toHaveLength(1);
  for (let n = 0; n < 5; n++) {
    await world.append(`/another${n}`, { type: "hello" });
    await pass(world, 2_000);
  }
  expect(world.engine.gauges().consumers).toBe(0);
});

test("a server that died in a hook, and one that ended before the code was loaded: that call counts", async () => {
  const seen: string[] = [];
  const dying = mortal({
    p: witness(seen, () => {
      dying.die();
      return new Promise(() => {});
    }),
  });
  await dying.append("/s", configured("p"));
  await pass(dying, 2_000);
  await dying.append("/s", { type: "ping" });
  await untilQuiet();
  const never = processorKind(() => new Promise(() => {}));
  const ending = createWorld({ directory: dying.directory, clock: dying.clock, consumers: [never] });
  await pass(ending, 2_000);
  await ending.engine.close();
  await pass(after(ending, { p: witness(seen) }), 2_000);
  expect(seen.slice(1)).toEqual(["act 3 #1", 'decide at 2 {"interrupted":{"offset":3,"work":[]}}', "act 3 #2"]);
});
