/** The processor, the connection or the server is away for a while: what is missed, what is late, nothing twice. */
import path from "node:path";
import { fileCursors } from "@millrace/sdk/node";
import { type Cursors, defineProcessor, memoryCursors, type StreamEvent } from "@millrace/sdk/processor";
import { expect, test } from "vitest";
import { builtin, ofType, signalled, startWorld, types, type World } from "./world.ts";

interface Seen {
  acted: number[];
  decisions: unknown[];
  reduced: number;
}

/** Answers every question, and decides once for all that it missed. */
function answering(slug = "answerer") {
  const seen: Seen = { acted: [], decisions: [], reduced: 0 };
  const processor = defineProcessor<number>({
    slug,
    initialState: 0,
    reduce({ state, event }) {
      seen.reduced++;
      return event.type === "question" ? state + 1 : state;
    },
    async afterAppend({ event, append }) {
      if (event.type !== "question") return;
      seen.acted.push(event.offset);
      await append({ type: "answer" });
    },
    async afterCatchUp({ missed, interrupted, state, append }) {
      seen.decisions.push({ missed, interrupted, state });
      if (missed !== undefined) await append({ type: "summary", payload: state });
    },
  });
  return { seen, processor };
}

const breakerOff = {
  type: builtin("circuit-breaker-configured"),
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};
const questions = (count: number) => Array.from({ length: count }, () => ({ type: "question" }));
const causes = (events: readonly StreamEvent[], type: string) =>
  events.filter((event) => event.type === type).map(({ source }) => source?.cause?.offset);

/** One that answered a question, and was then stopped in good order. */
async function answerOnce(world: World, cursors: Cursors): Promise<void> {
  const answered = signalled<void>();
  const run = await world.start(answering().processor, "/s", {
    cursors,
    observer: { onActed: (_path, event) => event?.type === "answer" && answered.resolve() },
  });
  await world.client.append("/s", [breakerOff, { type: "question" }]);
  await answered.promise;
  await run.stop();
}

test("100 inputs while it is stopped: 100 reductions, no old call, one decision", async () => {
  const world = await startWorld();
  const cursors = () => fileCursors(path.join(world.data, "cursors.jsonl"));
  await answerOnce(world, cursors());
  await world.client.append("/s", questions(100));
  const head = (await world.client.state("/s")).head;
  const { seen, processor } = answering();
  await world.start(processor, "/s", { cursors: cursors() });
  const events = await world.until("/s", ofType("summary"));
  expect(seen.acted).toEqual([]);
  expect(seen.decisions).toEqual([
    { missed: { after: expect.any(Number), through: head }, interrupted: undefined, state: 101 },
  ]);
  // All of history, once each: the hundred among it.
  expect(seen.reduced).toBe(head);
  expect(events.at(-1)?.payload).toBe(101);
  await world.client.append("/s", { type: "question" });
  await world.until("/s", ofType("answer", 2));
  expect(seen.acted).toHaveLength(1);
});

test('with catchUp: "act" each of them is acted on, in order', async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  await answerOnce(world, cursors);
  await world.client.append("/s", questions(20));
  const { seen, processor } = answering();
  await world.start({ ...processor, catchUp: "act" }, "/s", { cursors });
  const events = await world.until("/s", ofType("answer", 21));
  expect(causes(events, "answer")).toEqual([3, ...Array.from({ length: 20 }, (_, i) => i + 5)]);
  expect(seen.acted).toHaveLength(20);
});

test("the first event after a restart that missed nothing is acted on", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  await answerOnce(world, cursors);
  const { seen, processor } = answering();
  await world.start(processor, "/s", { cursors });
  await world.client.append("/s", { type: "question" });
  await world.until("/s", ofType("answer", 2));
  expect([seen.acted, seen.decisions]).toEqual([[5], []]);
});

test("another version reduces history again, without effects", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  await answerOnce(world, cursors);
  const { seen, processor } = answering();
  const decided = signalled<void>();
  const run = await world.start({ ...processor, version: "2", initialState: 1_000 }, "/s", {
    cursors,
    observer: { onActed: (_path, event) => event === undefined && decided.resolve() },
  });
  await decided.promise;
  expect(run.state("/s")).toBe(1_001);
  expect([seen.acted, seen.decisions]).toEqual([[], [expect.objectContaining({ state: 1_001 })]]);
});

test("a server that stops and comes back: nothing lost, nothing twice, no decision", async () => {
  const world = await startWorld();
  const { seen, processor } = answering();
  await world.start(processor, "/s");
  await world.client.append("/s", [breakerOff, ...questions(5)]);
  await world.until("/s", ofType("answer", 5));
  for (let round = 0; round < 3; round++) {
    await world.stopServer();
    await world.startServer();
    await world.client.append("/s", questions(5));
  }
  const events = await world.until("/s", ofType("answer", 20));
  const asked = events.filter(({ type }) => type === "question").map(({ offset }) => offset);
  expect(causes(events, "answer")).toEqual(asked);
  expect(seen.decisions).toEqual([expect.objectContaining({ missed: undefined })]);
  expect(types(events)).not.toContain(builtin("error-occurred"));
});

