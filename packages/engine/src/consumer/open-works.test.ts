/** Long work beside the cursor: what ends it, who is told, and that nobody begins it a second time. */
import { defineProcessor, type HookArguments, type Work } from "@millrace/protocol";
import { expect, test } from "vitest";
import {
  acting,
  configured,
  errorsIn,
  gate,
  ofType,
  pass,
  removed,
  resumedFrom,
  worldOf,
} from "../../test/processors.ts";
import { builtin, untilQuiet, type World } from "../../test/world.ts";

const asking = (work: Work<number>, also: (args: HookArguments<number>) => void = () => {}) =>
  acting("p", "ask", (args) => {
    args.waitUntil("call", work);
    also(args);
  });

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

async function stateOf(world: World) {
  return (await world.engine.state("public", "/s")).consumers.p;
}

test("work sees the latest state and appends with keys of its own, while events behind it are acted on", async () => {
  const { opened, open } = gate();
  const work: Work<number> = async ({ state, append }) => {
    await append({ type: "began", payload: state() });
    await opened;
    await append({ type: "ended", payload: state() });
  };
  const world = worldOf({ p: asking(work) });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  await untilQuiet();
  expect(await stateOf(world)).toMatchObject({ lag: 0, work: ["call"] });
  await world.append("/s", [{ type: "more" }, { type: "more" }]);
  await untilQuiet();
  open();
  await pass(world, 3_000);
  const [began, ended] = [...(await ofType(world, "began")), ...(await ofType(world, "ended"))];
  expect(began?.source).toMatchObject({ cause: { offset: 3 }, depth: 1 });
  expect(Number(ended?.payload)).toBeGreaterThanOrEqual(Number(began?.payload) + 2);
  expect(await stateOf(world)).not.toHaveProperty("work");
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("a hundred pieces of work may be open, with names of some length, and no more", async () => {
  const { opened, open } = gate();
  const world = worldOf({
    p: acting("p", "ask", ({ event, waitUntil }) => {
      const { names } = event.payload as { names: string[] };
      for (const name of names) waitUntil(name, () => opened);
    }),
  });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask", payload: { names: ["x".repeat(1_001)] } });
  await pass(world, 60_000);
  await world.append("/s", resumedFrom("p", "head"));
  await world.append("/s", { type: "ask", payload: { names: Array.from({ length: 101 }, (_, i) => `work ${i}`) } });
  await untilQuiet();
  expect((await stateOf(world))?.work).toHaveLength(100);
  expect(await errorsIn(world)).toEqual([
    "The name of work has 1001 characters, more than 1000.",
    "100 pieces of work are open already; no more may be.",
  ]);
  open();
  await untilQuiet();
});

test("work that throws is told, once, and its processor goes on", async () => {
  const world = worldOf({
    p: asking(async () => {
      throw new Error("the model is away");
    }),
  });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  await pass(world, 3_000);
  const [error, ...more] = await ofType(world, builtin("error-occurred"));
  expect(more).toEqual([]);
  expect(error?.payload).toEqual({
    message: 'The work "call": the model is away',
    about: { kind: "processor", slug: "p", offset: 3 },
  });
  expect(await stateOf(world)).toMatchObject({ lag: 0 });
});

test("after fifteen minutes its signal is aborted, and that is told", async () => {
  const seen: string[] = [];
  const world = worldOf({
    p: asking(async ({ signal }) => {
      await untilAborted(signal);
      seen.push(signal.reason.message);
    }),
  });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  await untilQuiet();
  await pass(world, 899_000, 1_000);
  expect(seen).toEqual([]);
  await pass(world, 2_000);
  expect(seen).toEqual(["The work ran for more than 15 minutes."]);
  expect(await errorsIn(world)).toEqual(['The work "call": The work ran for more than 15 minutes.']);
  await pass(world, 3_000);
  expect(await stateOf(world)).not.toHaveProperty("work");
});

test("a hook that fails after it began work is called again, and the work goes on", async () => {
  let runs = 0;
  const { opened, open } = gate();
  const work = async () => {
    runs++;
    await opened;
  };
  const world = worldOf({
    p: asking(work, ({ attempt }) => {
      if (attempt < 3) throw new Error("no");
    }),
  });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  await pass(world, 60_000);
  expect(runs).toBe(1);
  expect(await errorsIn(world)).toEqual(["no"]);
  expect(await stateOf(world)).toMatchObject({ lag: 0, work: ["call"] });
  open();
  await pass(world, 3_000);
  expect(await stateOf(world)).not.toHaveProperty("work");
});

test("two works of one name at once are the mistake of the hook", async () => {
  const world = worldOf({ p: asking(({ signal }) => untilAborted(signal)) });
  await world.append("/s", configured("p"));
  await world.append("/s", [{ type: "ask" }, { type: "ask" }]);
  await untilQuiet();
  expect(await errorsIn(world)).toEqual(['Work named "call" is open already. Abort it, or name it otherwise.']);
});

test("a new version ends the work of the old one, and decides on it", async () => {
  const seen: string[] = [];
  const fresh = defineProcessor<null>({
    slug: "p",
    initialState: null,
    reduce: () => null,
    afterCatchUp({ interrupted }) {
      seen.push(JSON.stringify(interrupted ?? null));
    },
  });
  const old = asking(async ({ signal, append }) => {
    await untilAborted(signal);
    await append({ type: "late" }).catch((error) => seen.push(error.code));
  });
  const world = worldOf({ old, fresh });
  await world.append("/s", configured("p", "old"));
  await world.append("/s", { type: "ask" });
  await pass(world, 2_000);
  await world.append("/s", configured("p", "fresh"));
  await pass(world, 10_000);
  expect(seen).toEqual(["unavailable", '{"work":[{"name":"call","offset":3}]}']);
  expect(await ofType(world, "late")).toEqual([]);
  expect(await stateOf(world)).toMatchObject({ lag: 0 });
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("removal ends work, and refuses what it appends late", async () => {
  const seen: string[] = [];
  const world = worldOf({
    p: asking(async ({ signal, append }) => {
      await untilAborted(signal);
      await append({ type: "late" }).catch((error) => seen.push(error.code));
    }),
  });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  await pass(world, 2_000);
  await world.append("/s", removed("p"));
  await pass(world, 10_000);
  expect(seen).toEqual(["unavailable"]);
  expect((await world.directory.log("public", "/s").load()).progress).toEqual([]);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("a halt ends what runs of its processor", async () => {
  const seen: string[] = [];
  const p = defineProcessor<null>({
    slug: "p",
    initialState: null,
    reduce({ event }) {
      if (event.type === "poison") throw new Error("cannot");
      return null;
    },
    afterAppend({ event, waitUntil }) {
      if (event.type === "ask")
        waitUntil("call", ({ signal }) => untilAborted(signal).then(() => void seen.push("ended")));
    },
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  await untilQuiet();
  await world.append("/s", { type: "poison" });
  await pass(world, 10_000);
  expect(await ofType(world, builtin("dynamic-worker/halted"))).toHaveLength(1);
  expect(seen).toEqual(["ended"]);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("work that never settles is left behind, and its processor can be replaced", async () => {
  const world = worldOf({
    p: asking(() => new Promise(() => {})),
    other: acting("p", "ping", ({ append }) => void append({ type: "pong" })),
  });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ask" });
  await untilQuiet();
  await world.append("/s", configured("p", "other"));
  await world.append("/s", { type: "ping" });
  await pass(world, 15_000);
  expect(await ofType(world, "pong")).toHaveLength(1);
});

test("work begins with the commit that says so, whoever else of it still waits for an answer", async () => {
  const [hook, look, read] = [gate(), gate(), gate()];
  let isHeld = false;
  let begun = false;
  const p = acting("p", "ping", async ({ waitUntil }) => {
    await hook.opened;
    waitUntil("work", async () => {
      begun = true;
    });
  });
  const world = worldOf(
    { p },
    {
      async intercept({ operation }, proceed) {
        if (isHeld && operation === "findKeys") await look.opened;
        if (isHeld && operation === "read") await read.opened;
        return proceed();
      },
    },
  );
  const keyed = { type: "keyed", idempotencyKey: "once" };
  await world.append("/s", [configured("p"), keyed]);
  await pass(world, 5_000);
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  isHeld = true;
  const replayed = world.append("/s", keyed);
  await untilQuiet();
  hook.open();
  await untilQuiet();
  look.open();
  await untilQuiet();
  expect(begun).toBe(true);
  read.open();
  expect((await replayed)[0]).toMatchObject({ offset: 3 });
});
