/** The circuit breaker and births: code that answers the news of a birth with another birth comes to an end. */
import type { EventSource, StreamEvent } from "@millrace/protocol";
import { describe, expect, test } from "vitest";
import { acting, after, configured as deployed, type Scripts, worldOf } from "../../test/processors.ts";
import { builtin, createWorld, untilQuiet, upTo, type World } from "../../test/world.ts";
import { decodeRecord } from "../record.ts";
import { fold, initialSlices, sliceOf } from "../state.ts";
import { circuitBreaker } from "./circuit-breaker.ts";

const plain = { type: "plain" };
const paused = builtin("paused");
const resumed = { type: builtin("resumed") };
const created = builtin("child-stream-created");

function because(streamPath: string, offset = 1, depth = 1): EventSource {
  return { kind: "processor", slug: "maker", cause: { streamPath, offset }, depth };
}

function limits(burstCapacity: number, maxDepth = 10_000) {
  const payload = { burstCapacity, refillRatePerMinute: 60, maxDepth };
  return { type: builtin("circuit-breaker-configured"), payload };
}

async function isPaused(world: World, path = "/a"): Promise<boolean> {
  return (await world.engine.state("public", path)).paused;
}

async function pauses(world: World, path = "/a"): Promise<StreamEvent<{ reason: string; cause: object }>[]> {
  return (await world.events(path, { accepts: (type) => type === paused })) as never;
}

/** Streams below a path that code makes because of its events, told one after the other. */
async function makeChildren(world: World, path: string, numbers: number[], source: EventSource): Promise<void> {
  for (const n of numbers) {
    await world.append(`${path === "/" ? "" : path}/made-${n}`, plain, source);
    await untilQuiet();
  }
}

describe("births by code of the stream itself", () => {
  test("count by rate, and the pause says what to look for, with what made the last one", async () => {
    const world = createWorld();
    await world.append("/a", limits(5)); // 2
    await world.append("/a", plain, because("/a", 2)); // 3
    await makeChildren(world, "/a", upTo(4), because("/a", 3, 2));
    expect(await isPaused(world)).toBe(false);
    await makeChildren(world, "/a", [5], because("/a", 3, 2));
    const [pause] = await pauses(world);
    expect(pause?.payload.cause).toEqual({
      kind: "rate",
      limit: 5,
      observed: 6,
      chain: [
        { streamPath: "/a", offset: 8 },
        { streamPath: "/a/made-5", offset: 1 },
        { streamPath: "/a", offset: 3 },
        { streamPath: "/a", offset: 2 },
      ],
    });
    expect(pause).toMatchObject({ offset: 9, source: { cause: { streamPath: "/a", offset: 8 }, depth: 4 } });
    for (const words of ["5 events", "makes streams below", "child-stream-created", "resumed", "burstCapacity"]) {
      expect(pause?.payload.reason).toContain(words);
    }
    expect(await isPaused(world, "/"), "for the root it was the code of another stream").toBe(false);
  });

  test("count each, though they are told in one batch, which is never cut", async () => {
    const world = createWorld();
    await world.append("/a", limits(5));
    await Promise.all(upTo(20).map((n) => world.append(`/a/${n}`, plain, because("/a"))));
    await untilQuiet();
    const types = (await world.events("/a")).map(({ type }) => type);
    expect(types.filter((type) => type === created)).toHaveLength(20);
    expect(types.filter((type) => type === paused)).toHaveLength(1);
  });

  test("are told while the stream is paused, and `resumed` begins with a full bucket", async () => {
    const world = createWorld();
    await world.append("/a", limits(3));
    await world.append("/a", { type: paused });
    await makeChildren(world, "/a", upTo(10), because("/a"));
    expect((await world.news("/a")).length).toBe(10);
    expect(await pauses(world)).toHaveLength(1);
    await world.append("/a", resumed);
    await makeChildren(world, "/a", upTo(13, 11), because("/a"));
    expect(await isPaused(world)).toBe(false);
    await makeChildren(world, "/a", [14], because("/a"));
    expect(await isPaused(world)).toBe(true);
  });

  test("cost nothing where the rate is switched off", async () => {
    const world = createWorld();
    await world.append("/a", limits(0));
    await Promise.all(upTo(500).map((n) => world.append(`/a/${n}`, plain, because("/a"))));
    await untilQuiet();
    expect(await isPaused(world)).toBe(false);
  });
});

