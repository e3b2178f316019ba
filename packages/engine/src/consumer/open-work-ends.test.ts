/** Every end of open work that is not its own, and who learns of it: the table in ARCHITECTURE.md, row by row. */
import { defineProcessor, type Interrupted, type StreamEvent, type Work } from "@millrace/protocol";
import { expect, test } from "vitest";
import {
  acting,
  after,
  configured,
  errorsIn,
  gate,
  mortal,
  ofType,
  pass,
  removed,
  worldOf,
} from "../../test/processors.ts";
import { builtin, untilQuiet, type World } from "../../test/world.ts";

const paused = { type: builtin("paused") };
const resumed = { type: builtin("resumed") };
const resumedProcessor = { type: builtin("dynamic-worker/resumed"), payload: { slug: "p" } };
const forever: Work<number> = () => new Promise(() => {});

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
const untilCut: Work<number> = ({ signal }) => untilAborted(signal);

/** Begins work at each "ask", ends it at each "enough", and writes down its calls in their order. */
function asker(seen: string[], work: Work<number>, also: (event: StreamEvent, attempt: number) => unknown = () => {}) {
  return defineProcessor<number>({
    slug: "p",
    initialState: 0,
    reduce({ state, event }) {
      if (event.type === "poison") throw new Error("cannot");
      return event.type === "chunk" ? state + 1 : state;
    },
    async afterAppend({ event, attempt, waitUntil, abort }) {
      seen.push(`act ${event.offset} #${attempt}`);
      if (event.type === "ask") waitUntil("call", work);
      if (event.type === "enough") abort("call");
      await also(event, attempt);
    },
    async afterCatchUp({ state, append, interrupted }) {
      seen.push(`decide ${told(interrupted)}`);
      for (const { name } of interrupted?.work ?? []) {
        await append({ type: "interrupted", payload: { name, chunks: state } });
      }
    },
  });
}

function told(interrupted: Interrupted | undefined): string {
  if (interrupted === undefined) return "nothing";
  const works = interrupted.work.map(({ name, offset }) => `${name}@${offset}`);
  return [...(interrupted.offset === undefined ? [] : [interrupted.offset]), ...works].join(" ");
}

/** Its work is open since offset 3, and what was seen up to there is forgotten. */
async function asked(world: World, seen: string[] = []): Promise<void> {
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  await pass(world, 2_000);
  seen.splice(0);
}

const interruptions = async (world: World) => (await ofType(world, "interrupted")).map(({ payload }) => payload);

/** Nothing is left that would be told a second time. */
async function expectSettled(world: World): Promise<void> {
  expect((await world.engine.state("public", "/s")).consumers.p).not.toHaveProperty("work");
  expect((await world.directory.log("public", "/s").load()).wakeAt).toBeNull();
}

test("a pause: afterCatchUp settles it once the stream is resumed, before anything behind the pause is acted on", async () => {
  const seen: string[] = [];
  const world = worldOf({ p: asker(seen, untilCut) });
  await asked(world, seen);
  await world.append("/s", paused);
  await pass(world, 10_000);
  expect(seen).toEqual([]);
  expect((await world.engine.state("public", "/s")).consumers.p).not.toHaveProperty("work");
  await world.append("/s", resumed);
  await pass(world, 10_000);
  expect(seen).toEqual(["decide call@3", "act 4 #1", "act 5 #1", "act 6 #1"]);
  expect(await interruptions(world)).toEqual([{ name: "call", chunks: 0 }]);
  expect(await errorsIn(world)).toEqual([]);
  await expectSettled(world);
});

test("a pause, told once over any number of further pauses and restarts", async () => {
  const seen: string[] = [];
  const scripts = { p: asker(seen, untilCut) };
  let world = worldOf(scripts);
  await asked(world, seen);
  for (const round of [1, 2]) {
    await world.append("/s", { ...paused, payload: { reason: `round ${round}` } });
    await pass(world, 10_000);
    await world.engine.close();
    world = after(world, scripts);
    await world.append("/s", resumed);
    await pass(world, 10_000);
  }
  expect(seen.filter((line) => line.startsWith("decide"))).toEqual(["decide call@3"]);
  expect(await interruptions(world)).toHaveLength(1);
  await expectSettled(world);
});

test("a pause, and a crash while it lasts: told at the resumption, once", async () => {
  const seen: string[] = [];
  const world = mortal({ p: asker(seen, untilCut) });
  await asked(world, seen);
  await world.append("/s", paused);
  world.die();
  const next = after(world, { p: asker(seen, untilCut) });
  await next.append("/s", resumed);
  await pass(next, 10_000);
  expect(seen).toEqual(["decide call@3", "act 4 #1", "act 5 #1", "act 6 #1"]);
  await expectSettled(next);
});

test("an unclean end right behind the end of work: it was not interrupted, and nobody decides", async () => {
  const seen: string[] = [];
  const answering = asker(seen, async ({ append }) => void (await append({ type: "answered" })));
  const world = mortal({ p: answering });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  // No time passes: what is saved when nothing else happens is not on disk yet.
  await untilQuiet();
  world.die();
  seen.splice(0);
  const next = after(world, { p: answering });
  await next.append("/s", { type: "more" });
  await pass(next, 10_000);
  expect(await ofType(next, "answered")).toHaveLength(1);
  expect(seen).toEqual(["act 5 #1"]);
  await expectSettled(next);
});

