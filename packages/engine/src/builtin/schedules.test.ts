/** Schedules on a whole engine with a clock that only the test moves. */
import type { JsonObject, StreamEvent } from "@millrace/protocol";
import { createManualClock } from "@millrace/testing";
import { expect, test } from "vitest";
import { builtin, createWorld, untilQuiet, type World } from "../../test/world.ts";
import { type SchedulesState, scheduleList, schedules } from "./schedules.ts";

const second = 1_000;

function scheduled(slug: string, schedule: JsonObject, extra: JsonObject = {}) {
  return { type: builtin("append-scheduled"), payload: { slug, append: { type: slug }, schedule, ...extra } };
}

/** Lets time pass in small steps, with everything done that became due. */
async function pass(world: World, milliseconds: number, step = second): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += step) {
    world.clock.advance(Math.min(step, milliseconds - passed));
    await untilQuiet();
  }
}

async function ticks(world: World, type: string, path = "/s"): Promise<StreamEvent[]> {
  return (await world.events(path)).filter((event) => event.type === type);
}

test("a tick is one event with nothing around it, at its time, and says why it is there", async () => {
  const world = createWorld();
  await world.append("/s", scheduled("beat", { kind: "every", intervalSeconds: 5 }));
  await pass(world, 16 * second);
  const events = await world.events("/s");
  expect(events.map(({ type }) => type)).toEqual([
    builtin("initialized"),
    builtin("append-scheduled"),
    "beat",
    "beat",
    "beat",
  ]);
  expect(events[2]?.source).toEqual({
    kind: "schedule",
    slug: "beat",
    cause: { streamPath: "/s", offset: 2 },
    depth: 1,
  });
  const start = Date.parse(events[1]?.createdAt as string);
  expect(events.slice(2).map(({ createdAt }) => Date.parse(createdAt) - start)).toEqual([5_000, 10_000, 15_000]);
});

