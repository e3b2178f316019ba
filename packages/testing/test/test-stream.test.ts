/** A stream in memory with a processor in it, step by step. */
import { defineProcessor, type Processor } from "@millrace/protocol";
import { createTestStream } from "@millrace/testing";
import { expect, test } from "vitest";
import { failing, messageOfFailure, pingPong } from "./processors-under-test.ts";

const types = (events: readonly { type: string }[]) => events.map(({ type }) => type.split("/").at(-1));

test("append, settle, look", async () => {
  const stream = await createTestStream(pingPong, { path: "/me/game", history: [{ type: "ping" }] });
  const stored = await stream.append({ type: "ping" });
  expect(stored).toMatchObject([{ streamPath: "/me/game", offset: 4, type: "ping", payload: {} }]);
  await stream.settled();
  expect(await stream.state()).toEqual({ pings: 2 });
  expect(types(await stream.events())).toEqual(["initialized", "ping", "configured", "ping", "pong"]);
  expect(types(await stream.appended())).toEqual(["pong"]);
  expect(await stream.streamState()).toMatchObject({ head: 5, consumers: { "ping-pong": { lag: 0 } } });
  await stream.close();
  expect(await messageOfFailure(() => stream.append({ type: "ping" }))).toBe("The server is stopping.");
});

test("other streams are there as well", async () => {
  const stream = await createTestStream(pingPong, { path: "/me/game" });
  await stream.append([{ type: "a" }, { type: "b" }], "../other");
  expect(types(await stream.events("/me/other"))).toEqual(["initialized", "a", "b"]);
  expect(await stream.events("./nobody")).toEqual([]);
  expect(types(await stream.appended())).toEqual([]);
  await stream.close();
});

test("refusals are those of a server", async () => {
  const stream = await createTestStream(pingPong);
  expect(await messageOfFailure(() => stream.append({ type: "a", payload: 2 ** 60 }))).toMatch(/^This is no event: /);
  await stream.append({ type: "https://events.iterate.com/events/stream/paused" });
  await expect(stream.append({ type: "ping" })).rejects.toMatchObject({ name: "StreamError", code: "stream_paused" });
  await stream.append({ type: "https://events.iterate.com/events/stream/resumed" });
  const once = { type: "ping", idempotencyKey: "k" };
  expect(await stream.append(once)).toEqual(await stream.append(once));
  await stream.close();
});

test("time passes only by advance: attempts at their time, on the ladder", async () => {
  const stream = await createTestStream(failing(2));
  const began = stream.clock.now();
  await stream.append({ type: "ping" });
  await stream.settled();
  expect(await stream.errors()).toEqual([{ message: "no, not at attempt 1", offset: 3 }]);
  await stream.advance(60_000);
  expect(stream.clock.now()).toBe(began + 60_000);
  const [pong] = await stream.appended();
  expect(pong?.payload).toEqual({ attempt: 3 });
  // 1 s and 2 s, each with a quarter of chance at most.
  const after = Date.parse(pong?.createdAt as string) - began;
  expect(after).toBeGreaterThanOrEqual(3_000);
  expect(after).toBeLessThanOrEqual(3_750);
  await stream.close();
});

test("schedules tick as time passes", async () => {
  const stream = await createTestStream(pingPong);
  await stream.append({
    type: "https://events.iterate.com/events/stream/append-scheduled",
    payload: { slug: "tick", schedule: { kind: "every", intervalSeconds: 10 }, append: { type: "ping" } },
  });
  await stream.advance(35_000);
  expect(await stream.state()).toEqual({ pings: 3 });
  expect(types(await stream.appended())).toEqual(["pong", "pong", "pong"]);
  await stream.close();
});

test("advance waits for hooks that wait for something real", async () => {
  const ladder = failing(2);
  const slow = {
    ...ladder,
    async afterAppend(args: Parameters<NonNullable<typeof ladder.afterAppend>>[0]) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return ladder.afterAppend?.(args);
    },
  };
  const stream = await createTestStream(slow);
  await stream.append({ type: "ping" });
  await stream.advance(10_000);
  expect((await stream.appended()).map(({ payload }) => payload)).toEqual([{ attempt: 3 }]);
  await stream.close();
});

