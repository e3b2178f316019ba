/** What goes wrong in a processor's own code: told once with slug, path and offset, tried again, then halted. */
import { defineProcessor, memoryCursors, type RunOptions, type StreamEvent } from "@millrace/sdk/processor";
import { expect, test } from "vitest";
import { z } from "zod";
import { hurried } from "./hurried-clock.ts";
import { builtin, isError, ofType, signalled, startWorld, types } from "./world.ts";

const base = defineProcessor<number>({ slug: "counter", initialState: 0, reduce: ({ state }) => state + 1 });
const errors = (events: readonly StreamEvent[]) =>
  events.filter(({ type }) => type === builtin("error-occurred")).map(({ payload }) => payload);

test.each([
  [
    "throws",
    () => {
      throw new Error("no more");
    },
    "reduce failed: no more",
  ],
  ["returns a promise", async () => 1, "reduce failed: reduce returned a promise; it has to be synchronous."],
])("a reducer that %s at offset 57 is halted there, which the stream and the log say", async (_, fault, message) => {
  const world = await startWorld();
  const acted: number[] = [];
  const processor = {
    ...base,
    reduce: ({ state, event }: { state: number; event: StreamEvent }) =>
      event.offset === 57 ? (fault() as unknown as number) : state + 1,
    afterAppend: ({ event }: { event: StreamEvent }) => void acted.push(event.offset),
  };
  const run = await world.start(processor, "/r");
  await world.client.append(
    "/r",
    Array.from({ length: 60 }, () => ({ type: "tick" })),
  );
  const told = (await world.until("/r", isError("goes no further"))).at(-1) as StreamEvent;
  expect(told.payload).toEqual({
    message: `counter goes no further here after 1 attempt: ${message} Start it again to go on.`,
    about: { kind: "processor", slug: "counter", offset: 57 },
  });
  expect(acted).toEqual(Array.from({ length: 56 }, (__, i) => i + 1));
  expect(run.state("/r")).toBe(56);
  expect(world.log.join("\n")).toContain("counter on /r at offset 57: ");
});

test("a hook that throws is tried again five times, then halted; started again it goes on at that event", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  let broken = true;
  const attempts: number[] = [];
  const processor = defineProcessor<number>({
    ...base,
    catchUp: "act",
    async afterAppend({ event, attempt, append }) {
      if (event.type !== "work") return;
      attempts.push(attempt);
      if (broken) throw new Error(`broken in attempt ${attempt}`);
      await append({ type: "worked" });
    },
  });
  const first = await world.start(processor, "/h", { cursors, clock: hurried() });
  await world.client.append("/h", { type: "work" });
  const told = await world.until("/h", isError("goes no further here after 5 attempts: broken in attempt 5"));
  expect(errors(told)).toHaveLength(2);
  expect(attempts).toEqual([1, 2, 3, 4, 5]);
  await first.stop();
  const again = await world.start(processor, "/h", { cursors, clock: hurried() });
  await world.until("/h", (event) => isError("goes no further")(event) && event.offset > (told.at(-1)?.offset ?? 0));
  expect(attempts).toHaveLength(10);
  await again.stop();
  broken = false;
  await world.start(processor, "/h", { cursors });
  const events = await world.until("/h", ofType("worked"));
  expect(events.at(-1)?.source?.cause).toEqual({ streamPath: "/h", offset: 2 });
});

test.each([
  ["what has no type", { payload: {} }, "An event has a type, which is a string"],
  ["an invalid built-in", { type: builtin("paused"), payload: { reason: 7 } }, "reason"],
  [
    "to a path without a dot",
    { path: "boris", event: { type: "x" } },
    '"boris" is no path: it begins with "/", "./" or "../".',
  ],
  [
    "to a path above the root",
    { path: "../../../x", event: { type: "x" } },
    '"../../../x" leads above the root from /a/b.',
  ],
])("a hook that appends %s is told what was wrong", async (_, input, message) => {
  const world = await startWorld();
  const processor = defineProcessor<number>({
    ...base,
    async afterAppend({ event, append }) {
      if (event.type === "go") await append(input as never);
    },
  });
  await world.start(processor, "/a/b");
  await world.client.append("/a/b", { type: "go" });
  const told = (await world.until("/a/b", isError(message))).at(-1) as StreamEvent;
  expect((told.payload as { about: unknown }).about).toEqual({ kind: "processor", slug: "counter", offset: 2 });
});