test("once: the end stands in the commit of the tick", async () => {
  const world = createWorld();
  await world.append("/s", scheduled("later", { kind: "once-in", delaySeconds: 3 }));
  await pass(world, 10 * second);
  const events = await world.events("/s");
  expect(events.slice(2).map(({ type, payload }) => [type, payload])).toEqual([
    ["later", {}],
    [builtin("schedule-finished"), { slug: "later", outcome: "succeeded" }],
  ]);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("a server that was away fires what it missed once, or with skip not at all", async () => {
  const world = createWorld();
  await world.append("/s", [
    scheduled("fire", { kind: "every", intervalSeconds: 60 }),
    scheduled("skip", { kind: "every", intervalSeconds: 60 }, { missed: "skip" }),
    scheduled("once", { kind: "once-in", delaySeconds: 60 }, { missed: "skip" }),
  ]);
  await world.engine.close();
  world.clock.advance(600 * second + 30_500);
  const after = createWorld({ directory: world.directory, clock: world.clock });
  await untilQuiet();
  expect((await after.events("/s")).slice(4).map(({ type, payload }) => [type, payload])).toEqual([
    ["fire", {}],
    [builtin("schedule-finished"), { slug: "once", outcome: "skipped" }],
  ]);
  await pass(after, 30 * second);
  expect(await ticks(after, "fire")).toHaveLength(2);
  expect(await ticks(after, "skip")).toHaveLength(1);
});

test.each([0.1, 60])(
  "a schedule of %d s that skips goes on after a time away, also where nothing else happens",
  async (intervalSeconds) => {
    const world = createWorld();
    await world.append("/s", scheduled("skip", { kind: "every", intervalSeconds }, { missed: "skip" }));
    await world.engine.close();
    world.clock.advance(90 * second);
    const after = createWorld({ directory: world.directory, clock: world.clock });
    await untilQuiet();
    const missed = intervalSeconds === 60 ? 0 : 1;
    expect(await ticks(after, "skip")).toHaveLength(missed);
    await pass(after, 60 * second, Math.min(intervalSeconds, 1) * second);
    expect(await ticks(after, "skip")).toHaveLength(60 / intervalSeconds + missed);
  },
);

test("a paused stream keeps its ticks due; cancelled and replaced schedules fire no more", async () => {
  const world = createWorld();
  await world.append("/s", scheduled("beat", { kind: "every", intervalSeconds: 10 }));
  await world.append("/s", { type: builtin("paused") });
  await pass(world, 60 * second);
  expect(await ticks(world, "beat")).toHaveLength(0);
  await world.append("/s", { type: builtin("resumed") });
  await untilQuiet();
  expect(await ticks(world, "beat")).toHaveLength(1);
  await world.append("/s", scheduled("beat", { kind: "every", intervalSeconds: 100 }));
  await pass(world, 60 * second);
  expect(await ticks(world, "beat")).toHaveLength(1);
  await world.append("/s", { type: builtin("schedule-cancelled"), payload: { slug: "beat" } });
  await pass(world, 600 * second);
  expect(await ticks(world, "beat")).toHaveLength(1);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("cron keeps to the wall clock of its zone over a change to summer time", async () => {
  const world = createWorld();
  world.clock.jump(Date.parse("2026-03-28T00:00:00Z") - world.clock.now());
  await world.append("/s", scheduled("nine", { kind: "cron", cron: "0 9 * * *", timezone: "Europe/Berlin" }));
  await pass(world, 3 * 24 * 3_600 * second, 600 * second);
  expect((await ticks(world, "nine")).map(({ createdAt }) => createdAt.slice(0, 16))).toEqual([
    "2026-03-28T08:00",
    "2026-03-29T07:00",
    "2026-03-30T07:00",
  ]);
});

const every = (intervalSeconds: number) => ({ kind: "every", intervalSeconds });
const pausedEvent = { type: builtin("paused") };
const resumedEvent = { type: builtin("resumed") };
const breakerOff = {
  type: builtin("circuit-breaker-configured"),
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};
const cancelled = (slug: string) => ({ type: builtin("schedule-cancelled"), payload: { slug } });

async function typesOf(world: World, path = "/s"): Promise<string[]> {
  return (await world.events(path)).map(({ type }) => type.replace(builtin(""), ""));
}

test("a time in the past fires at once, and ends", async () => {
  const world = createWorld();
  await world.append("/s", scheduled("past", { kind: "once-at", at: "1999-12-31T23:59:59Z" }));
  await untilQuiet();
  expect(await typesOf(world)).toEqual(["initialized", "append-scheduled", "past", "schedule-finished"]);
});

test("with skip, a time in the past is skipped", async () => {
  const world = createWorld();
  await world.append("/s", scheduled("past", { kind: "once-at", at: "1999-12-31T23:59:59Z" }, { missed: "skip" }));
  await untilQuiet();
  expect((await world.events("/s")).at(-1)?.payload).toEqual({ slug: "past", outcome: "skipped" });
  expect(await ticks(world, "past")).toEqual([]);
});

test("a due tick rides on whatever is appended, behind it", async () => {
  const world = createWorld();
  await world.append("/s", scheduled("beat", every(5)));
  world.clock.jump(5 * second);
  await world.append("/s", { type: "hello" });
  expect(await typesOf(world)).toEqual(["initialized", "append-scheduled", "hello", "beat"]);
});

test.each([
  ["cancelled", cancelled("beat"), []],
  ["replaced", scheduled("beat", every(60)), [65]],
])("%s in the commit in which the tick is due, it does not fire", async (_, event, expected) => {
  const world = createWorld();
  await world.append("/s", scheduled("beat", every(5)));
  const start = world.clock.now();
  world.clock.jump(5 * second);
  await world.append("/s", event);
  await pass(world, 70 * second);
  const at = (await ticks(world, "beat")).map(({ createdAt }) => (Date.parse(createdAt) - start) / second);
  expect(at).toEqual(expected);
});

test("a slug twice is one schedule, also within one batch", async () => {
  const world = createWorld();
  await world.append("/s", [scheduled("beat", every(2)), scheduled("beat", every(5))]);
  await pass(world, 11 * second);
  expect(await ticks(world, "beat")).toHaveLength(2);
  expect(Object.keys((await world.engine.state("public", "/s")).schedules ?? {})).toEqual(["beat"]);
});

test.each([
  ["fire-once", 9, 1],
  ["skip", 9, 1],
  ["fire-once", 11, 1],
  ["skip", 11, 0],
])("with %s, %i seconds late, a tick fires %i times", async (missed, late, fired) => {
  const world = createWorld();
  await world.append("/s", scheduled("beat", every(100), { missed }));
  world.clock.jump((100 + late) * second);
  await world.append("/s", { type: "hello" });
  await untilQuiet();
  expect(await ticks(world, "beat")).toHaveLength(fired);
  await pass(world, (100 - late) * second);
  expect(await ticks(world, "beat"), "and then at its time").toHaveLength(fired + 1);
});

test("what was missed during a pause fires once, or with skip not at all", async () => {
  const world = createWorld();
  await world.append("/s", [scheduled("fire", every(30)), scheduled("skip", every(30), { missed: "skip" })]);
  await world.append("/s", pausedEvent);
  await pass(world, 320 * second, 10 * second);
  expect(world.clock.nextTimerInMs(), "nothing waits while paused").toBeUndefined();
  await world.append("/s", resumedEvent);
  await untilQuiet();
  expect([await ticks(world, "fire"), await ticks(world, "skip")].map((list) => list.length)).toEqual([1, 0]);
  await pass(world, 10 * second);
  expect([await ticks(world, "fire"), await ticks(world, "skip")].map((list) => list.length)).toEqual([2, 1]);
});

test("a clock that jumps back an hour ticks nothing twice, and one that jumps forward misses nothing", async () => {
  const world = createWorld();
  await world.append("/s", scheduled("beat", every(60)));
  await pass(world, 121 * second);
  expect(await ticks(world, "beat")).toHaveLength(2);
  world.clock.jump(-3_600 * second);
  await world.append("/s", { type: "hello" });
  await pass(world, 3_540 * second, 20 * second);
  const before = await ticks(world, "beat");
  world.clock.jump(7_200 * second);
  await pass(world, 180 * second, 20 * second);
  const times = (await ticks(world, "beat")).map(({ createdAt }) => createdAt);
  expect(before).toHaveLength(2);
  expect(new Set(times).size).toBe(times.length);
  expect([...times].sort()).toEqual(times);
  expect(times.length - before.length, "one for all that were missed, and those since").toBeGreaterThanOrEqual(3);
  expect(times.length - before.length).toBeLessThanOrEqual(5);
});

test("there are so many schedules and no more; replacing one is allowed, and cancelling makes room", async () => {
  const world = createWorld({ limits: { schedulesPerStream: 3 } });
  await world.append(
    "/s",
    ["a", "b", "c"].map((slug) => scheduled(slug, every(100))),
  );
  const refusal = await world.refusal(world.append("/s", scheduled("d", every(100))));
  expect(refusal).toMatchObject({ code: "rate_limited", limit: 3, unit: "schedules of this stream" });
  const batch = [cancelled("a"), scheduled("d", every(100)), scheduled("e", every(100))];
  expect(await world.refusal(world.append("/s", batch))).toMatchObject({ code: "rate_limited", element: 2 });
  await world.append("/s", [scheduled("b", every(50)), cancelled("a"), scheduled("d", every(100))]);
  expect(Object.keys((await world.engine.state("public", "/s")).schedules ?? {})).toEqual(["b", "c", "d"]);
});

test("ten thousand schedules on one stream: each fires, and one tick copies a hundredth of them", async () => {
  const world = createWorld({ limits: { schedulesPerStream: 10_000 } });
  await world.append("/s", breakerOff);
  for (let from = 0; from < 10_000; from += 1_000) {
    const some = Array.from({ length: 1_000 }, (_, n) => scheduled(`s${from + n}`, every(3_600)));
    await world.append("/s", some);
  }
  await pass(world, 3_610 * second, 10 * second);
  const fired = (await world.events("/s")).filter(({ source }) => source?.kind === "schedule");
  expect(new Set(fired.map(({ source }) => source?.slug)).size).toBe(10_000);
  expect(fired).toHaveLength(10_000);
  const { state } = await world.engine.processorState("public", "/s", "schedules", undefined);
  const before = state as SchedulesState;
  const [event] = fired.slice(-1) as [StreamEvent];
  const after = schedules.reduce({ state: before, event: { ...event, offset: event.offset + 1 }, continued: false });
  const changed = after.buckets.filter((bucket, i) => bucket !== before.buckets[i]);
  expect(changed).toHaveLength(1);
  expect(changed[0]?.entries.length).toBeLessThan(200);
});

test("many due at once: the breaker pauses in their middle, and the others stay due until it is resumed", async () => {
  const world = createWorld();
  const count = 300;
  await world.append("/s", breakerOff);
  await world.append(
    "/s",
    Array.from({ length: count }, (_, n) => scheduled(`s${n}`, { kind: "once-in", delaySeconds: 60 })),
  );
  await world.append("/s", { ...breakerOff, payload: { burstCapacity: 50, refillRatePerMinute: 1 } });
  await pass(world, 120 * second, 20 * second);
  const fired = async () => (await world.events("/s")).filter(({ source }) => source?.kind === "schedule").length;
  expect(await fired()).toBeGreaterThanOrEqual(50);
  expect(await fired()).toBeLessThan(60);
  expect(await world.engine.state("public", "/s")).toMatchObject({ paused: true, pause: { cause: { kind: "rate" } } });
  expect(world.clock.nextTimerInMs()).toBeUndefined();
  await world.append("/s", breakerOff);
  await world.append("/s", resumedEvent);
  await untilQuiet();
  expect(await fired()).toBe(count);
  expect((await typesOf(world)).filter((type) => type === "schedule-finished")).toHaveLength(count);
});

test("a tick is behind its configuration in the chain of causes; a minute later a new chain begins", async () => {
  const world = createWorld();
  await world.append("/s", scheduled("beat", every(30)), { kind: "server", depth: 7 });
  await pass(world, 120 * second, 10 * second);
  expect((await ticks(world, "beat")).map(({ source }) => source?.depth)).toEqual([8, 0, 0, 0]);
});

test("a tick that pauses its own stream is the last one until it is resumed", async () => {
  const world = createWorld();
  await world.append("/s", [
    scheduled("night", every(60), { append: { type: builtin("paused"), payload: { reason: "Night." } } }),
    scheduled("beat", every(60)),
  ]);
  await pass(world, 300 * second, 10 * second);
  expect(await typesOf(world)).toEqual(["initialized", "append-scheduled", "append-scheduled", "paused"]);
  await world.append("/s", resumedEvent);
  await untilQuiet();
  expect((await typesOf(world)).slice(4), "what is due for longest comes first").toEqual(["resumed", "beat", "paused"]);
});

test("a tick that configures another schedule, and one that replaces itself", async () => {
  const world = createWorld();
  const { payload: inner } = scheduled("inner", { kind: "once-in", delaySeconds: 5 });
  await world.append("/s", [
    scheduled(
      "outer",
      { kind: "once-in", delaySeconds: 10 },
      { append: { type: builtin("append-scheduled"), payload: inner } },
    ),
    scheduled(
      "self",
      { kind: "once-in", delaySeconds: 20 },
      {
        append: {
          type: builtin("append-scheduled"),
          payload: scheduled("self", { kind: "once-in", delaySeconds: 5 }).payload,
        },
      },
    ),
  ]);
  await pass(world, 60 * second);
  const [tick] = await ticks(world, "inner");
  expect(tick?.source).toMatchObject({ slug: "inner", depth: 2 });
  expect(await ticks(world, "self")).toHaveLength(1);
  expect((await world.engine.state("public", "/s")).schedules).toBeUndefined();
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("a state that is loaded from a snapshot, and one that is folded from the beginning, have the same schedules", async () => {
  const world = createWorld();
  await world.append("/s", breakerOff);
  await world.append("/s", [scheduled("beat", every(7)), scheduled("skip", every(11), { missed: "skip" })]);
  await pass(world, 60 * second);
  for (let n = 0; n < 3; n++) {
    await world.append(
      "/s",
      Array.from({ length: 600 }, () => ({ type: "filling" })),
    );
  }
  expect((await world.directory.log("public", "/s").load()).snapshot).toBeDefined();
  await world.engine.close();
  const next = createWorld({ directory: world.directory, clock: world.clock });
  await pass(next, 30 * second);
  const { state, offset } = await next.engine.processorState("public", "/s", "schedules", undefined);
  let folded: SchedulesState = schedules.initialState;
  for (const event of await next.events("/s")) folded = schedules.reduce({ state: folded, event, continued: false });
  expect(scheduleList(folded)).toEqual(scheduleList(state as SchedulesState));
  expect(scheduleList(folded)).toHaveLength(2);
  expect(offset).toBeGreaterThan(1_800);
  const beats = await ticks(next, "beat");
  const start = Date.parse(beats[0]?.createdAt as string);
  expect(beats.map(({ createdAt }) => Date.parse(createdAt) - start)).toEqual(beats.map((_, n) => n * 7_000));
});

test("a schedule ends with its stream, and cannot be made while it is paused", async () => {
  const world = createWorld();
  await world.append("/s", scheduled("beat", every(5)));
  await world.append("/s", pausedEvent);
  const refusal = await world.refusal(world.append("/s", scheduled("more", every(5))));
  expect(refusal.code).toBe("stream_paused");
  await world.append("/s", cancelled("beat"));
  await world.append("/s", resumedEvent);
  await world.append("/s", scheduled("beat", every(5)));
  await world.engine.delete("public", "/s", { children: false });
  await world.append("/s", { type: "hello" });
  await pass(world, 60 * second);
  expect((await typesOf(world)).filter((type) => type !== "initialized")).toEqual(["hello"]);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

test("a schedule that was committed with an unknown outcome ticks at its time", async () => {
  let lost = 0;
  const world = createWorld({
    async intercept({ operation }, proceed) {
      const answer = await proceed();
      if (operation === "append" && lost++ === 0) throw new Error("the answer was lost");
      return answer;
    },
  });
  await world.refusal(world.append("/s", scheduled("later", { kind: "once-in", delaySeconds: 90 })));
  await pass(world, 200 * second);
  expect(await ticks(world, "later")).toHaveLength(1);
});

test("a schedule that falls due while its commit is in flight ticks", async () => {
  const clock = createManualClock();
  let slow = true;
  const world = createWorld({
    clock,
    intercept({ operation }, proceed) {
      if (operation === "append" && slow) clock.advance(3 * second);
      if (operation === "append") slow = false;
      return proceed();
    },
  });
  await world.append("/s", scheduled("soon", { kind: "once-in", delaySeconds: 1 }));
  await pass(world, 1 * second);
  expect(await ticks(world, "soon")).toHaveLength(1);
});
