import { defineProcessor, type EventSource, type StreamEvent } from "@millrace/protocol";
import { describe, expect, test } from "vitest";
import { builtin, createWorld, untilQuiet, upTo, type World } from "../../test/world.ts";
import { processorKind } from "../consumer/processors.ts";

const plain = { type: "plain" };
const paused = builtin("paused");
const resumed = { type: builtin("resumed") };

/** What a remote processor wrote because of an event, so many causes deep. */
function caused(depth: number): EventSource {
  return { kind: "remote", slug: "echo", cause: { streamPath: "/other", offset: 7 }, depth };
}

function configured(burstCapacity: number, refillRatePerMinute = 60, maxDepth?: number) {
  const payload = { burstCapacity, refillRatePerMinute, ...(maxDepth === undefined ? {} : { maxDepth }) };
  return { type: builtin("circuit-breaker-configured"), payload };
}

/** The same because of an event of the stream itself. */
function causedBy(offset: number, depth: number): EventSource {
  return { ...caused(depth), cause: { streamPath: "/a", offset } };
}

/** Appends one by one until the stream refuses; how many it took. */
async function taken(world: World, most: number, path = "/a"): Promise<number> {
  for (let i = 0; i < most; i++) {
    const refused = await world.append(path, plain).then(
      () => false,
      (error: { code: string }) => error.code === "stream_paused",
    );
    if (refused) return i;
  }
  return most;
}

async function isPaused(world: World, path = "/a"): Promise<boolean> {
  return (await world.engine.state("public", path)).paused;
}

async function lastPause(world: World): Promise<StreamEvent> {
  return (await world.events("/a")).findLast(({ type }) => type === paused) as StreamEvent;
}