test("a pause, with no afterCatchUp: told as an error once the stream is resumed", async () => {
  const world = worldOf({
    p: acting("p", "ask", ({ waitUntil }) => {
      waitUntil("call", untilCut);
      waitUntil("other", untilCut);
    }),
  });
  await asked(world);
  await world.append("/s", paused);
  await pass(world, 10_000);
  await world.append("/s", resumed);
  await pass(world, 10_000);
  expect(await errorsIn(world)).toEqual([
    'The work "call" was interrupted. It is not run again by itself.',
    'The work "other" was interrupted. It is not run again by itself.',
  ]);
  await expectSettled(world);
});

test("a pause that is over before the work is: nothing begins until the work has had its time", async () => {
  const seen: string[] = [];
  const world = worldOf({ p: asker(seen, forever) });
  await asked(world, seen);
  await world.append("/s", paused);
  await world.append("/s", [resumed, { type: "ask" }]);
  await pass(world, 4_000);
  expect(seen).toEqual([]);
  await pass(world, 2_000);
  expect(seen).toEqual(["decide call@3", "act 4 #1", "act 5 #1", "act 6 #1", "act 7 #1"]);
  expect(await errorsIn(world), "of a second work of this name").toEqual([]);
  expect((await world.engine.state("public", "/s")).consumers.p).toMatchObject({ work: ["call"] });
});

test("a pause while the hook that began it runs: the hook is called again, the work is not", async () => {
  const seen: string[] = [];
  const { opened, open } = gate();
  let runs = 0;
  const work: Work<number> = async ({ signal }) => {
    runs++;
    await untilAborted(signal);
  };
  const world = worldOf({ p: asker(seen, work, (event) => (event.type === "ask" ? opened : undefined)) });
  await asked(world, seen);
  await world.append("/s", paused);
  await pass(world, 10_000);
  open();
  await world.append("/s", resumed);
  await pass(world, 10_000);
  expect(seen).toEqual(["decide 3 call@3", "act 3 #2", "act 4 #1", "act 5 #1", "act 6 #1"]);
  expect(runs).toBe(1);
  await expectSettled(world);
});

test("a pause that is over before the hook is, which it ended: that costs no attempt and is no error", async () => {
  const seen: string[] = [];
  const p = acting("p", "ask", async ({ signal, attempt }) => {
    seen.push(`#${attempt}`);
    if (attempt === 1) await untilAborted(signal);
    if (attempt === 1) await new Promise((resolve) => setImmediate(resolve));
  });
  const world = worldOf({ p });
  await asked(world);
  await world.append("/s", paused);
  await world.append("/s", resumed);
  await untilQuiet();
  expect(seen).toEqual(["#1", "#2"]);
  expect(await errorsIn(world)).toEqual([]);
});

test("what it appended before the pause is there; what it appends at its end is refused", async () => {
  const seen: string[] = [];
  const refusals: string[] = [];
  const work: Work<number> = async ({ signal, append }) => {
    await append({ type: "chunk" });
    await append({ type: "chunk" });
    await untilAborted(signal);
    await append({ type: "chunk" }).catch((error) => refusals.push(error.code));
  };
  const world = worldOf({ p: asker(seen, work) });
  await asked(world, seen);
  await world.append("/s", paused);
  await pass(world, 10_000);
  await world.append("/s", resumed);
  await pass(world, 10_000);
  expect(refusals).toEqual(["stream_paused"]);
  expect(await interruptions(world)).toEqual([{ name: "call", chunks: 2 }]);
});

test.each(["ends", "dies"])("a server that %s: told at the next start", async (how) => {
  const seen: string[] = [];
  const world = mortal({ p: asker(seen, untilCut) });
  await asked(world, seen);
  if (how === "dies") world.die();
  else await world.engine.close();
  const next = after(world, { p: asker(seen, untilCut) });
  await pass(next, 10_000);
  expect(seen).toEqual(["decide call@3", "act 4 #1"]);
  expect(await interruptions(next)).toEqual([{ name: "call", chunks: 0 }]);
  await expectSettled(next);
});

test("another server that took over: it tells, and the work that goes on elsewhere appends nothing more", async () => {
  const seen: string[] = [];
  const { opened, open } = gate();
  const refusals: string[] = [];
  const work: Work<number> = async ({ append }) => {
    await opened;
    await append({ type: "late" }).catch((error) => refusals.push(error.code));
  };
  const world = worldOf({ p: asker([], work) });
  await asked(world);
  const other = after(world, { p: asker(seen, work) });
  await other.append("/s", { type: "hello" });
  await pass(other, 10_000);
  open();
  await untilQuiet();
  await pass(other, 10_000);
  expect(seen).toEqual(["decide call@3", "act 4 #1", "act 5 #1"]);
  expect(await interruptions(other)).toHaveLength(1);
});