describe("births by others", () => {
  test.each<[name: string, source: EventSource | undefined]>([
    ["from outside", undefined],
    ["by code of another stream", because("/other")],
    ["by code of a stream below", because("/a/made-1")],
    ["by a remote processor that names no cause", { kind: "remote", depth: 3 }],
  ])("%s cost nothing", async (_, source) => {
    const world = createWorld();
    await Promise.all(upTo(500).map((n) => world.append(`/a/${n}`, plain, source)));
    await untilQuiet();
    expect((await world.news("/a")).length).toBe(500);
    for (const path of ["/a", "/"]) {
      expect(await isPaused(world, path)).toBe(false);
      const { state } = await world.engine.processorState("public", path, "circuit-breaker", undefined);
      expect(state).toMatchObject({ tokens: 100 });
    }
  });
});

describe("depth", () => {
  test.each([
    { by: "/a", depth: 2, trips: false },
    { by: "/a", depth: 3, trips: true },
    { by: "/other", depth: 2, trips: false },
    { by: "/other", depth: 3, trips: true },
  ])("a birth by code of $by, $depth deep, is told one deeper: trips is $trips", async ({ by, depth, trips }) => {
    const world = createWorld();
    await world.append("/a", limits(0, 3));
    await makeChildren(world, "/a", [1], because(by, 1, depth));
    expect(await isPaused(world)).toBe(trips);
    if (!trips) return;
    const [pause] = await pauses(world);
    expect(pause?.payload.cause).toMatchObject({
      kind: "depth",
      limit: 3,
      observed: 4,
      chain: [
        { streamPath: "/a", offset: 3 },
        { streamPath: "/a/made-1", offset: 1 },
        { streamPath: by, offset: 1 },
      ],
    });
    expect(pause?.payload.reason).toContain("makes streams below");
  });
});

describe("from the log", () => {
  async function refolded(world: World, path: string): Promise<unknown> {
    const page = { after: 0, through: 1e9, maxEvents: 1e6, maxBytes: 1e9 };
    const { records } = await world.directory.log("public", path).read(page);
    let slices = initialSlices;
    for (const [i, record] of records.entries()) {
      slices = fold(slices, decodeRecord(path, i + 1, record), record.startsWith(" "));
    }
    return sliceOf(slices, circuitBreaker);
  }

  test("a refold comes to the same count, and so does a restart", async () => {
    const world = createWorld();
    await world.append("/a", limits(8));
    await makeChildren(world, "/a", upTo(4), because("/a"));
    world.clock.advance(1_500);
    await makeChildren(world, "/a", upTo(10, 5), because("/b"));
    await Promise.all(upTo(20, 11).map((n) => world.append(`/a/${n}`, plain, because("/a", n, n))));
    await untilQuiet();
    const { state } = await world.engine.processorState("public", "/a", "circuit-breaker", undefined);
    expect(state).toMatchObject({ paused: true });
    expect(await refolded(world, "/a")).toEqual(state);
    const next = createWorld({ directory: world.directory, clock: world.clock, seed: 2 });
    expect((await next.engine.processorState("public", "/a", "circuit-breaker", undefined)).state).toEqual(state);
  });

  test("news that an earlier server wrote counts for nothing, whoever made the streams", () => {
    let slices = initialSlices;
    for (const offset of upTo(500)) {
      const cause = { streamPath: `/a/${offset}`, offset: 1 };
      const source: EventSource = { kind: "server", slug: "tree", cause, depth: 1 };
      const payload = { childPath: cause.streamPath };
      const createdAt = "2026-01-01T00:00:00.000Z";
      slices = fold(slices, { streamPath: "/a", offset, type: created, payload, createdAt, source }, false);
    }
    expect(sliceOf(slices, circuitBreaker)).toEqual({
      ...circuitBreaker.initialState,
      causes: upTo(500, 481).map((offset) => ({ offset, cause: { streamPath: `/a/${offset}`, offset: 1 } })),
    });
  });
});

