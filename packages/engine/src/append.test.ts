import type { EventInput } from "@millrace/protocol";
import { describe, expect, test } from "vitest";
import { builtin, createWorld, untilQuiet, upTo } from "../test/world.ts";
import { HeadConflict } from "./ports/log.ts";

const plain = { type: "plain" };

function gate(): { held: Promise<void>; release: () => void } {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { held, release };
}

describe("birth", () => {
  test("the first append is behind `initialized`, in one commit", async () => {
    const world = createWorld();
    const [event] = await world.append("/a/b", { type: "hello", payload: { text: "🦦" } });
    expect(event).toMatchObject({ streamPath: "/a/b", offset: 2, type: "hello", payload: { text: "🦦" } });
    const [initialized] = await world.events("/a/b");
    expect(initialized).toMatchObject({
      offset: 1,
      type: builtin("initialized"),
      payload: { projectSlug: "public", path: "/a/b", streamId: expect.stringMatching(/^[\w-]{1,64}$/) },
    });
  });

  test.each([
    { name: "an expected offset", inputs: [{ ...plain, offset: 7 }] },
    { name: "the offset of the birth itself", inputs: [{ ...plain, offset: 1 }] },
    { name: "a batch whose last element is refused", inputs: [plain, plain, { ...plain, offset: 9 }] },
    {
      name: "a key that is used twice in one batch",
      inputs: [
        { ...plain, idempotencyKey: "k" },
        { type: "other", idempotencyKey: "k" },
      ],
    },
  ])("a refused first append creates nothing: $name", async ({ inputs }) => {
    const world = createWorld();
    await world.refusal(world.append("/a/b", inputs));
    await untilQuiet();
    expect(await world.directory.projects({ limit: 10 })).toEqual({ projects: [], next: null });
    expect((await world.directory.log("public", "/a/b").load()).head.offset).toBe(0);
    expect(await world.directory.due({ now: 1e15, limit: 10 })).toEqual({ streams: [], nextDueAt: null });
    expect(await world.events("/a/b")).toEqual([]);
    expect(await world.refusal(world.engine.state("public", "/a/b"))).toEqual({ code: "not_found" });
    const [event] = await world.append("/a/b", { ...plain, offset: 2, idempotencyKey: "k" });
    expect(event?.offset).toBe(2);
  });

  test("reading, asking for state and deleting create nothing", async () => {
    const world = createWorld();
    expect(await world.events("/a")).toEqual([]);
    expect(await world.refusal(world.engine.state("public", "/a"))).toEqual({ code: "not_found" });
    expect(await world.engine.delete("public", "/a", { children: true })).toEqual([]);
    expect(await world.engine.projects({ limit: 10 })).toEqual({ projects: [], next: null });
  });

  test("of many first appends at once one is born", async () => {
    const world = createWorld();
    const outcomes = await Promise.all(upTo(20).map((n) => world.append("/a", { type: `n${n}` })));
    expect(outcomes.flat().map(({ offset, type }) => [offset, type])).toEqual(upTo(20).map((n) => [n + 1, `n${n}`]));
    expect((await world.events("/a")).length).toBe(21);
  });
});

describe("an expected offset", () => {
  test("is granted when it is the next, and else refused with the head", async () => {
    const world = createWorld();
    await world.append("/a", { ...plain, offset: 2 });
    await world.append("/a", { ...plain, offset: 3 });
    for (const offset of [1, 3, 5, 2 ** 53 - 1]) {
      const refusal = await world.refusal(world.append("/a", { ...plain, offset }));
      expect(refusal).toEqual({ code: "offset_conflict", head: 3, expected: offset });
    }
  });

  test("of many that expect the same offset one wins", async () => {
    const world = createWorld();
    await world.append("/a", plain);
    const outcomes = await Promise.allSettled(upTo(10).map(() => world.append("/a", { ...plain, offset: 3 })));
    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBe(1);
    const chain = await Promise.allSettled(upTo(5).map((n) => world.append("/a", { ...plain, offset: 3 + n })));
    expect(chain.map(({ status }) => status)).toEqual(Array(5).fill("fulfilled"));
  });

  test("in a batch it counts over the elements before", async () => {
    const world = createWorld();
    await world.append("/a", [{ ...plain, offset: 2 }, plain, { ...plain, offset: 4 }]);
    const refused = world.append("/a", [{ ...plain, offset: 5 }, plain, { ...plain, offset: 5 }]);
    expect(await world.refusal(refused)).toMatchObject({ code: "offset_conflict", expected: 5, element: 2 });
    expect((await world.events("/a")).length).toBe(4);
  });
});