test("a halt: told when its processor is resumed, also after a restart", async () => {
  for (const restarts of [false, true]) {
    const seen: string[] = [];
    let fails = true;
    const failing = (event: StreamEvent) => {
      if (fails && event.type === "ping") throw new Error("no");
    };
    const scripts = { p: asker(seen, untilCut, failing) };
    let world = worldOf(scripts);
    await asked(world);
    await world.append("/s", { type: "ping" });
    await pass(world, 60_000);
    expect(await ofType(world, builtin("dynamic-worker/halted"))).toHaveLength(1);
    expect((await world.engine.state("public", "/s")).consumers.p).not.toHaveProperty("work");
    seen.splice(0);
    fails = false;
    if (restarts) {
      await world.engine.close();
      world = after(world, scripts);
    }
    await world.append("/s", resumedProcessor);
    await pass(world, 10_000);
    expect(seen.slice(0, 2)).toEqual(["decide call@3", "act 4 #1"]);
    expect(await interruptions(world)).toHaveLength(1);
    await expectSettled(world);
  }
});

test("a new version without afterCatchUp: told as an error", async () => {
  const world = worldOf({ p: asker([], untilCut), plain: acting("p", "never", () => {}) });
  await asked(world);
  await world.append("/s", configured("p", "plain"));
  await pass(world, 10_000);
  expect(await errorsIn(world)).toEqual(['The work "call" was interrupted. It is not run again by itself.']);
  await expectSettled(world);
});

test("a pause that ends with a new version: that is told", async () => {
  const seen: string[] = [];
  const world = worldOf({ p: asker([], untilCut), fresh: asker(seen, untilCut) });
  await asked(world);
  await world.append("/s", paused);
  await pass(world, 10_000);
  await world.append("/s", [resumed, configured("p", "fresh")]);
  await pass(world, 10_000);
  expect(seen[0]).toBe("decide call@3");
  expect(await interruptions(world)).toHaveLength(1);
  await expectSettled(world);
});

test.each([
  ["removal", (world: World) => world.append("/s", removed("p"))],
  ["deletion", (world: World) => world.engine.delete("public", "/s", { children: false })],
  ["a beginning anew", (world: World) => world.append("/s", configured("p", "p", { startFrom: "end" }))],
])("%s: its signal is aborted, and nobody is told", async (_, end) => {
  const seen: string[] = [];
  const reasons: string[] = [];
  const work: Work<number> = async ({ signal }) => {
    await untilAborted(signal);
    reasons.push(signal.reason.message);
  };
  const world = worldOf({ p: asker(seen, work) });
  await asked(world, seen);
  await end(world);
  await pass(world, 10_000);
  expect(reasons).toHaveLength(1);
  expect(seen.filter((line) => line.includes("call"))).toEqual([]);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("its own wish: nobody is told, also where a pause comes before the work has ended", async () => {
  const seen: string[] = [];
  const world = worldOf({ p: asker(seen, forever) });
  await asked(world, seen);
  await world.append("/s", { type: "enough" });
  await untilQuiet();
  await world.append("/s", paused);
  await pass(world, 10_000);
  await world.append("/s", resumed);
  await pass(world, 10_000);
  expect(seen.filter((line) => line.startsWith("decide"))).toEqual([]);
  expect(await errorsIn(world)).toEqual([]);
  await expectSettled(world);
});

test("its own wish: nobody is told, also where the server ends before the work has", async () => {
  const seen: string[] = [];
  const world = worldOf({ p: asker(seen, forever) });
  await asked(world, seen);
  await world.append("/s", { type: "enough" });
  await untilQuiet();
  const closing = world.engine.close();
  await pass(world, 10_000);
  await closing;
  const next = after(world, { p: asker(seen, forever) });
  await pass(next, 10_000);
  expect(seen.filter((line) => line.startsWith("decide"))).toEqual([]);
});

test("fifteen minutes: told as an error, for each piece of work, also where its hook had failed before", async () => {
  const world = worldOf({
    p: acting("p", "ask", ({ waitUntil, attempt }) => {
      waitUntil("call", untilCut);
      waitUntil("other", untilCut);
      if (attempt === 1) throw new Error("not yet");
    }),
  });
  await asked(world);
  await pass(world, 910_000, 1_000);
  expect(await errorsIn(world)).toEqual([
    "not yet",
    'The work "call": The work ran for more than 15 minutes.',
    'The work "other": The work ran for more than 15 minutes.',
  ]);
  await expectSettled(world);
});

test("fifteen minutes, and a pause before it has ended: told once", async () => {
  const seen: string[] = [];
  const world = worldOf({ p: asker(seen, forever) });
  await asked(world, seen);
  await pass(world, 898_500);
  await world.append("/s", { type: "still here" });
  await pass(world, 1_000);
  await world.append("/s", paused);
  await pass(world, 10_000);
  await world.append("/s", resumed);
  await pass(world, 10_000);
  expect(await errorsIn(world)).toEqual(['The work "call": The work ran for more than 15 minutes.']);
  expect(seen.filter((line) => line.startsWith("decide"))).toEqual([]);
});
