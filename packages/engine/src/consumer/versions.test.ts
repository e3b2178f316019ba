/** Versions of a processor: replaced while it runs, rolled back, removed, configured anew, sent on after a halt. */
import { defineProcessor, type Processor } from "@millrace/protocol";
import type { Intercept } from "@millrace/testing";
import { describe, expect, test } from "vitest";
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
  resumedFrom,
  schemasOf,
  worldOf,
} from "../../test/processors.ts";
import { builtin, createWorld, untilQuiet } from "../../test/world.ts";
import { type Configuration, processorKind } from "./processors.ts";

const echo = (slug: string, answer = "echo") =>
  acting(slug, "ping", async ({ append, event }) => {
    await append({ type: answer, payload: { of: event.offset } });
  });

test("a version that is replaced has five seconds for its running hook; then it is fenced, and the new one goes on", async () => {
  const seen: string[] = [];
  const { opened, open } = gate();
  const old = acting("p", "ping", async ({ append, signal }) => {
    await append({ type: "begun" });
    signal.addEventListener("abort", () => seen.push(`aborted: ${signal.reason.message}`));
    await opened;
    await append({ type: "late" }).catch((error) => seen.push(`refused: ${error.code}`));
  });
  const fresh = defineProcessor<number>({
    slug: "p",
    initialState: 0,
    reduce: ({ state }) => state + 1,
    afterCatchUp({ state, missed, interrupted }) {
      seen.push(`decides at ${state}, missed ${JSON.stringify(missed)}, interrupted ${JSON.stringify(interrupted)}`);
    },
    afterAppend({ event, attempt, state }) {
      seen.push(`new ${event.type} #${attempt} at ${state}`);
    },
  });
  const world = worldOf({ old, fresh });
  await world.append("/s", configured("p", "old"));
  await world.append("/s", [{ type: "ping" }]);
  await untilQuiet();
  await world.append("/s", configured("p", "fresh"));
  await pass(world, 4_500);
  expect(seen, "still running").toEqual([]);
  await pass(world, 1_000);
  expect(seen).toEqual(["aborted: Another version was configured."]);
  open();
  await pass(world, 1_000);
  expect(seen.slice(1)).toEqual([
    "refused: unavailable",
    'decides at 2, missed undefined, interrupted {"offset":3,"work":[]}',
    "new ping #2 at 3",
    "new begun #1 at 4",
    `new ${builtin("dynamic-worker/configured")} #1 at 5`,
  ]);
  expect(await ofType(world, "late")).toEqual([]);
  expect(await errorsIn(world)).toEqual([]);
});