test("an append to another stream that is paused waits for its resumption, and costs no attempt", async () => {
  const world = await startWorld();
  const processor = defineProcessor<number>({
    ...base,
    async afterAppend({ event, append }) {
      if (event.type === "go") await append({ path: "/q/other", event: { type: "came" } });
    },
  });
  const refused = signalled<unknown>();
  await world.client.append("/q/other", { type: builtin("paused"), payload: {} });
  await world.start(processor, "/q/**", {
    observer: { onActed: (_path, event, _ms, error) => event?.type === "go" && refused.resolve(error) },
  });
  await world.client.append("/q/me", { type: "go" });
  expect(await refused.promise).toMatchObject({ code: "stream_paused" });
  await world.client.append("/q/other", { type: builtin("resumed"), payload: {} });
  await world.until("/q/other", ofType("came"));
  expect(errors(await world.read("/q/me"))).toEqual([]);
});

test("while the stream is paused no hook begins; on resumption everything is acted on, once", async () => {
  const world = await startWorld();
  const begun = signalled<void>();
  let aborted = 0;
  const processor = defineProcessor<number>({
    ...base,
    async afterAppend({ event, append, signal }) {
      if (event.type !== "go") return;
      begun.resolve();
      if (aborted === 0) {
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        aborted++;
        throw signal.reason;
      }
      await append({ type: "went" });
    },
  });
  await world.start(processor, "/z");
  await world.client.append("/z", { type: "go" });
  await begun.promise;
  await world.client.append("/z", { type: builtin("paused"), payload: {} });
  await world.client.append("/z", { type: builtin("resumed"), payload: {} });
  const events = await world.until("/z", ofType("went"));
  expect(events.at(-1)?.source?.cause).toEqual({ streamPath: "/z", offset: 2 });
  expect([aborted, errors(events)]).toEqual([1, []]);
});

test("long work is interrupted by abort(name) from a later hook, and leaves what it had so far in the log", async () => {
  const world = await startWorld();
  const processor = defineProcessor<string>({
    slug: "writer",
    initialState: "",
    reduce: ({ state, event }) => (event.type === "chunk" ? state + String(event.payload) : state),
    afterAppend({ event, waitUntil, abort }) {
      if (event.type === "stop") abort("write");
      if (event.type !== "write") return;
      waitUntil("write", async ({ signal, append, state }) => {
        await append({ type: "chunk", payload: "a" });
        await append({ type: "chunk", payload: "b" });
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        await append({ type: "interrupted", payload: state() });
      });
    },
  });
  await world.start(processor, "/w");
  await world.client.append("/w", { type: "write" });
  await world.until("/w", ofType("chunk", 2));
  await world.client.append("/w", { type: "stop" });
  const events = await world.until("/w", ofType("interrupted"));
  expect(types(events)).toEqual([builtin("initialized"), "write", "chunk", "chunk", "stop", "interrupted"]);
  expect(events.at(-1)?.payload).toBe("ab");
});

test("events with schemas: parsed, others not given, and one that does not parse is told and passed over", async () => {
  const world = await startWorld();
  const seen: unknown[] = [];
  const processor = defineProcessor({
    slug: "typed",
    initialState: 0,
    events: { "order-placed": z.object({ cents: z.coerce.number() }) },
    reduce: ({ state, event }) => state + event.payload.cents,
    async afterAppend({ event, append, state }) {
      seen.push(event.payload.cents);
      await append({ type: "total", payload: state });
    },
  });
  await world.start(processor, "/orders");
  await world.client.append("/orders", [
    { type: "order-placed", payload: { cents: "100" } },
    { type: "unknown" },
    { type: "order-placed", payload: { cents: "many" } },
    { type: "order-placed", payload: { cents: 5 } },
  ]);
  const events = await world.until("/orders", ofType("total", 2));
  expect(seen).toEqual([100, 5]);
  expect(events.at(-1)?.payload).toBe(105);
  expect(errors(events)).toEqual([
    {
      message: expect.stringMatching(/^The payload of event 4 of \/orders \(order-placed\) does not parse: cents: /),
      about: { kind: "processor", slug: "typed", offset: 4 },
    },
  ]);
});

