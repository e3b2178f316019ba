/** What a hook appends: where to, how often, and what becomes of it when the other stream is paused or the own one is gone. */
import { defineProcessor } from "@millrace/protocol";
import { expect, test } from "vitest";
import { acting, after, configured, errorsIn, gate, mortal, ofType, pass, worldOf } from "../../test/processors.ts";
import { builtin, untilQuiet } from "../../test/world.ts";

const pausedEvent = { type: builtin("paused") };
const resumedEvent = { type: builtin("resumed") };

test.each([
  ["/team/alice", "./boris", "/team/alice/boris"],
  ["/team/alice", "../boris", "/team/boris"],
  ["/team/alice", "..", "/team"],
  ["/team/alice", "../..", "/"],
  ["/team/alice", "../../", "/"],
  ["/team/alice", ".", "/team/alice"],
  ["/team/alice", "/other", "/other"],
  ["/", "./child", "/child"],
])("from %s to %s is %s", async (own, aim, reached) => {
  const p = acting("p", "ping", async ({ append }) => {
    const stored = await append({ event: { type: "pong" }, path: aim });
    expect(stored).toMatchObject({ streamPath: reached, type: "pong", payload: {} });
  });
  const world = worldOf({ p });
  await world.append(own, configured("p"));
  await world.append(own, { type: "ping" });
  await pass(world, 2_000);
  expect(await errorsIn(world, own)).toEqual([]);
  expect((await ofType(world, "pong", reached)).map(({ source }) => source)).toEqual([
    { kind: "processor", slug: "p", cause: { streamPath: own, offset: 3 }, depth: 1 },
  ]);
});

test("only a call that may have been made before looks for what it appended", async () => {
  const asked: unknown[] = [];
  let fails = true;
  const p = acting("p", "ping", async ({ append }) => {
    await append({ type: "pong" });
    const failing = fails;
    fails = false;
    if (failing) throw new Error("once");
  });
  const world = worldOf(
    { p },
    {
      intercept(call, proceed) {
        if (call.operation === "findKeys") asked.push(...(call.arguments[0] as unknown[]));
        return proceed();
      },
    },
  );
  const ofHook = () => asked.filter((key) => String(key).endsWith("/3/0"));
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  expect(await ofType(world, "pong")).toHaveLength(1);
  expect(ofHook()).toEqual([]);
  await pass(world, 2_000);
  expect(ofHook()).toHaveLength(1);
  expect(await ofType(world, "pong")).toHaveLength(1);
});

test("after a crash all that may have been acted on is looked for, however far the cursor on disk lies behind", async () => {
  // On the own stream each append would save the cursor.
  const p = acting("p", "ping", async ({ append }) => void (await append({ path: "/other", event: { type: "pong" } })));
  const world = mortal({ p });
  await world.append("/s", configured("p"));
  await world.append(
    "/s",
    Array.from({ length: 20 }, () => ({ type: "ping" })),
  );
  await untilQuiet();
  world.die();
  const next = after(world, { p });
  await next.append("/s", { type: "ping" });
  await untilQuiet();
  expect(next.failures).toEqual([]);
  expect(await ofType(next, "pong", "/other")).toHaveLength(21);
});