describe("a batch", () => {
  test("is one commit with one answer for each input", async () => {
    const commits: number[] = [];
    const world = createWorld({
      async intercept({ operation, arguments: [commit] }, proceed) {
        if (operation === "append") commits.push((commit as { records: string[] }).records.length);
        return proceed();
      },
    });
    const events = await world.append(
      "/",
      upTo(1_000).map((n) => ({ type: `n${n}` })),
    );
    expect(events.map(({ offset }) => offset)).toEqual(upTo(1_001, 2));
    expect(commits).toEqual([1_001]);
  });

  test("is refused whole, and the refusal names the element; its keys stay free", async () => {
    const world = createWorld();
    await world.append("/a", { type: "used", idempotencyKey: "used" });
    const conflict = [
      { type: "one", idempotencyKey: "free" },
      { type: "two" },
      { type: "other", idempotencyKey: "used" },
      { type: "four" },
    ];
    const refused = world.append("/a", conflict);
    await expect(refused).rejects.toThrow(/^Element 2 of the batch: .*used.* Nothing of it was appended\.$/);
    expect(await world.refusal(refused)).toEqual({
      code: "idempotency_conflict",
      idempotencyKey: "used",
      offset: 2,
      element: 2,
    });
    expect((await world.events("/a")).length).toBe(2);
    const [event] = await world.append("/a", { type: "something else", idempotencyKey: "free" });
    expect(event).toMatchObject({ offset: 3, type: "something else" });
  });

  test("that is refused leaves the ones beside it in the same commit alone", async () => {
    const world = createWorld();
    await world.append("/a", plain);
    const first = world.append("/a", { type: "in flight" });
    const outcomes = await Promise.allSettled([
      world.append("/a", { type: "one", idempotencyKey: "k" }),
      world.append("/a", [
        { type: "two", idempotencyKey: "k2" },
        { type: builtin("paused") },
        { type: builtin("resumed"), offset: 1 },
      ]),
      world.append("/a", { type: "four", idempotencyKey: "k2" }),
    ]);
    await first;
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((await world.events("/a")).map(({ type }) => type).slice(2)).toEqual(["in flight", "one", "four"]);
  });
});

describe("an idempotency key", () => {
  test.each([
    { name: "the same", first: { payload: { a: 1, b: 2 } }, second: { payload: { a: 1, b: 2 } }, same: true },
    {
      name: "keys in another order",
      first: { payload: { a: 1, b: 2 } },
      second: { payload: { b: 2, a: 1 } },
      same: true,
    },
    { name: "no payload and an empty one", first: {}, second: { payload: {} }, same: true },
    { name: "another payload", first: { payload: { a: 1 } }, second: { payload: { a: 2 } }, same: false },
    { name: "another order of a list", first: { payload: [1, 2] }, second: { payload: [2, 1] }, same: false },
    { name: "a number and its text", first: { payload: 1 }, second: { payload: "1" }, same: false },
    { name: "metadata", first: {}, second: { metadata: { a: 1 } }, same: false },
    { name: "another expected offset", first: {}, second: { offset: 99 }, same: true },
  ])("with $name: a replay is $same", async ({ first, second, same }) => {
    const world = createWorld();
    const event = { type: "t", idempotencyKey: "k" };
    const [stored] = await world.append("/a", { ...event, ...(first as Partial<EventInput>) });
    const again = world.append("/a", { ...event, ...(second as Partial<EventInput>) });
    if (same) expect(await again).toEqual([stored]);
    else expect(await world.refusal(again)).toEqual({ code: "idempotency_conflict", idempotencyKey: "k", offset: 2 });
    expect((await world.events("/a")).length).toBe(2);
  });

  test("used by many at once gives one event, and the same answer to all", async () => {
    const world = createWorld();
    const outcomes = await Promise.all(upTo(50).map(() => world.append("/a", { type: "t", idempotencyKey: "k" })));
    expect(new Set(outcomes.map((events) => JSON.stringify(events))).size).toBe(1);
    expect((await world.events("/a")).length).toBe(2);
  });

  test("twice in one batch gives one event, at both places of the answer", async () => {
    const world = createWorld();
    const keyed = { type: "t", idempotencyKey: "k" };
    const events = await world.append("/a", [keyed, { type: "between" }, keyed]);
    expect(events.map(({ offset }) => offset)).toEqual([2, 3, 2]);
    const mixed = await world.append("/a", [{ type: "new" }, keyed]);
    expect(mixed.map(({ offset }) => offset)).toEqual([4, 2]);
  });

  test("lives as long as the stream, over restarts, and no longer", async () => {
    const world = createWorld();
    const keyed = { type: "t", idempotencyKey: "k" };
    const [stored] = await world.append("/a", keyed);
    const restarted = createWorld({ directory: world.directory, seed: 2 });
    expect(await restarted.append("/a", keyed)).toEqual([stored]);
    await restarted.engine.delete("public", "/a", { children: false });
    const [fresh] = await restarted.append("/a", { type: "other", idempotencyKey: "k" });
    expect(fresh).toMatchObject({ type: "other", offset: 4 });
  });

  test("belongs to one stream", async () => {
    const world = createWorld();
    await world.append("/a", { type: "t", idempotencyKey: "k" });
    const [event] = await world.append("/b", { type: "other", idempotencyKey: "k" });
    expect(event?.offset).toBe(2);
  });
});

