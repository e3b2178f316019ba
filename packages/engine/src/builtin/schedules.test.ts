/** Schedules on a whole engine with a clock that only the test moves. */
import type { JsonObject, StreamEvent } from "@millrace/protocol";
import { expect, test } from "vitest";
import { builtin, createWorld, untilQuiet, type World } from "../../test/world.ts";

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
