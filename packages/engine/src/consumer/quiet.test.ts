/** What a server does while nothing happens: nothing. Counted at the port: reads, writes, activations; and timers. */

import type { ConsumerSpec } from "@millrace/protocol";
import type { Intercept } from "@millrace/testing";
import { createManualClock, type ManualClock } from "@millrace/testing";
import { expect, test } from "vitest";
import { acting, after, configured, ofType, pass, worldOf } from "../../test/processors.ts";
import { builtin, createWorld, untilQuiet } from "../../test/world.ts";
import { processors } from "../builtin/processors.ts";
import { sliceOf } from "../state.ts";
import type { ConsumerKind } from "./spec.ts";

/** Counts calls of the log by operation. */
function counting(): { intercept: Intercept; calls: Record<string, number>; asked: unknown[]; reset(): void } {
  const counts = {
    calls: {} as Record<string, number>,
    asked: [] as unknown[],
    intercept: (async ({ operation, path, arguments: args }, proceed) => {
      counts.calls[operation] = (counts.calls[operation] ?? 0) + 1;
      if (operation === "read") counts.asked.push({ path, ...(args[0] as object) });
      return proceed();
    }) satisfies Intercept,
    reset() {
      counts.calls = {};
      counts.asked = [];
    },
  };
  return counts;
}

/** A clock that knows how many timers are armed. */
function watchedClock(): ManualClock & { armed(): number } {
  const clock = createManualClock();
  const armed = new Set<object>();
  return {
    ...clock,
    armed: () => armed.size,
    setTimer(delayMs, run) {
      const timer = {};
      armed.add(timer);
      const cancel = clock.setTimer(delayMs, () => {
        armed.delete(timer);
        run();
      });
      return () => {
        armed.delete(timer);
        cancel();
      };
    },
  };
}

test("progress is saved once, after a second without an append", async () => {
  const { intercept, calls, reset } = counting();
  const world = worldOf({ p: acting("p", "ping", () => {}) }, { intercept });
  await world.append("/s", configured("p"));
  await pass(world, 5_000);
  reset();
  const log = world.directory.log("public", "/s");
  for (let n = 0; n < 5; n++) {
    await world.append("/s", { type: "ping" });
    await pass(world, 100, 100);
  }
  await pass(world, 400, 100);
  const saved = async () => JSON.parse((await log.load()).progress[0]?.text ?? "{}").cursor;
  const before = await saved();
  await pass(world, 1_000, 100);
  expect(before).toBeLessThan(8);
  expect(await saved()).toBe(7);
  await pass(world, 60_000, 1_000);
  expect(world.clock.nextTimerInMs()).toBeUndefined();
  expect((await log.load()).wakeAt).toBeNull();
  expect(calls).not.toEqual({});
});

test("exactly one commit follows an event that nobody appends behind, and then none", async () => {
  const counts = counting();
  const world = worldOf({ p: acting("p", "ping", () => {}) }, { intercept: counts.intercept });
  await world.append("/s", configured("p"));
  await pass(world, 5_000);
  counts.reset();
  await world.append("/s", { type: "ping" });
  await pass(world, 24 * 3_600_000, 60_000);
  expect(counts.calls, "the event and its progress").toEqual({ append: 2, read: 1 });
});

test("a claim for an event that was for nobody is taken back, also where the clock was set back before it", async () => {
  const world = worldOf({ p: acting("p", "ping", () => {}) });
  await world.append("/s", configured("p", "p", { startFrom: 100 }));
  await pass(world, 5_000);
  world.clock.jump(-3_600_000);
  await world.append("/s", { type: "ping" });
  const log = world.directory.log("public", "/s");
  const { wakeAt, lastEventAt } = await log.load();
  expect(wakeAt).toBe(lastEventAt);
  expect(wakeAt).toBeGreaterThan(world.clock.now());
  await pass(world, 3_660_000, 60_000);
  expect((await log.load()).wakeAt).toBeNull();
  expect(world.clock.nextTimerInMs()).toBeUndefined();
});

/** Consumers as `processorKind` has them, of which each acts on one type alone. */
function typedKind(acted: string[]): ConsumerKind {
  const known = new WeakMap<object, readonly ConsumerSpec[]>();
  return {
    kind: "typed",
    sourceKind: "processor",
    failuresMax: 5,
    specs(slices) {
      const { bySlug } = sliceOf(slices, processors);
      const specs =
        known.get(bySlug) ?? Object.values(bySlug).map((spec) => ({ ...spec, types: new Set([`type ${spec.slug}`]) }));
      known.set(bySlug, specs);
      return specs;
    },
    load: async (spec) => ({
      slug: spec.slug,
      initialState: 0,
      reduce: () => 0,
      afterAppend({ event }) {
        acted.push(`${spec.slug} ${event.offset}`);
      },
    }),
    haltedType: "halted",
    aboutTypes: new Set(["halted"]),
    halted: () => ({}),
  };
}