test("a hook that never ends is ended after its 15 minutes", async () => {
  const stuck = {
    slug: "stuck",
    initialState: null,
    reduce: () => null,
    afterAppend: ({ event }: { event: { type: string } }) =>
      event.type === "ping" ? new Promise<void>(() => {}) : undefined,
  };
  const stream = await createTestStream(stuck, { limitMs: 200 });
  await stream.append({ type: "ping" });
  await stream.advance(910_000);
  expect(await stream.errors()).toEqual([{ message: "The hook ran for more than 15 minutes.", offset: 3 }]);
  await stream.close();
});

/** Long work that never ends, and a note of what the next start says of it. */
function interrupting() {
  const heard: unknown[] = [];
  const processor = defineProcessor<number>({
    slug: "interrupting",
    initialState: 0,
    reduce: ({ state }) => state + 1,
    afterAppend({ event, attempt, waitUntil }) {
      if (event.type !== "go") return;
      heard.push({ attempt });
      waitUntil("ask", () => new Promise(() => {}));
    },
    afterCatchUp({ interrupted }) {
      heard.push({ interrupted });
    },
  });
  return { heard, processor };
}

test.each([
  ["a crash at once leaves in doubt whether the hook had ended", 0, "crash" as const, { offset: 3 }, [{ attempt: 2 }]],
  ["a crash leaves work open, which the next start finds", 1_000, "crash" as const, {}, []],
  ["an orderly end leaves it open as well", 0, "orderly" as const, {}, []],
])("%s", async (_, afterMs, how, place, again) => {
  const { heard, processor } = interrupting();
  const stream = await createTestStream(processor, { limitMs: 200 });
  await stream.append({ type: "go" });
  expect(await messageOfFailure(() => stream.settled())).toBe(
    'interrupting: after 200 ms this had not ended: the work "ask".',
  );
  await stream.advance(afterMs);
  await stream.restart(how);
  const work = [{ name: "ask", offset: 3 }];
  expect(heard).toEqual([{ interrupted: undefined }, { attempt: 1 }, { interrupted: { ...place, work } }, ...again]);
  expect(await stream.state()).toBe(3);
  await stream.close();
});

test("after a restart it goes on where it was", async () => {
  const stream = await createTestStream(pingPong);
  await stream.append({ type: "ping" });
  await stream.settled();
  await stream.restart();
  await stream.append({ type: "ping" });
  await stream.settled();
  expect(await stream.state()).toEqual({ pings: 2 });
  expect((await stream.appended()).map(({ payload }) => payload)).toMatchObject([{ pings: 1 }, { pings: 2 }]);
  await stream.close();
});

test("streams know nothing of each other", async () => {
  const [one, other] = await Promise.all([createTestStream(pingPong), createTestStream(pingPong)]);
  await one.append({ type: "ping" });
  await Promise.all([one.settled(), other.settled()]);
  expect([await one.state(), await other.state()]).toEqual([{ pings: 1 }, { pings: 0 }]);
  await Promise.all([one.close(), other.close()]);
});

test("processors may be frozen, or instances of a class that keeps something to itself", async () => {
  class Doubling {
    readonly slug = "doubling";
    readonly initialState = 1;
    readonly #factor = 2;
    reduce({ state, event }: { state: number; event: { type: string } }): number {
      return event.type === "ping" ? state * this.#factor : state;
    }
  }
  for (const [processor, state] of [
    [new Doubling(), 4],
    [Object.freeze({ ...pingPong }), { pings: 2 }],
  ] as const) {
    const stream = await createTestStream<unknown>(processor as Processor<unknown>);
    await stream.append([{ type: "ping" }, { type: "ping" }]);
    await stream.settled();
    expect(await stream.state()).toEqual(state);
    await stream.close();
  }
});