test("an append is committed when its promise settles, also before the hook has returned", async () => {
  const { opened, open } = gate();
  const p = acting("p", "ping", async ({ append }) => {
    await append({ type: "first" });
    await opened;
    await append({ type: "second" });
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  expect(await ofType(world, "first")).toHaveLength(1);
  expect(await ofType(world, "second")).toHaveLength(0);
  open();
  await untilQuiet();
  expect(await ofType(world, "second")).toHaveLength(1);
});

test("appends that nobody awaits are waited for, in the order in which they were called", async () => {
  const p = acting("p", "ping", ({ append }) => {
    for (let n = 1; n <= 5; n++) void append({ type: "n", payload: n });
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  expect((await ofType(world, "n")).map(({ payload }) => payload)).toEqual([1, 2, 3, 4, 5]);
});

test("an append that nobody awaits and that fails in the end fails the hook, which is called again for all of them", async () => {
  const p = acting("p", "ping", ({ append }) => {
    void append({ type: "good" });
    void append({ event: { type: "better" }, path: "/other" });
  });
  const world = worldOf({ p });
  await world.append("/other", pausedEvent);
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 500);
  expect((await world.engine.state("public", "/s")).consumers.p).toMatchObject({ cursor: 2 });
  await world.append("/other", resumedEvent);
  await pass(world, 2_000);
  expect(await ofType(world, "good"), "exactly once").toHaveLength(1);
  expect(await ofType(world, "better", "/other")).toHaveLength(1);
  expect((await world.engine.state("public", "/s")).consumers.p).toMatchObject({ lag: 0 });
});

test("what was appended before a failure is not appended again", async () => {
  const p = acting("p", "ping", async ({ append, attempt }) => {
    const own = await append({ type: "own", payload: attempt });
    const other = await append({ event: { type: "other", payload: attempt }, path: "/other" });
    expect([own.payload, other.payload], "the stored ones").toEqual([1, 1]);
    if (attempt < 3) throw new Error("no");
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 10_000);
  expect(await ofType(world, "own")).toHaveLength(1);
  expect(await ofType(world, "other", "/other")).toHaveLength(1);
});

test("an idempotency key of the author's own holds across events", async () => {
  const p = acting("p", "ping", async ({ append }) => {
    await append({ type: "welcome", idempotencyKey: "welcome" });
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", [{ type: "ping" }, { type: "ping" }]);
  await pass(world, 2_000);
  expect(await ofType(world, "welcome")).toHaveLength(1);
  expect(await errorsIn(world)).toEqual([]);
});

test("an append to another stream that is paused waits for its resume, and costs no attempt", async () => {
  const attempts: number[] = [];
  const p = acting("p", "ping", async ({ append, attempt }) => {
    attempts.push(attempt);
    await append({ event: { type: "pong" }, path: "/other" });
  });
  const world = worldOf({ p });
  await world.append("/other", pausedEvent);
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 24 * 3_600_000, 60_000);
  const tried = attempts.length;
  expect(tried, "seldom, and never halted").toBeLessThan(40);
  expect(await ofType(world, builtin("dynamic-worker/halted"))).toEqual([]);
  expect(await errorsIn(world)).toEqual([]);
  await world.append("/other", resumedEvent);
  await untilQuiet();
  expect(attempts, "at once").toHaveLength(tried + 1);
  expect(await ofType(world, "pong", "/other")).toHaveLength(1);
  await pass(world, 2 * 3_600_000, 60_000);
  expect(attempts).toHaveLength(tried + 1);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("a hook may catch that the other stream is paused", async () => {
  const p = acting("p", "ping", async ({ append }) => {
    try {
      await append({ event: { type: "pong" }, path: "/other" });
    } catch (error) {
      await append({ type: "could not", payload: (error as { code: string }).code });
    }
  });
  const world = worldOf({ p });
  await world.append("/other", pausedEvent);
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 3_000);
  expect((await ofType(world, "could not")).map(({ payload }) => payload)).toEqual(["stream_paused"]);
  expect((await world.engine.state("public", "/s")).consumers.p).toMatchObject({ lag: 0 });
});

test("resumed only after a restart: the ladder comes to it", async () => {
  const attempts: number[] = [];
  const p = acting("p", "ping", async ({ append, attempt }) => {
    attempts.push(attempt);
    await append({ event: { type: "pong" }, path: "/other" });
  });
  const world = worldOf({ p });
  await world.append("/other", pausedEvent);
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 60_000);
  await world.engine.close();
  const next = after(world, { p });
  await next.append("/other", resumedEvent);
  expect(await ofType(next, "pong", "/other")).toHaveLength(0);
  await pass(next, 90_000);
  expect(await ofType(next, "pong", "/other")).toHaveLength(1);
  expect(await errorsIn(next)).toEqual([]);
  await pass(next, 3_000);
  expect(next.clock.nextTimerInMs()).toBeUndefined();
});

test("a pause of the own stream aborts the hook, costs no attempt, and the hook is called again when it is resumed", async () => {
  const seen: string[] = [];
  const p = defineProcessor<null>({
    slug: "p",
    initialState: null,
    reduce: () => null,
    async afterAppend({ event, attempt, signal, append }) {
      if (event.type !== "ping") return;
      seen.push(`attempt ${attempt}`);
      if (attempt === 1) {
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        seen.push(signal.reason.message);
        await append({ type: "late" }).catch((error) => seen.push(error.code));
      }
    },
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  await world.append("/s", pausedEvent);
  await pass(world, 600_000, 10_000);
  expect(seen).toEqual(["attempt 1", "The stream was paused.", "stream_paused"]);
  expect(world.clock.nextTimerInMs(), "nothing waits").toBeUndefined();
  expect((await world.engine.state("public", "/s")).consumers.p).toMatchObject({ cursor: 2 });
  await world.append("/s", resumedEvent);
  await pass(world, 3_000);
  expect(seen.slice(3)).toEqual(["attempt 2"]);
  expect(await errorsIn(world)).toEqual([]);
  expect((await world.engine.state("public", "/s")).consumers.p).toMatchObject({ lag: 0 });
});

test("a hook of a stream that was deleted is aborted, and what it appends late is refused: the stream is gone", async () => {
  const seen: string[] = [];
  const p = acting("p", "ping", async ({ append, signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await append({ type: "late" }).catch((error) => seen.push(error.code));
    await append({ event: { type: "late" }, path: "/other" }).catch((error) => seen.push(error.code));
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  await world.engine.delete("public", "/s", { children: false });
  await pass(world, 10_000);
  expect(seen).toEqual(["stream_deleted", "stream_deleted"]);
  expect(await world.events("/s")).toEqual([]);
  expect(await world.events("/other")).toEqual([]);
  await world.append("/s", { type: "ping" });
  await pass(world, 10_000);
  expect((await world.events("/s")).map(({ type }) => type)).toEqual([builtin("initialized"), "ping"]);
});
