import { createSeededRandom } from "@millrace/testing";
import { describe, expect, test } from "vitest";
import { createWorld, eventsOf, untilQuiet, upTo, type World } from "../test/world.ts";
import type { ReadItem, ReadRequest } from "./read.ts";

const plain = { type: "plain" };
const calm = {
  type: "https://events.iterate.com/events/stream/circuit-breaker-configured",
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};

/** A stream of this many events: `initialized`, no breaker, then types a, b, c in turn. */
async function worldWith(count: number, options: Parameters<typeof createWorld>[0] = {}): Promise<World> {
  const world = createWorld(options);
  await world.append("/a", calm);
  const types = upTo(count, 3).map((offset) => ({ type: "abc"[offset % 3] as string, payload: offset }));
  for (let i = 0; i < types.length; i += 500) await world.append("/a", types.slice(i, i + 500));
  return world;
}

async function offsets(world: World, request: Partial<ReadRequest>): Promise<number[]> {
  return (await world.events("/a", request)).map(({ offset }) => offset);
}

async function items(world: World, request: Partial<ReadRequest>): Promise<ReadItem[]> {
  const found: ReadItem[] = [];
  const signal = new AbortController().signal;
  for await (const item of world.engine.read("public", "/a", { after: 0, ...request }, signal)) found.push(item);
  return found;
}

const isA = (type: string) => type === "a";

describe("a finite read", () => {
  test.each<[request: Partial<ReadRequest>, expected: number[]]>([
    [{}, upTo(20)],
    [{ after: 0 }, upTo(20)],
    [{ after: 5 }, upTo(20, 6)],
    [{ after: 19 }, [20]],
    [{ after: 20 }, []],
    [{ after: "end" }, []],
    [{ before: 1 }, []],
    [{ before: 2 }, [1]],
    [{ before: 1_000 }, upTo(20)],
    [{ after: 3, before: 4 }, []],
    [{ after: 3, before: 5 }, [4]],
    [{ after: 10, before: 3 }, []],
    [{ limit: 0 }, []],
    [{ limit: 3 }, [1, 2, 3]],
    [{ after: 18, limit: 3 }, [19, 20]],
    [{ accepts: isA }, [3, 6, 9, 12, 15, 18]],
    [{ accepts: isA, limit: 2 }, [3, 6]],
    [{ accepts: isA, after: 3, before: 12 }, [6, 9]],
    [{ accepts: () => false }, []],
    [{ descending: true }, upTo(20).reverse()],
    [{ descending: true, limit: 3 }, [20, 19, 18]],
    [{ descending: true, after: 17 }, [20, 19, 18]],
    [{ descending: true, before: 4 }, [3, 2, 1]],
    [{ descending: true, before: 4, after: 1, limit: 1 }, [3]],
    [{ descending: true, after: "end" }, []],
    [{ descending: true, accepts: isA }, [18, 15, 12, 9, 6, 3]],
    [{ descending: true, accepts: isA, limit: 2 }, [18, 15]],
    [{ descending: true, accepts: () => false }, []],
  ])("%j", async (request, expected) => {
    const world = await worldWith(20);
    expect(await offsets(world, request)).toEqual(expected);
  });

  test("of a long stream gives it whole, in either direction", async () => {
    const world = await worldWith(3_500);
    expect(await offsets(world, {})).toEqual(upTo(3_500));
    expect(await offsets(world, { descending: true })).toEqual(upTo(3_500).reverse());
    expect((await offsets(world, { descending: true, accepts: isA, limit: 1_100 })).length).toBe(1_100);
    expect(await offsets(world, { after: 1_234, before: 2_345 })).toEqual(upTo(2_344, 1_235));
  });

  test("ends at the head that it began with, however much is appended meanwhile", async () => {
    const world = await worldWith(2_500);
    const reader = world.reader("/a", { live: false });
    const seen = await reader.offsets(1);
    await world.append("/a", Array(100).fill(plain));
    for (let next = await reader.next(); next !== undefined; next = await reader.next()) {
      seen.push(...eventsOf("/a", next).map(({ offset }) => offset));
    }
    expect(seen).toEqual(upTo(2_500));
  });

  test("of what does not exist is empty; beyond the head it is refused", async () => {
    const world = await worldWith(5);
    expect(await world.events("/nothing")).toEqual([]);
    expect(await world.events("/nothing", { descending: true })).toEqual([]);
    for (const descending of [false, true]) {
      const refusal = await world.refusal(world.events("/a", { after: 6, descending }));
      expect(refusal).toEqual({ code: "offset_conflict", head: 5, expected: 6 });
    }
  });

  test("after a deletion begins with the new life", async () => {
    const world = await worldWith(10);
    await world.engine.delete("public", "/a", { children: false });
    expect(await offsets(world, {})).toEqual([]);
    await world.append("/a", plain);
    for (const request of [{}, { after: 4 }, { after: 10 }]) expect(await offsets(world, request)).toEqual([11, 12]);
    expect(await offsets(world, { descending: true })).toEqual([12, 11]);
    expect(await offsets(world, { descending: true, before: 11 })).toEqual([]);
  });

  test("with a filter says how far it is, at least every 1,000 events", async () => {
    const world = await worldWith(3_500);
    for (const accepts of [() => false, (_: string) => false]) {
      const scanned = await items(world, { accepts });
      expect(scanned.map(({ kind }) => kind)).toEqual(Array(scanned.length).fill("scanned"));
      let last = 0;
      for (const item of scanned) {
        if (item.kind !== "scanned") continue;
        expect(item.through).toBeGreaterThan(last);
        expect(item.through - last).toBeLessThanOrEqual(2_000);
        last = item.through;
      }
      expect(last).toBeGreaterThanOrEqual(2_500);
    }
  });
});