describe("createdAt", () => {
  test("never runs backwards when the clock does, over restarts and deletions too", async () => {
    const world = createWorld();
    const { clock, directory } = world;
    const times: string[] = [];
    const note = async (current: typeof world) => {
      const events = await current.append("/a", [plain, plain]);
      times.push(...events.map(({ createdAt }) => createdAt));
    };
    await note(world);
    clock.jump(-3_600_000);
    await note(world);
    clock.advance(1_000);
    const restarted = createWorld({ directory, clock, seed: 2 });
    await note(restarted);
    await restarted.engine.delete("public", "/a", { children: false });
    await note(restarted);
    await restarted.engine.delete("public", "/a", { children: false });
    const again = createWorld({ directory, clock, seed: 3 });
    await note(again);
    expect(times).toEqual(Array(10).fill("2026-01-01T00:00:00.000Z"));
    clock.jump(+3_600_000);
    clock.advance(500);
    await note(again);
    expect(times.at(-1)).toBe("2026-01-01T00:00:01.500Z");
  });
});

describe("a log that fails", () => {
  /** The next call of an operation fails, before or after it did what was asked. */
  function failing() {
    let next: { operation: string; when: "before" | "after"; error: Error } | undefined;
    const world = createWorld({
      async intercept({ operation }, proceed) {
        const fault = next?.operation === operation ? next : undefined;
        if (fault !== undefined) next = undefined;
        if (fault?.when === "before") throw fault.error;
        const value = await proceed();
        if (fault !== undefined) throw fault.error;
        return value;
      },
    });
    const failNext = (operation: string, when: "before" | "after", error = new Error("EIO")) => {
      next = { operation, when, error };
    };
    return { world, failNext };
  }

  test.each(["before", "after"] as const)(
    "%s it wrote: everybody who waited hears 503, and a retry with the key is one event",
    async (when) => {
      const { world, failNext } = failing();
      await world.append("/a", plain);
      failNext("append", when);
      const attempts = upTo(3).map((n) => ({ type: `n${n}`, idempotencyKey: `k${n}` }));
      const outcomes = await Promise.allSettled(attempts.map((event) => world.append("/a", event)));
      expect(outcomes[0]).toMatchObject({ reason: { code: "unavailable", data: { retryAfterSeconds: 1 } } });
      for (const event of attempts) await world.append("/a", event);
      const types = (await world.events("/a")).map(({ type }) => type).sort();
      expect(types).toEqual([builtin("initialized"), "n1", "n2", "n3", "plain"].sort());
      expect(world.failures.length).toBeGreaterThan(0);
    },
  );

  test.each(["before", "after"] as const)("%s it wrote a birth: the retry gives one birth", async (when) => {
    const { world, failNext } = failing();
    failNext("append", when);
    const keyed = { type: "t", idempotencyKey: "k" };
    expect(await world.refusal(world.append("/a/b", keyed))).toMatchObject({ code: "unavailable" });
    expect((await world.append("/a/b", keyed)).map(({ offset }) => offset)).toEqual([2]);
    expect((await world.events("/a/b")).map(({ type }) => type)).toEqual([builtin("initialized"), "t"]);
  });

  test("other streams do not notice", async () => {
    const { world, failNext } = failing();
    await world.append("/a", plain);
    await world.append("/b", plain);
    failNext("append", "before");
    const outcomes = await Promise.allSettled([world.append("/a", plain), world.append("/b", plain)]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  test("another writer on the same stream: 503, and then it goes on behind what that one wrote", async () => {
    const world = createWorld();
    await world.append("/a", plain);
    const other = createWorld({ directory: world.directory, seed: 2 });
    await other.append("/a", { type: "theirs" });
    const refusal = await world.refusal(world.append("/a", { type: "mine" }));
    expect(refusal).toMatchObject({ code: "unavailable" });
    const [event] = await world.append("/a", { type: "mine" });
    expect(event?.offset).toBe(4);
    expect(world.failures[0]).toBeInstanceOf(HeadConflict);
  });

  test.each(["load", "findKeys", "read"])("%s fails: 503, and the next attempt succeeds", async (operation) => {
    const { world, failNext } = failing();
    const keyed = { type: "t", idempotencyKey: "k" };
    await world.append("/a", keyed);
    const restarted = failing();
    const next = createWorld({
      directory: world.directory,
      seed: 2,
      intercept: async (call, proceed) => {
        if (call.operation === operation && restarted.world.failures.length === 0) {
          restarted.world.failures.push(operation);
          throw new Error("EIO");
        }
        return proceed();
      },
    });
    failNext("append", "before");
    expect(await next.refusal(next.append("/a", keyed))).toMatchObject({ code: "unavailable" });
    expect((await next.append("/a", keyed))[0]?.offset).toBe(2);
  });

  test.each(["before", "after"] as const)("%s it removed: 503, and a second deletion ends it", async (when) => {
    const { world, failNext } = failing();
    await world.append("/a", plain);
    failNext("remove", when);
    expect(await world.refusal(world.engine.delete("public", "/a", { children: false }))).toMatchObject({
      code: "unavailable",
    });
    await world.engine.delete("public", "/a", { children: false });
    expect(await world.events("/a")).toEqual([]);
    expect((await world.append("/a", plain))[0]?.offset).toBe(4);
  });
});

describe("what waits for one stream", () => {
  test("forms the next commit together, while one is in flight", async () => {
    const { held, release } = gate();
    const commits: number[] = [];
    const world = createWorld({
      async intercept({ operation, arguments: [commit] }, proceed) {
        if (operation !== "append") return proceed();
        commits.push((commit as { records: string[] }).records.length);
        if (commits.length === 1) await held;
        return proceed();
      },
    });
    const first = world.append("/", plain);
    await untilQuiet();
    const rest = upTo(90).map((n) => world.append("/", { type: `n${n}` }));
    await untilQuiet();
    expect(commits).toEqual([2]);
    release();
    await first;
    expect((await Promise.all(rest)).flat().map(({ type }) => type)).toEqual(upTo(90).map((n) => `n${n}`));
    expect(commits).toEqual([2, 90]);
  });

  test.each([
    { limits: { waitingAppends: 5 }, accepted: 6 },
    { limits: { waitingBytes: 500 }, accepted: 6 },
  ])("is bounded by $limits: beyond that 429, at once", async ({ limits, accepted }) => {
    const { held, release } = gate();
    const world = createWorld({
      limits,
      async intercept({ operation }, proceed) {
        if (operation === "append") await held;
        return proceed();
      },
    });
    const first = world.append("/", plain);
    await untilQuiet();
    const attempts = upTo(10).map(() => world.append("/", plain));
    const refused = await world.refusal(attempts[9] as Promise<unknown>);
    expect(refused).toMatchObject({ code: "rate_limited", limit: Object.values(limits)[0] });
    release();
    const outcomes = await Promise.allSettled([first, ...attempts]);
    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBe(accepted);
    await world.append("/", plain);
  });
});

describe("closing", () => {
  test("answers what was accepted, and refuses what comes later", async () => {
    const world = createWorld();
    await world.append("/a", plain);
    const waiting = upTo(20).map(() => world.append("/a", plain));
    const closed = world.engine.close();
    expect(await world.refusal(world.append("/a", plain))).toMatchObject({ code: "unavailable" });
    expect((await Promise.all(waiting)).flat().length).toBe(20);
    await closed;
  });
});