describe("the rate limit", () => {
  test("of 140 appends in parallel 101 are stored, paused stands right behind them, and the rest is refused", async () => {
    const commits: string[][] = [];
    const world = createWorld({
      async intercept({ operation, arguments: [commit] }, proceed) {
        if (operation === "append") commits.push([...(commit as { records: string[] }).records]);
        return proceed();
      },
    });
    const outcomes = await Promise.allSettled(Array.from({ length: 140 }, () => world.append("/a", plain)));
    expect(outcomes.map(({ status }) => status)).toEqual([
      ...Array(101).fill("fulfilled"),
      ...Array(39).fill("rejected"),
    ]);
    for (const outcome of outcomes.slice(101)) {
      expect(outcome).toMatchObject({ reason: { code: "stream_paused" } });
    }
    const events = await world.events("/a");
    expect(events.map(({ type }) => type)).toEqual([builtin("initialized"), ...Array(101).fill("plain"), paused]);
    const commit = commits.find((records) => records.some((record) => record.includes(paused)));
    expect(commit?.at(-1), "in the same commit as the event that tripped it").toContain(paused);
    expect(commit?.at(-2)).toContain("plain");
  });

  test("the pause says why and how to go on, and that the server wrote it because of that event", async () => {
    const world = createWorld();
    expect(await taken(world, 200)).toBe(101);
    const event = await lastPause(world);
    expect(event).toMatchObject({
      offset: 103,
      payload: { cause: { kind: "rate", limit: 100, observed: 101, chain: [{ streamPath: "/a", offset: 102 }] } },
      source: { kind: "server", slug: "circuit-breaker", cause: { streamPath: "/a", offset: 102 }, depth: 1 },
    });
    const { reason } = event.payload as { reason: string };
    for (const word of ["100 events", "resumed", "circuit-breaker-configured", "burstCapacity"]) {
      expect(reason).toContain(word);
    }
    const refusal = await world.refusal(world.append("/a", plain));
    expect(refusal).toMatchObject({ code: "stream_paused", reason, since: event.createdAt });
  });

  test.each([
    { events: 105, everyMs: 20, stays: true },
    { events: 1_000, everyMs: 25, stays: true },
    { events: 1_000, everyMs: 24, stays: true },
    { events: 1_000, everyMs: 10, stays: false },
    { events: 101, everyMs: 0, stays: false },
    { events: 100, everyMs: 0, stays: true },
    { events: 160, everyMs: 10, stays: true },
    { events: 172, everyMs: 10, stays: false },
  ])("$events events, one every $everyMs ms: goes on is $stays", async ({ events, everyMs, stays }) => {
    const world = createWorld();
    let took = 0;
    while (took < events && (await taken(world, 1)) === 1) {
      took++;
      world.clock.advance(everyMs);
    }
    expect(await isPaused(world)).toBe(!stays);
  });

  test("the bucket refills with time, up to its size", async () => {
    const world = createWorld();
    await world.append("/a", configured(5));
    for (const [waitMs, takes] of [
      [0, 5],
      [3_000, 3],
      [2_500, 2],
      [500, 1],
      [3_600_000, 5],
    ] as const) {
      world.clock.advance(waitMs);
      for (let i = 0; i < takes; i++) await world.append("/a", plain);
      expect(await isPaused(world), `after ${waitMs} ms`).toBe(false);
    }
    await world.append("/a", plain);
    expect(await isPaused(world)).toBe(true);
  });

  test("resumed fills the bucket", async () => {
    const world = createWorld();
    await world.append("/a", configured(5));
    for (let round = 0; round < 3; round++) {
      expect(await taken(world, 10)).toBe(6);
      await world.append("/a", resumed);
    }
  });

  test("a new configuration counts from now, and ends no pause", async () => {
    const world = createWorld();
    await world.append("/a", configured(5));
    await taken(world, 10);
    await world.append("/a", configured(7));
    expect(await isPaused(world)).toBe(true);
    await world.append("/a", resumed);
    expect(await taken(world, 20)).toBe(8);
  });

  test("burstCapacity 0 switches it off", async () => {
    const world = createWorld();
    await world.append("/a", configured(0));
    expect(await taken(world, 1_000)).toBe(1_000);
    for (let i = 0; i < 5; i++) await world.append("/a", Array(1_000).fill(plain), caused(1));
    expect(await isPaused(world)).toBe(false);
  });

  test("a batch without a cause counts as one event", async () => {
    const world = createWorld();
    await world.append("/a", configured(3));
    for (let i = 0; i < 4; i++) await world.append("/a", Array(50).fill(plain));
    const events = await world.events("/a");
    expect(events.length).toBe(1 + 1 + 4 * 50 + 1);
    expect(events.at(-1)?.type, "behind the whole batch").toBe(paused);
    expect(await world.refusal(world.append("/a", [plain, plain]))).toMatchObject({
      code: "stream_paused",
      element: 0,
    });
  });

  test("what has a cause counts by event, and its batch is stored whole", async () => {
    const world = createWorld();
    await world.append("/a", configured(5));
    await world.append("/a", Array(5).fill(plain), caused(1));
    expect(await isPaused(world)).toBe(false);
    await world.append("/a", Array(20).fill(plain), caused(1));
    const events = await world.events("/a");
    expect(events.length).toBe(1 + 1 + 25 + 1);
    expect(events.at(-1)?.type).toBe(paused);
    expect((await lastPause(world)).payload).toMatchObject({
      cause: {
        kind: "rate",
        chain: [
          { streamPath: "/a", offset: 8 },
          { streamPath: "/other", offset: 7 },
        ],
      },
    });
  });

  test("replays and refusals cost nothing", async () => {
    const world = createWorld();
    await world.append("/a", configured(5));
    const keyed = { ...plain, idempotencyKey: "k" };
    for (let i = 0; i < 50; i++) await world.append("/a", keyed);
    for (let i = 0; i < 50; i++) {
      await world.refusal(world.append("/a", { ...plain, offset: 999 }));
      await world.refusal(world.append("/a", { type: "other", idempotencyKey: "k" }));
      await world.refusal(world.append("/a", [plain, plain, { ...plain, offset: 1 }], caused(1)));
    }
    expect(await taken(world, 10)).toBe(5);
  });

  test("facts that the server states cost nothing: a thousand births leave the root complete and running", async () => {
    const world = createWorld();
    await Promise.all(upTo(1_000).map((n) => world.append(`/children/${n}`, plain)));
    await untilQuiet();
    expect(await isPaused(world, "/")).toBe(false);
    expect(await isPaused(world, "/children")).toBe(false);
    expect((await world.news("/")).sort()).toEqual(
      ["created /children", ...upTo(1_000).map((n) => `created /children/${n}`)].sort(),
    );
    expect(await taken(world, 200, "/"), "the root still has its whole bucket").toBe(101);
  });

  test("a pause that stands in the tripping batch is the only one", async () => {
    const world = createWorld();
    await world.append("/a", configured(1));
    await world.append("/a", plain);
    await world.append("/a", [plain, { type: paused, payload: { reason: "mine" } }]);
    expect((await world.events("/a")).filter(({ type }) => type === paused).map(({ payload }) => payload)).toEqual([
      { reason: "mine" },
    ]);
  });

  test("a clock that was set back stops no stream by itself", async () => {
    const world = createWorld();
    await world.append("/a", plain);
    world.clock.jump(-3_600_000);
    for (let i = 0; i < 90; i++) await world.append("/a", plain);
    expect(await isPaused(world)).toBe(false);
    world.clock.jump(+7_200_000);
    for (let i = 0; i < 100; i++) await world.append("/a", plain);
    expect(await isPaused(world)).toBe(false);
  });
});