test("consumers that ask for some types are not woken by others: no read, no write", async () => {
  const counts = counting();
  const acted: string[] = [];
  const world = createWorld({
    consumers: [typedKind(acted)],
    intercept: counts.intercept,
    limits: { processorsPerStream: 100 },
  });
  await world.append(
    "/s",
    Array.from({ length: 100 }, (_, n) => configured(String(n))),
  );
  await pass(world, 5_000);
  counts.reset();
  for (let n = 0; n < 50; n++) {
    await world.append("/s", { type: "another type" });
    await untilQuiet();
  }
  await pass(world, 60_000, 1_000);
  expect(counts.calls).toEqual({ append: 50 });
  await world.append("/s", { type: "type 42" });
  await pass(world, 60_000, 1_000);
  expect(acted).toEqual(["42 152"]);
  expect(counts.calls.append, "the event, and the progress of one").toBe(52);
  expect((await world.engine.state("public", "/s")).consumers["7"]).toMatchObject({ lag: 0 });
});

test("after a restart a state is folded from its snapshot, not from the beginning", async () => {
  const seen: number[] = [];
  const p = acting("p", "look", ({ state }) => void seen.push(state));
  const world = worldOf({ p });
  await world.append("/s", {
    type: builtin("circuit-breaker-configured"),
    payload: { burstCapacity: 0, refillRatePerMinute: 1 },
  });
  await world.append("/s", configured("p"));
  for (let n = 0; n < 12; n++) {
    await world.append(
      "/s",
      Array.from({ length: 200 }, () => ({ type: "filling" })),
    );
    await untilQuiet();
  }
  await pass(world, 3_000);
  await world.append("/s", { type: "look" });
  await pass(world, 3_000);
  const counts = counting();
  await world.engine.close();
  const next = after(world, { p }, { intercept: counts.intercept });
  await next.append("/s", { type: "look" });
  await pass(next, 3_000);
  expect(seen).toEqual([2404, 2405]);
  const ranges = (counts.asked as { path: string; after: number; through: number }[]).filter(
    ({ path }) => path === "/s",
  );
  expect(ranges).toContainEqual(expect.objectContaining({ after: 2, through: 3 }));
  const others = ranges.filter(({ after, through }) => through - after > 1);
  expect(
    others.filter(({ after }) => after < 2_000),
    "but the code, nothing from the beginning",
  ).toEqual([]);
});

test("a restart without anything owed reads nothing but what is due", async () => {
  const world = worldOf({ p: acting("p", "ping", () => {}) });
  await world.append("/s", configured("p"));
  await world.append("/s", { type: "ping" });
  await pass(world, 3_000);
  await world.engine.close();
  const counts = counting();
  const next = after(world, { p: acting("p", "ping", () => {}) }, { intercept: counts.intercept });
  await pass(next, 3_000);
  expect(Object.keys(counts.calls).sort()).toEqual(["due", "wakes"]);
  expect(next.clock.nextTimerInMs()).toBeUndefined();
});

test("an abandoned server goes quiet", async () => {
  const clock = watchedClock();
  const first = worldOf({}, { clock });
  const inAMonth = { kind: "once-in", delaySeconds: 30 * 24 * 3_600 };
  for (let n = 0; n < 1_000; n++) {
    const payload = { slug: "far", append: { type: "tick" }, schedule: inAMonth };
    await first.append(`/s${n}`, { type: builtin("append-scheduled"), payload });
    if (n < 100) await first.append(`/s${n}`, configured("p", "there is none"));
  }
  await pass(first, 60_000, 1_000);
  expect(await ofType(first, builtin("dynamic-worker/halted"), "/s99")).toHaveLength(1);
  for (const restarted of [false, true]) {
    const counts = counting();
    if (restarted) await first.engine.close();
    const world = restarted ? after(first, {}, { intercept: counts.intercept }) : first;
    await pass(world, 60_000, 1_000);
    const opened = world.engine.gauges().openStreams;
    counts.reset();
    const head = await world.directory.lastPosition();
    for (let minute = 0; minute < 24 * 60; minute++) {
      await pass(world, 60_000, 60_000);
      expect(clock.armed(), "timers").toBe(1);
    }
    expect(counts.calls).toEqual({});
    expect(world.engine.gauges()).toMatchObject({ openStreams: opened });
    if (restarted) expect(opened).toBe(0);
    expect(await world.directory.lastPosition()).toBe(head);
  }
});