test("a hook that ends in time counts, and its successor acts on what comes behind", async () => {
  const { opened, open } = gate();
  const slow = acting("p", "ping", async ({ append }) => {
    await opened;
    await append({ type: "slow" });
  });
  const world = worldOf({ slow, quick: echo("p", "quick") });
  await world.append("/s", configured("p", "slow"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  await world.append("/s", configured("p", "quick"));
  await world.append("/s", { type: "ping" });
  await pass(world, 2_000);
  open();
  await pass(world, 10_000);
  expect(await ofType(world, "slow")).toHaveLength(1);
  expect((await ofType(world, "quick")).map(({ payload }) => payload)).toEqual([{ of: 5 }]);
});

test.each([
  ["right behind its configuration", false],
  ["when it has taken over", true],
])("what a version has done its successor never does again, should the server end %s", async (_, takesOver) => {
  const { opened, open } = gate();
  const slow = acting("p", "ping", async ({ append, event }) => {
    if (takesOver && event.offset === 4) await opened;
    await append({ type: "slow", payload: { of: event.offset } });
  });
  const scripts = { slow, quick: echo("p", "quick") };
  const world = mortal(scripts);
  await world.append("/s", configured("p", "slow"));
  await pass(world, 2_000);
  await world.append("/s", [{ type: "ping" }, { type: "ping" }]);
  await untilQuiet();
  await world.append("/s", configured("p", "quick"));
  if (takesOver) {
    open();
    await untilQuiet();
  }
  world.die();
  const next = after(world, scripts);
  await next.append("/s", { type: "ping" });
  await pass(next, 10_000);
  const offsets = async (type: string) =>
    (await ofType(next, type)).map(({ payload }) => (payload as { of: number }).of);
  expect(await offsets("slow")).toEqual([3, 4]);
  expect(await offsets("quick")).toEqual([(await ofType(next, "ping")).at(-1)?.offset]);
  expect(await errorsIn(next)).toEqual([]);
});

test("of versions in quick succession only the last one goes on", async () => {
  const world = worldOf({ a: echo("p", "a"), b: echo("p", "b"), c: echo("p", "c") });
  await world.append("/s", configured("p", "a"));
  await world.append("/s", [configured("p", "b"), configured("p", "c"), { type: "ping" }]);
  await pass(world, 10_000);
  const answers = (await world.events("/s")).filter(({ type }) => type.length === 1);
  expect(answers.map(({ type }) => type)).toEqual(["c"]);
});

test("an older configuration appended again is a rollback", async () => {
  const world = worldOf({ one: echo("p", "one"), two: echo("p", "two") });
  for (const script of ["one", "two", "one"]) {
    await world.append("/s", configured("p", script));
    await world.append("/s", { type: "ping" });
    await pass(world, 2_000);
  }
  const answers = (await world.events("/s")).filter(({ type }) => type === "one" || type === "two");
  expect(answers.map(({ type }) => type)).toEqual(["one", "two", "one"]);
});

test("removed while it runs: aborted, refused, and nothing of it is left on disk", async () => {
  const seen: string[] = [];
  const hangs = acting("p", "ping", async ({ append, signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await append({ type: "late" }).catch((error) => seen.push(error.code));
  });
  const world = worldOf({ hangs });
  await world.append("/s", configured("p", "hangs"));
  await pass(world, 2_000);
  const log = world.directory.log("public", "/s");
  expect((await log.load()).progress).toHaveLength(1);
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  await world.append("/s", removed("p"));
  await pass(world, 10_000);
  expect(seen).toEqual(["unavailable"]);
  expect((await log.load()).progress).toEqual([]);
  expect((await world.engine.state("public", "/s")).consumers).not.toHaveProperty("p");
  expect(await ofType(world, "late")).toEqual([]);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("removed and configured again is a new cursor with keys of its own", async () => {
  const world = worldOf({ echo: echo("p") });
  await world.append("/s", configured("p", "echo"));
  await world.append("/s", { type: "ping" });
  await pass(world, 2_000);
  await world.append("/s", removed("p"));
  await world.append("/s", { type: "ping" });
  await world.append("/s", configured("p", "echo"));
  await pass(world, 2_000);
  expect(await ofType(world, "echo"), "not what came before it").toHaveLength(1);
  await world.append("/s", [removed("p"), configured("p", "echo", { startFrom: "start" })]);
  await pass(world, 2_000);
  expect((await ofType(world, "echo")).map(({ payload }) => payload)).toEqual([{ of: 3 }, { of: 3 }, { of: 6 }]);
});

test.each([
  ["start", [3, 4, 6]],
  ["end", [6]],
  [undefined, [6]],
  [3, [4, 6]],
  [0, [3, 4, 6]],
])("startFrom %j acts on %j", async (startFrom, offsets) => {
  const world = worldOf({ echo: echo("p") });
  await world.append("/s", { type: "first" });
  await world.append("/s", [{ type: "ping" }, { type: "ping" }]);
  await world.append("/s", [configured("p", "echo", startFrom === undefined ? {} : { startFrom }), { type: "ping" }]);
  await pass(world, 2_000);
  expect((await ofType(world, "echo")).map(({ payload }) => (payload as { of: number }).of)).toEqual(offsets);
});

test.each([
  ["cursor", [3, 4, 9]],
  ["head", [9]],
  [3, [4, 9]],
] as const)("after a halt, from %j it acts on %j", async (from, offsets) => {
  let broken = true;
  const acted: number[] = [];
  const p = acting("p", "ping", ({ event }) => {
    if (broken) throw new Error("broken");
    acted.push(event.offset);
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", [{ type: "ping" }, { type: "ping" }]);
  await pass(world, 40_000);
  expect(await ofType(world, builtin("dynamic-worker/halted"))).toHaveLength(1);
  broken = false;
  await world.append("/s", { type: "while halted" });
  await world.append("/s", resumedFrom("p", from));
  await untilQuiet();
  await world.append("/s", { type: "ping" });
  await pass(world, 5_000);
  expect((await world.events("/s")).at(-1)).toMatchObject({ offset: offsets.at(-1), type: "ping" });
  expect(acted).toEqual(offsets);
});

test("halted again after it was resumed is another event", async () => {
  const p = acting("p", "ping", () => {
    throw new Error("broken");
  });
  const world = worldOf({ p });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 40_000);
  await world.append("/s", resumedFrom("p", "cursor"));
  await pass(world, 40_000);
  await world.append("/s", configured("p"));
  await pass(world, 40_000);
  expect(await ofType(world, builtin("dynamic-worker/halted"))).toHaveLength(3);
  expect(await errorsIn(world), "one for each place").toEqual(["broken"]);
});

test("each decision has keys of its own, also where the cursor has not moved since the last one", async () => {
  const deciding = (answer: string) =>
    defineProcessor<null>({
      slug: "p",
      initialState: null,
      reduce: () => null,
      async afterCatchUp({ append }) {
        await append({ event: { type: answer }, path: "/other" });
      },
    });
  const world = worldOf({ one: deciding("one"), two: deciding("two") });
  for (const script of ["one", "two", "one"]) {
    await world.append("/s", configured("p", script));
    await pass(world, 3_000);
  }
  const answers = (await world.events("/other")).map(({ type }) => type).slice(1);
  expect(answers).toEqual(["one", "two", "one"]);
  expect(await errorsIn(world)).toEqual([]);
});

test("what the state says of a halted processor is over with the commit that replaces it, whoever loaded that", async () => {
  let isLost = false;
  const world = worldOf(
    { poisoned: acting("p", "ping", () => Promise.reject(new Error("poison"))), echo: echo("p") },
    {
      async intercept({ operation }, proceed) {
        const answer = await proceed();
        if (operation === "append" && isLost) throw new Error("the answer was lost");
        return answer;
      },
    },
  );
  await world.append("/s", configured("p", "poisoned"));
  await world.append("/s", { type: "ping" });
  await pass(world, 60_000);
  const shown = async () => (await world.engine.state("public", "/s")).consumers.p;
  expect(await shown()).toMatchObject({ halted: { offset: 3 } });
  isLost = true;
  await world.refusal(world.append("/s", configured("p", "echo")));
  isLost = false;
  expect(await shown()).not.toHaveProperty("halted");
  await pass(world, 5_000);
  expect(await ofType(world, "echo")).toHaveLength(1);
});

test("what a load lacks because its stream was deleted meanwhile is no failure", async () => {
  const { opened, open } = gate();
  const world = createWorld({
    consumers: [
      processorKind(async ({ slug }) => {
        await opened;
        throw new Error(`there is no code of ${slug}`);
      }),
    ],
  });
  await world.append("/s", configured("p"));
  await untilQuiet();
  const deleting = world.engine.delete("public", "/s", { children: false });
  await untilQuiet();
  open();
  await deleting;
  await pass(world, 2_000);
  expect(world.failures).toEqual([]);
});

/** Acts on these types alone; others are passed over, which is not written down. */
const answering = (version: string, ...types: string[]) =>
  defineProcessor<number>({
    slug: "p",
    initialState: 0,
    events: schemasOf(types),
    reduce: ({ state }) => state + 1,
    async afterAppend({ event, append }) {
      await append({ type: "answer", payload: { version, of: event.offset } });
    },
  });

test("what a version passed over is not for its successor, should the server end right behind its configuration", async () => {
  const scripts = { pings: answering("pings", "ping"), both: answering("both", "ping", "call") };
  const world = mortal(scripts);
  await world.append("/s", configured("p", "pings"));
  await world.append("/s", { type: "ping" });
  await pass(world, 3_000);
  await world.append("/s", [{ type: "call" }, { type: "call" }]);
  await pass(world, 3_000);
  await world.append("/s", configured("p", "both"));
  world.die();
  const next = after(world, scripts);
  const [call] = await next.append("/s", { type: "call" });
  await pass(next, 3_000);
  const answers = (await ofType(next, "answer")).map(({ payload }) => payload);
  expect(answers).toEqual([
    { version: "pings", of: 3 },
    { version: "both", of: call?.offset },
  ]);
});

describe("a version that has not begun is not taken for one that has", () => {
  const seen: string[] = [];
  const deciding = (version: string) =>
    defineProcessor<number>({
      slug: "p",
      initialState: 0,
      reduce: ({ state }) => state + 1,
      afterCatchUp: ({ interrupted }) =>
        void seen.push(`${version} decides, interrupted: ${interrupted !== undefined}`),
      afterAppend({ event, attempt }) {
        if (event.type === "ping") seen.push(`${version} ${event.offset} #${attempt}`);
      },
    });
  const scripts = { one: deciding("one"), two: deciding("two"), other: echo("other") };
  const never = () => new Promise<never>(() => {});

  /** In which `two` does not come to be loaded before that. */
  function loadingWorld(two: Promise<Processor<number>>) {
    let dead = false;
    const load = async ({ payload }: Configuration) =>
      payload.script === "two" ? two : scripts[payload.script as keyof typeof scripts];
    const intercept: Intercept = (_call, proceed) => (dead ? never() : proceed());
    const world = createWorld({ consumers: [processorKind(load)], intercept });
    return Object.assign(world, {
      die() {
        dead = true;
      },
    });
  }

  test.each(["the first one", "another one"])("%s, whose server died while it was loaded", async (which) => {
    seen.length = 0;
    const world = loadingWorld(never());
    await world.append("/s", configured("other"));
    await world.append("/s", which === "another one" ? configured("p", "one") : { type: "filler" });
    await pass(world, 3_000);
    await world.append("/s", configured("p", "two"));
    await untilQuiet();
    // What the hook of another one appends takes along what is to be saved.
    await world.append("/s", { type: "ping" });
    await pass(world, 3_000);
    world.die();
    const next = after(world, scripts);
    await pass(next, 3_000);
    expect(seen.slice(which === "another one" ? 1 : 0)).toEqual(["two decides, interrupted: false", "two 5 #1"]);
  });

  test("its first call counts, whatever was saved before it", async () => {
    seen.length = 0;
    const { opened, open } = gate();
    // Where nobody decides, nothing else saves before the call.
    const hanging = defineProcessor<number>({
      slug: "p",
      initialState: 0,
      reduce: ({ state }) => state + 1,
      afterAppend({ event, attempt }) {
        seen.push(`two ${event.offset} #${attempt}`);
        return never();
      },
    });
    const world = loadingWorld(opened.then(() => hanging));
    await world.append("/s", configured("other"));
    await world.append("/s", configured("p", "one"));
    await pass(world, 3_000);
    await world.append("/s", configured("p", "two"));
    await world.append("/s", { type: "ping" });
    await pass(world, 3_000);
    open();
    await pass(world, 500, 100);
    world.die();
    await pass(after(world, { ...scripts, two: hanging }), 3_000);
    expect(seen.slice(1)).toEqual(["two 4 #1", "two 4 #2"]);
  });

  test("one that was configured while the stream was paused, before a restart", async () => {
    seen.length = 0;
    const world = worldOf(scripts);
    await world.append("/s", configured("p", "one"));
    await pass(world, 3_000);
    await world.append("/s", [{ type: builtin("paused") }, configured("p", "two")]);
    await pass(world, 3_000);
    await world.engine.close();
    const next = after(world, scripts);
    await next.append("/s", [{ type: builtin("resumed") }, { type: "ping" }]);
    await pass(next, 3_000);
    expect(seen).toEqual(["one decides, interrupted: false", "two decides, interrupted: false", "two 6 #1"]);
  });
});