test("answers that are lost on the way are no rivals, and no appends of their own", async () => {
  const world = await startWorld();
  const { processor } = answering();
  await world.start(processor, "/s");
  await world.client.append("/s", breakerOff);
  for (let i = 0; i < 10; i++) {
    await world.client.append("/s", questions(3));
    world.proxy.cut();
  }
  const events = await world.until("/s", ofType("answer", 30));
  expect(causes(events, "answer")).toEqual(
    events
      .filter(({ type }) => type === "question")
      .map(({ offset }) => offset)
      .slice(0, 30),
  );
  expect(types(await world.read("/s"))).not.toContain(builtin("error-occurred"));
});

test("a connection that is away for less than awayAfterMs loses no reaction", async () => {
  const world = await startWorld();
  const clock = aheadClock();
  const { seen, processor } = answering();
  await world.start(processor, "/s", { clock: clock.clock });
  await world.client.append("/s", breakerOff);
  await absence(world, async () => {
    clock.pass(10_000);
    await world.direct().append("/s", questions(10));
  });
  await world.until("/s", ofType("answer", 10));
  expect(seen.decisions).toEqual([expect.objectContaining({ missed: undefined })]);
});

test("away for longer: what came meanwhile is missed, also in streams born meanwhile, and what comes then is not", async () => {
  const world = await startWorld();
  const clock = aheadClock();
  const { seen, processor } = answering();
  await world.start(processor, "/a/*", { clock: clock.clock });
  await world.client.append("/a/old", { type: "question" });
  await world.until("/a/old", ofType("answer"));
  await absence(world, async () => {
    clock.pass(61_000);
    await world.direct().append("/a/old", questions(10));
    await world.direct().append("/a/new", questions(7));
  });
  await world.until("/a/old", ofType("summary"));
  await world.until("/a/new", ofType("summary"));
  expect(seen.acted).toEqual([2]);
  expect(seen.decisions).toContainEqual({
    missed: { after: expect.any(Number), through: 13 },
    interrupted: undefined,
    state: 11,
  });
  expect(seen.decisions).toContainEqual({ missed: { after: 0, through: 8 }, interrupted: undefined, state: 7 });
  await world.client.append("/a/new", { type: "question" });
  expect(causes(await world.until("/a/new", ofType("answer")), "answer")).toEqual([10]);
});

test("away for longer, and nothing came: what comes afterwards is acted on", async () => {
  const world = await startWorld();
  const clock = aheadClock();
  const { seen, processor } = answering();
  await world.start(processor, "/s", { clock: clock.clock });
  await world.client.append("/s", breakerOff);
  await absence(world, async () => clock.pass(61_000));
  // What came right before the absence may count as missed, and then a summary stands before this.
  const { event } = await world.client.append("/s", { type: "question" });
  await world.until("/s", ofType("answer"));
  expect(seen.acted).toEqual([event.offset]);
});

test("a small awayAfterMs is about connections: a quiet stream is no absence", async () => {
  const world = await startWorld();
  const clock = aheadClock();
  const { seen, processor } = answering();
  await world.start(processor, "/s", { clock: clock.clock, awayAfterMs: 100 });
  await world.client.append("/s", breakerOff);
  clock.pass(20_000);
  await world.client.append("/s", { type: "question" });
  await world.until("/s", ofType("answer"));
  expect(seen.acted).toEqual([3]);
});

test("a stop in the middle of an append waits for it, costs no attempt, and leaves nothing to be done again", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  const entered = signalled<void>();
  const go = signalled<void>();
  const processor = defineProcessor<number>({
    slug: "slow",
    initialState: 0,
    reduce: ({ state }) => state,
    async afterAppend({ event, append }) {
      if (event.type !== "question") return;
      entered.resolve();
      await go.promise;
      await append({ type: "answer" });
    },
  });
  const run = await world.start(processor, "/s", { cursors });
  await world.client.append("/s", { type: "question" });
  await entered.promise;
  const stopping = run.stop();
  go.resolve();
  await stopping;
  expect(types(await world.read("/s"))).toEqual([builtin("initialized"), "question", "answer"]);
  expect(JSON.parse((await cursors.load("/s"))?.progress ?? "")).toMatchObject({ failures: 0, exact: true });
});

/** A clock on which time passes as a test wants. */
function aheadClock() {
  let ahead = 0;
  return {
    pass: (ms: number) => {
      ahead += ms;
    },
    clock: {
      now: () => Date.now() + ahead,
      elapsedMs: () => performance.now(),
      setTimer(delayMs: number, run: () => void) {
        const timer = setTimeout(run, delayMs);
        return () => clearTimeout(timer);
      },
    },
  };
}

/** The processors' connections lead nowhere meanwhile; what a test appends gets through. */
async function absence(world: World, meanwhile: () => Promise<void> | void): Promise<void> {
  world.proxy.leadTo("http://127.0.0.1:9");
  world.proxy.cut();
  await meanwhile();
  world.proxy.leadTo(world.serverUrl());
}