describe("deployed code that answers each birth", () => {
  const breeding = (children: number, path = "/a"): Scripts => ({
    breeding: acting("breeding", created, async ({ event, append }) => {
      for (const n of upTo(children)) await append({ path: `${path}/${event.offset}-${n}`, event: plain });
    }),
  });

  async function untilPaused(world: World, path = "/a"): Promise<void> {
    for (let i = 0; i < 5_000 && !(await isPaused(world, path)); i++) await untilQuiet();
    expect(await isPaused(world, path)).toBe(true);
    for (let i = 0; i < 20; i++) await untilQuiet();
  }

  async function streams(world: World): Promise<number> {
    const page = await world.engine.list({ project: "public", prefix: "/a", depth: "all", limit: 1_000 });
    return page.streams.length;
  }

  test.each([1, 2, 5])("with %i more ends in a pause by rate, and nothing more is born", async (children) => {
    const world = worldOf(breeding(children));
    await world.append("/a", deployed("breeding"));
    await world.append("/a/first", plain);
    await untilPaused(world);
    const [pause] = await pauses(world);
    expect(pause?.payload.cause).toMatchObject({ kind: "rate", limit: 100 });
    expect(pause?.payload.reason).toContain("child-stream-created");
    const born = await streams(world);
    expect(born).toBeLessThan(120);
    for (let i = 0; i < 50; i++) await untilQuiet();
    expect(await streams(world)).toBe(born);
  });

  test("goes on after `resumed` with what came meanwhile, each birth answered once, and ends again", async () => {
    const world = worldOf(breeding(2));
    await world.append("/a", deployed("breeding"));
    await world.append("/a/first", plain);
    await untilPaused(world);
    const before = await streams(world);
    await world.append("/a", resumed);
    await untilPaused(world);
    expect(await pauses(world)).toHaveLength(2);
    expect(await streams(world)).toBeGreaterThan(before);
    const news = await world.news("/a");
    expect(new Set(news).size).toBe(news.length);
    expect(news.length).toBe((await streams(world)) - 1);
  });

  test("with one more, slower than the bucket refills, ends by depth, over a restart too", async () => {
    let births = 0;
    const first = worldOf(breeding(1), {
      intercept({ operation, arguments: [commit] }, proceed) {
        if (operation === "append" && (commit as { birth?: object }).birth !== undefined) births++;
        return births > 20 ? new Promise(() => {}) : proceed();
      },
    });
    await first.append("/a", [limits(1_000, 60), deployed("breeding")]);
    await first.append("/a/first", plain);
    await untilQuiet();
    expect(births, "it has died meanwhile").toBe(21);
    const world = after(first, breeding(1), { seed: 2 });
    await untilPaused(world);
    const [pause] = await pauses(world);
    expect(pause?.payload.cause).toMatchObject({ kind: "depth", limit: 60, observed: 61 });
    expect(await streams(world)).toBeGreaterThan(25);
    expect(await streams(world)).toBeLessThan(40);
  });

  test("with streams below the other of two, each of which hears only of its own, ends by depth", async () => {
    const crossing = (to: string) =>
      acting(`to${to}`, created, async ({ event, append }) => {
        await append({ path: `${to}/${event.offset}`, event: plain });
      });
    const world = worldOf({ toB: crossing("/b"), toA: crossing("/a") });
    await world.append("/a", [limits(1_000, 60), deployed("toB")]);
    await world.append("/b", [limits(1_000, 60), deployed("toA")]);
    await world.append("/a/first", plain);
    for (let i = 0; i < 1_000 && !(await isPaused(world, "/a")) && !(await isPaused(world, "/b")); i++) {
      await untilQuiet();
    }
    for (let i = 0; i < 20; i++) await untilQuiet();
    const all = [...(await pauses(world, "/a")), ...(await pauses(world, "/b"))];
    expect(all[0]?.payload.cause).toMatchObject({ kind: "depth", limit: 60 });
    expect(await streams(world)).toBeLessThan(40);
  });
});