describe("what a read asks of the log", () => {
  /** How many reads of the log, and the most characters that one of them gave. */
  async function costOf(events: { type: string; payload: string }[], request: Partial<ReadRequest>) {
    let reads = 0;
    let held = 0;
    const world = createWorld({
      async intercept({ operation }, proceed) {
        const value = await proceed();
        if (operation === "read") {
          reads++;
          held += (value as { records: string[] }).records.join("").length;
        }
        return value;
      },
    });
    await world.append("/a", calm);
    for (let i = 0; i < events.length; i += 100) await world.append("/a", events.slice(i, i + 100));
    reads = 0;
    held = 0;
    let mostHeld = 0;
    const found: number[] = [];
    const signal = new AbortController().signal;
    for await (const item of world.engine.read("public", "/a", { after: 0, ...request }, signal)) {
      mostHeld = Math.max(mostHeld, held);
      held = 0;
      found.push(...eventsOf("/a", item).map(({ offset }) => offset));
    }
    return { reads, mostHeld, found };
  }

  test.each([{ descending: false }, { descending: true }])(
    "large events are held a page at a time: descending is $descending",
    async ({ descending }) => {
      const large = Array.from({ length: 200 }, () => ({ type: "large", payload: "x".repeat(100_000) }));
      const { mostHeld, found, reads } = await costOf(large, { descending });
      expect(found).toEqual(descending ? upTo(202).reverse() : upTo(202));
      expect(mostHeld).toBeLessThan(5_000_000);
      expect(reads).toBeLessThan(1_000);
    },
  );

  test.each([{ descending: false }, { descending: true }])(
    "the first of a rare type is looked for in pages, not in single events: descending is $descending",
    async ({ descending }) => {
      const events = Array.from({ length: 5_000 }, (_, i) => ({ type: i === 2_500 ? "rare" : "common", payload: "" }));
      const accepts = (type: string) => type === "rare";
      const { reads, found } = await costOf(events, { accepts, limit: 1, descending });
      expect(found).toEqual([2_503]);
      expect(reads).toBeLessThan(20);
    },
  );
});