describe("the limit on depth", () => {
  test("the event beyond it is stored, then paused with the chain; each resumed allows as much again", async () => {
    const world = createWorld();
    await world.append("/a", plain, caused(10_000));
    for (const limit of [10_000, 20_000, 30_000]) {
      await world.append("/a", plain, caused(limit));
      expect(await isPaused(world), `${limit} is allowed`).toBe(false);
      const [tripping] = await world.append("/a", plain, caused(limit + 1));
      const event = await lastPause(world);
      expect(event.offset).toBe((tripping?.offset ?? 0) + 1);
      expect(event.payload).toMatchObject({
        cause: {
          kind: "depth",
          limit,
          observed: limit + 1,
          chain: [
            { streamPath: "/a", offset: tripping?.offset },
            { streamPath: "/other", offset: 7 },
          ],
        },
      });
      await world.append("/a", resumed);
    }
  });

  test.each([
    { maxDepth: 1, depth: 1, trips: false },
    { maxDepth: 1, depth: 2, trips: true },
    { maxDepth: 3, depth: 3, trips: false },
    { maxDepth: 3, depth: 4, trips: true },
    { maxDepth: 20_000, depth: 10_001, trips: false },
  ])("maxDepth $maxDepth, depth $depth: trips is $trips", async ({ maxDepth, depth, trips }) => {
    const world = createWorld();
    await world.append("/a", configured(0, 60, maxDepth));
    await world.append("/a", plain, caused(depth));
    expect(await isPaused(world)).toBe(trips);
  });

  test("a pause for another reason raises it by nothing", async () => {
    const world = createWorld();
    await world.append("/a", configured(2, 60, 3));
    await world.append("/a", { type: paused, payload: {} });
    await world.append("/a", resumed);
    await taken(world, 10);
    await world.append("/a", resumed);
    await world.append("/a", plain, caused(4));
    expect((await lastPause(world)).payload).toMatchObject({ cause: { kind: "depth", limit: 3 } });
  });

  test("what comes from outside has no depth, and in a batch one deep event is enough", async () => {
    const world = createWorld();
    await world.append("/a", configured(0, 60, 1));
    await world.append("/a", Array(100).fill(plain));
    expect(await isPaused(world)).toBe(false);
    await world.append("/a", [plain, plain, plain], caused(2));
    const events = await world.events("/a");
    expect(events.slice(-4).map(({ type }) => type)).toEqual(["plain", "plain", "plain", paused]);
  });
});