test("two runtimes with the same slug: what they append stands once, and both are told", async () => {
  const world = await startWorld();
  const processor = defineProcessor<number>({
    ...base,
    async afterAppend({ event, append }) {
      if (event.type === "go") await append({ type: "went" });
    },
  });
  await Promise.all([world.start(processor, "/two"), world.start(processor, "/two")]);
  await world.client.append(
    "/two",
    Array.from({ length: 20 }, () => ({ type: "go" })),
  );
  await world.until("/two", isError("Another counter runs on /two"));
  const events = await world.until("/two", ofType("went", 20));
  const all = events.length > 42 ? events : await world.read("/two");
  expect(all.filter(({ type }) => type === "went").map(({ source }) => source?.cause?.offset)).toEqual(
    Array.from({ length: 20 }, (_, i) => i + 2),
  );
});

test("a state that is no JSON is never kept as something else: no snapshot, and the log says so", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  const processor = defineProcessor<Map<string, number>>({
    slug: "mapper",
    initialState: new Map(),
    reduce: ({ state, event }) => new Map([...state, [event.type, (state.get(event.type) ?? 0) + 1]]),
    async afterAppend({ event, state, append }) {
      if (event.type === "ask") await append({ type: "answer", payload: state.get("tick") });
    },
  });
  const acted = signalled<void>();
  const first = await world.start(processor, "/m", {
    cursors,
    observer: { onActed: (_path, event) => event?.type === "answer" && acted.resolve() },
  });
  for (let i = 0; i < 2; i++)
    await world.client.append(
      "/m",
      Array.from({ length: 1_000 }, () => ({ type: "tick" })),
    );
  await world.client.append("/m", { type: "ask" });
  await acted.promise;
  await world.read("/m");
  await first.stop();
  expect(world.log.join("\n")).toMatch(/The state of mapper on \/m at offset \d+ is not JSON: it is a Map/);
  await world.start(processor, "/m", { cursors });
  await world.client.append("/m", { type: "ask" });
  expect((await world.until("/m", ofType("answer", 2))).at(-1)?.payload).toBe(2_000);
});

test("what waits for its turn when its stream is paused does not begin later", async () => {
  const world = await startWorld();
  const begun = signalled<void>();
  const release = signalled<void>();
  const acted: string[] = [];
  const processor = defineProcessor<number>({
    ...base,
    async afterAppend({ event, append }) {
      if (event.type !== "go") return;
      acted.push(event.streamPath);
      begun.resolve();
      if (event.streamPath === "/t/a") await release.promise;
      await append({ type: "went" });
    },
  });
  await world.start(processor, "/t/*", { concurrency: 1 });
  await world.client.append("/t/a", { type: "go" });
  await begun.promise;
  await world.client.append("/t/b", { type: "go" });
  await world.client.append("/t/b", { type: builtin("paused"), payload: {} });
  // The connection has brought all of that when this one is seen.
  await world.client.append("/t/c", { type: "late" });
  release.resolve();
  await world.until("/t/a", ofType("went"));
  expect(acted).toEqual(["/t/a"]);
  await world.client.append("/t/b", { type: builtin("resumed"), payload: {} });
  await world.until("/t/b", ofType("went"));
  expect(acted).toEqual(["/t/a", "/t/b"]);
});

test("a timer that fires a moment before its time loses no attempt", async () => {
  const { client, start, until } = await startWorld();
  await client.append("/early", { type: "begun" });
  const hasty: NonNullable<RunOptions["clock"]> = {
    now: () => Date.now(),
    elapsedMs: () => performance.now(),
    setTimer(delayMs, run) {
      const timer = setTimeout(run, Math.max(delayMs - 5, 0));
      return () => clearTimeout(timer);
    },
  };
  const failsOnce = defineProcessor({
    slug: "once",
    initialState: null,
    reduce: () => undefined,
    async afterAppend({ event, attempt, append }) {
      if (event.type !== "try") return;
      if (attempt === 1) throw new Error("not yet");
      await append({ type: "done" });
    },
  });
  await start(failsOnce, "/early", { clock: hasty });
  await client.append("/early", { type: "try" });
  const events = await until("/early", ({ type }) => type === "done");
  expect(errors(events)).toHaveLength(1);
});