describe("a live read", () => {
  test("gives history, says so, and goes on with what is new", async () => {
    const world = await worldWith(5);
    const reader = world.reader("/a");
    expect(await reader.offsets(5)).toEqual(upTo(5));
    expect(await reader.next()).toEqual({ kind: "caught-up", through: 5 });
    const next = reader.next();
    await world.append("/a", [plain, plain]);
    expect(eventsOf("/a", (await next) as ReadItem).map(({ offset }) => offset)).toEqual([6, 7]);
    reader.stop();
    expect(await reader.next()).toBeUndefined();
  });

  test("from the end gives only what is new", async () => {
    const world = await worldWith(5);
    const reader = world.reader("/a", { after: "end" });
    expect(await reader.next()).toEqual({ kind: "caught-up", through: 5 });
    await world.append("/a", plain);
    expect(await reader.offsets(1)).toEqual([6]);
    reader.stop();
  });

  test("of a stream that does not exist waits for it", async () => {
    const world = createWorld();
    const reader = world.reader("/later");
    expect(await reader.next()).toEqual({ kind: "caught-up", through: 0 });
    await world.append("/later", plain);
    expect(await reader.offsets(2)).toEqual([1, 2]);
    reader.stop();
  });

  test("ends at its limit and before its end", async () => {
    const world = await worldWith(5);
    const limited = world.reader("/a", { after: 3, limit: 4 });
    const bounded = world.reader("/a", { after: 3, before: 8 });
    const seen = Promise.all([limited.offsets(100), bounded.offsets(100)]);
    await untilQuiet();
    for (let i = 0; i < 5; i++) await world.append("/a", [plain, plain]);
    expect(await seen).toEqual([
      [4, 5, 6, 7],
      [4, 5, 6, 7],
    ]);
  });

  test("with a filter gives what matches, live too", async () => {
    const world = await worldWith(6);
    const reader = world.reader("/a", { accepts: isA });
    const seen = reader.offsets(3);
    await untilQuiet();
    await world.append("/a", plain);
    await world.append("/a", [plain, { type: "a" }, plain]);
    expect(await seen).toEqual([3, 6, 9]);
    reader.stop();
  });

  test("joins history and live without gap or duplicate, whatever happens in between", async () => {
    for (const seed of upTo(20)) {
      const random = createSeededRandom(seed);
      const world = await worldWith(random.integer(1_500), { limits: { openStreams: 2 } });
      const before = (await world.events("/a")).length;
      const readers = upTo(5).map(() => world.reader("/a", { after: random.integer(before) }));
      const total = 400;
      const seen = readers.map(async (reader) => {
        const found: number[] = [];
        while (found.at(-1) !== before + total) {
          for (let pause = random.integer(4); pause > 0; pause--) await untilQuiet();
          found.push(...(await reader.offsets(1)));
        }
        reader.stop();
        return found;
      });
      for (let appended = 0; appended < total; ) {
        const count = Math.min(1 + random.integer(40), total - appended);
        await world.append("/a", Array(count).fill(plain));
        appended += count;
        if (random.fraction() < 0.5) await untilQuiet();
      }
      for (const found of await Promise.all(seen)) expect(found).toEqual(upTo(before + total, found[0]));
    }
  });

  test("that is slow falls back to the log, and misses nothing", async () => {
    let reads = 0;
    const world = createWorld({
      async intercept({ operation }, proceed) {
        if (operation === "read") reads++;
        return proceed();
      },
    });
    await world.append("/a", calm);
    const reader = world.reader("/a");
    expect(await reader.offsets(2)).toEqual([1, 2]);
    expect((await reader.next())?.kind).toBe("caught-up");
    const payload = "x".repeat(1_000);
    for (let i = 0; i < 5_000; i++) await world.append("/a", { type: "t", payload });
    reads = 0;
    expect(await reader.offsets(5_000)).toEqual(upTo(5_002, 3));
    expect(reads, "pages of the log").toBeGreaterThan(5);
    reads = 0;
    await world.append("/a", plain);
    expect(await reader.offsets(1)).toEqual([5_003]);
    expect(reads, "and then live again").toBe(0);
    reader.stop();
  });

  test("ends with the stream, and says at which head", async () => {
    const world = await worldWith(5);
    const waiting = world.reader("/a");
    expect(await waiting.offsets(5)).toEqual(upTo(5));
    expect((await waiting.next())?.kind).toBe("caught-up");
    const behind = world.reader("/a");
    expect((await behind.next())?.kind).toBe("events");
    const next = waiting.next();
    await world.engine.delete("public", "/a", { children: false });
    await world.append("/a", plain);
    expect(await next).toMatchObject({ kind: "deleted" });
    expect(await waiting.next()).toBeUndefined();
    expect(await behind.next()).toMatchObject({ kind: "deleted" });
    expect(await behind.next()).toBeUndefined();
    const after = world.reader("/a", { after: 5 });
    expect(await after.offsets(2)).toEqual([6, 7]);
    after.stop();
  });

  test("that is behind when the stream is deleted gets no event of the next life", async () => {
    const world = await worldWith(3_000);
    const reader = world.reader("/a");
    const seen = await reader.offsets(1);
    await world.engine.delete("public", "/a", { children: false });
    await world.append("/a", Array(10).fill(plain));
    let item = await reader.next();
    for (; item?.kind === "events"; item = await reader.next()) {
      seen.push(...eventsOf("/a", item).map(({ offset }) => offset));
    }
    expect(item).toMatchObject({ kind: "deleted" });
    expect(Math.max(...seen)).toBeLessThanOrEqual(3_000);
  });

  test("goes on over a commit that failed", async () => {
    let failing = false;
    const world = createWorld({
      async intercept({ operation }, proceed) {
        const value = await proceed();
        if (operation === "append" && failing) throw new Error("EIO");
        return value;
      },
    });
    await world.append("/a", plain);
    const reader = world.reader("/a");
    expect(await reader.offsets(2)).toEqual([1, 2]);
    failing = true;
    await world.refusal(world.append("/a", { type: "unknown outcome" }));
    failing = false;
    world.clock.advance(1_000);
    expect(await reader.offsets(1), "it is on disk after all, and found again without another append").toEqual([3]);
    await world.append("/a", plain);
    expect(await reader.offsets(1)).toEqual([4]);
    reader.stop();
  });

  test("shows nothing that is not on disk", async () => {
    let release = () => {};
    let hold = false;
    const world = createWorld({
      async intercept({ operation }, proceed) {
        if (operation === "append" && hold) {
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        }
        return proceed();
      },
    });
    await world.append("/a", plain);
    const reader = world.reader("/a", { after: "end" });
    expect((await reader.next())?.kind).toBe("caught-up");
    hold = true;
    const append = world.append("/a", plain);
    let shown = false;
    const next = reader.next().then(() => {
      shown = true;
    });
    await untilQuiet();
    expect([shown, (await world.engine.state("public", "/a")).head, (await world.events("/a")).length]).toEqual([
      false,
      2,
      2,
    ]);
    release();
    await append;
    await next;
    reader.stop();
  });

  test("gives a sign of life every 15 s while nothing happens", async () => {
    const world = await worldWith(5);
    const reader = world.reader("/a", { after: "end" });
    expect((await reader.next())?.kind).toBe("caught-up");
    for (let i = 0; i < 3; i++) {
      const next = reader.next();
      await untilQuiet();
      expect(world.clock.nextTimerInMs()).toBe(15_000);
      world.clock.advance(15_000);
      expect(await next).toEqual({ kind: "idle", through: 5 });
    }
    reader.stop();
  });

  test("gives a sign of life while only what it does not want happens", async () => {
    const world = await worldWith(5);
    const reader = world.reader("/a", { after: "end", accepts: isA });
    expect((await reader.next())?.kind).toBe("caught-up");
    let sign: ReadItem | undefined;
    const next = reader.next().then((item) => {
      sign = item;
    });
    for (let seconds = 0; seconds < 30 && sign === undefined; seconds += 5) {
      await untilQuiet();
      world.clock.advance(5_000);
      await untilQuiet();
      await world.append("/a", plain);
    }
    expect(sign).toMatchObject({ kind: "idle" });
    await next;
    reader.stop();
  });

  test("a clock that jumps delays no sign of life", async () => {
    const world = await worldWith(5);
    const reader = world.reader("/a", { after: "end" });
    expect((await reader.next())?.kind).toBe("caught-up");
    const next = reader.next();
    await untilQuiet();
    world.clock.jump(-3_600_000);
    world.clock.advance(15_000);
    expect((await next)?.kind).toBe("idle");
    const afterwards = reader.next();
    await untilQuiet();
    world.clock.advance(15_000);
    expect((await afterwards)?.kind).toBe("idle");
    reader.stop();
  });

  test("ends when the engine closes", async () => {
    const world = await worldWith(5);
    const reader = world.reader("/a", { after: "end" });
    await reader.next();
    const next = reader.next();
    await untilQuiet();
    await world.engine.close();
    expect(await next).toBeUndefined();
  });
});

