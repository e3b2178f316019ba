import { describe, expect, test } from "vitest";
import { createWorld, untilQuiet, upTo } from "../test/world.ts";

const plain = { type: "plain" };

describe("open streams", () => {
  test("the least recently used leave, and come back as they were", async () => {
    const world = createWorld({ limits: { openStreams: 5 } });
    for (let round = 1; round <= 3; round++) {
      for (const n of upTo(50)) {
        const [event] = await world.append(`/s${n}`, { type: "keyed", payload: round, idempotencyKey: `k${round}` });
        expect(event?.offset).toBe(round + 1);
        expect(world.engine.gauges().openStreams).toBeLessThanOrEqual(5);
      }
    }
    for (const n of upTo(50)) {
      const [replay] = await world.append(`/s${n}`, { type: "keyed", payload: 1, idempotencyKey: "k1" });
      expect(replay?.offset).toBe(2);
      expect((await world.events(`/s${n}`)).map(({ offset }) => offset)).toEqual([1, 2, 3, 4]);
    }
  });

  test("what is paused stays paused", async () => {
    const world = createWorld({ limits: { openStreams: 2 } });
    await world.append("/p", { type: "https://events.iterate.com/events/stream/paused" });
    for (const n of upTo(20)) await world.append(`/s${n}`, plain);
    expect(await world.refusal(world.append("/p", plain))).toMatchObject({ code: "stream_paused" });
  });

  test("appends in parallel over many more than may be open lose nothing", async () => {
    const world = createWorld({ limits: { openStreams: 3 } });
    const outcomes = await Promise.all(
      upTo(600).map((n) => world.append(`/s${n % 40}`, { type: `n${n}`, idempotencyKey: `${n}` })),
    );
    expect(outcomes.length).toBe(600);
    for (const n of upTo(40)) expect((await world.events(`/s${n % 40}`)).length).toBe(16);
    await untilQuiet();
    await world.append("/last", plain);
    expect(world.engine.gauges().openStreams, "and then most of them leave").toBeLessThanOrEqual(3);
  });

  test("a stream with a commit in flight stays, and nothing overtakes it", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const world = createWorld({
      limits: { openStreams: 1 },
      async intercept({ operation, path }, proceed) {
        if (operation === "append" && path === "/slow") await held;
        return proceed();
      },
    });
    const first = world.append("/slow", { type: "first" });
    await untilQuiet();
    for (const n of upTo(10)) await world.append(`/s${n}`, plain);
    const second = world.append("/slow", { type: "second" });
    await untilQuiet();
    release();
    expect([...(await first), ...(await second)].map(({ offset }) => offset)).toEqual([2, 3]);
    expect(world.failures).toEqual([]);
  });

  test("a replay is answered with the stored event, though a deletion follows it", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const world = createWorld({
      async intercept({ operation, path }, proceed) {
        if (operation === "read" && path === "/replayed") await held;
        return proceed();
      },
    });
    const keyed = { type: "keyed", idempotencyKey: "k" };
    const stored = await world.append("/replayed", keyed);
    const replay = world.append("/replayed", keyed);
    await untilQuiet();
    const deletion = world.engine.delete("public", "/replayed", { children: false });
    await untilQuiet();
    release();
    expect(await replay).toEqual(stored);
    expect(await deletion).toEqual([{ path: "/replayed", head: 2 }]);
  });

  test("a stream that is read live stays, and its reader misses nothing", async () => {
    const world = createWorld({ limits: { openStreams: 3 } });
    await world.append("/read", plain);
    const reader = world.reader("/read");
    expect(await reader.offsets(2)).toEqual([1, 2]);
    for (const n of upTo(50)) await world.append(`/s${n}`, plain);
    await world.append("/read", plain);
    expect(await reader.offsets(1)).toEqual([3]);
    reader.stop();
  });

  test("many that are read live do not keep the others from leaving", async () => {
    const world = createWorld({ limits: { openStreams: 10 } });
    const readers = upTo(150).map((n) => world.reader(`/read${n}`));
    await Promise.all(readers.map((reader) => reader.next()));
    for (const n of upTo(1_000)) await world.append(`/s${n}`, plain);
    expect(world.engine.gauges().openStreams).toBeLessThanOrEqual(160);
    for (const reader of readers) reader.stop();
  });
});