describe("the chain of causes", () => {
  const inStream = (...offsets: number[]) => offsets.map((offset) => ({ streamPath: "/a", offset }));

  async function lastChain(world: World): Promise<unknown> {
    return ((await lastPause(world)).payload as { cause: { chain: unknown } }).cause.chain;
  }

  test("walks back within the stream, to an event from outside", async () => {
    const world = createWorld();
    await world.append("/a", configured(0, 60, 2));
    await world.append("/a", plain); // 3
    await world.append("/a", plain, causedBy(3, 1)); // 4
    await world.append("/a", [plain, plain], causedBy(3, 1)); // 5, 6
    await world.append("/a", plain); // 7
    await world.append("/a", plain, causedBy(4, 2)); // 8
    await world.append("/a", plain, causedBy(8, 3)); // 9
    expect(await lastChain(world)).toEqual(inStream(9, 8, 4, 3));
  });

  test("ends at an event of another stream", async () => {
    const world = createWorld();
    await world.append("/a", configured(0, 60, 2));
    await world.append("/a", plain, caused(2)); // 3
    await world.append("/a", plain, causedBy(3, 3)); // 4
    expect(await lastChain(world)).toEqual([...inStream(4, 3), { streamPath: "/other", offset: 7 }]);
  });

  test("goes on through pauses and resumptions that have a cause", async () => {
    const world = createWorld();
    await world.append("/a", configured(0, 60, 1));
    await world.append("/a", plain, caused(2)); // 3, and paused at 4
    await world.append("/a", resumed, causedBy(4, 3)); // 5
    await world.append("/a", plain, causedBy(5, 4)); // 6
    expect(await lastChain(world)).toEqual([...inStream(6, 5, 4, 3), { streamPath: "/other", offset: 7 }]);
  });

  test("claims of causes that go round in a circle end it at 20", async () => {
    const world = createWorld();
    await world.append("/a", configured(0, 60, 1));
    await world.append("/a", plain, causedBy(3, 1)); // 3, because of itself
    await world.append("/a", plain, causedBy(3, 2));
    expect(await lastChain(world)).toEqual(inStream(4, ...Array(19).fill(3)));
  });

  test("what has no cause leaves the list of causes as it is", async () => {
    const world = createWorld();
    await world.append("/a", plain, caused(1));
    await world.append("/a", [plain, configured(50), plain]);
    const { state } = await world.engine.processorState("public", "/a", "circuit-breaker", undefined);
    expect(state).toMatchObject({ causes: [{ offset: 2, cause: { streamPath: "/other", offset: 7 } }] });
  });

  test("two processors that answer each other are stopped, and the chain shows them in turn", async () => {
    const answering = (slug: string, heard: string, said: string) =>
      defineProcessor({
        slug,
        initialState: null,
        reduce: () => null,
        async afterAppend({ event, append }) {
          if (event.type === heard) await append({ type: said });
        },
      });
    const pinging = answering("pinging", "pong", "ping");
    const ponging = answering("ponging", "ping", "pong");
    const world = createWorld({
      consumers: [processorKind(async ({ slug }) => (slug === "pinging" ? pinging : ponging))],
    });
    for (const slug of ["pinging", "ponging"]) {
      await world.append("/a", { type: builtin("dynamic-worker/configured"), payload: { slug, script: "" } });
    }
    await world.append("/a", { type: "ping" });
    for (let i = 0; i < 1_000 && !(await isPaused(world)); i++) await untilQuiet();
    const events = await world.events("/a");
    expect(events.at(-1)?.type).toBe(paused);
    const chain = (await lastChain(world)) as { streamPath: string; offset: number }[];
    expect(chain).toHaveLength(20);
    expect(chain[0]?.offset).toBe(events.length - 1);
    const types = chain.map(({ offset }) => events[offset - 1]?.type);
    expect(types).toEqual(chain.map((_, i) => ((i % 2 === 0) === (types[0] === "ping") ? "ping" : "pong")));
    for (const [i, { offset }] of chain.slice(0, -1).entries()) {
      expect(events[offset - 1]?.source?.cause).toEqual(chain[i + 1]);
    }
  });
});