describe("readers", () => {
  test("count until they end, and are limited for a stream and for the process", async () => {
    const world = createWorld({ limits: { readersPerStream: 2, readersPerProcess: 4 } });
    await world.append("/a", plain);
    const readers = [world.reader("/a"), world.reader("/a")];
    for (const reader of readers) await reader.next();
    expect(await world.refusal(world.reader("/a").next())).toMatchObject({ code: "rate_limited", limit: 2 });
    expect((await world.events("/a")).length, "a finite read is none of them").toBe(2);
    const others = [world.reader("/b"), world.reader("/c")];
    for (const reader of others) await reader.next();
    expect(await world.refusal(world.reader("/d").next())).toMatchObject({ code: "rate_limited", limit: 4 });
    expect(world.engine.gauges().readers).toBe(4);
    for (const reader of [...readers, ...others]) {
      reader.stop();
      while ((await reader.next()) !== undefined);
    }
    expect(world.engine.gauges().readers).toBe(0);
  });

  test("are counted when they come all at once", async () => {
    const world = createWorld({ limits: { readersPerStream: 3 } });
    await world.append("/a", plain);
    const restarted = createWorld({ directory: world.directory, limits: { readersPerStream: 3 } });
    const outcomes = await Promise.allSettled(upTo(10).map(() => restarted.reader("/a").next()));
    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBe(3);
  });
});
