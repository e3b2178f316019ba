/** refold: exported logs in all the forms they come in, against the state of the processor that ran. */
import { defineProcessor, type StreamEvent } from "@millrace/protocol";
import { createTestStream, refold } from "@millrace/testing";
import { expect, test } from "vitest";
import { z } from "zod";
import { messageOfFailure, pingPong } from "./processors-under-test.ts";

/** As `millrace export --children` writes it: stream by stream. */
const toText = (events: readonly StreamEvent[]) => events.map((event) => `${JSON.stringify(event)}\n`).join("");

const counting = defineProcessor<{ types: Record<string, number>; last: string }>({
  slug: "counting",
  initialState: { types: {}, last: "" },
  reduce: ({ state: { types }, event: { type, createdAt } }) => ({
    types: { ...types, [type]: (types[type] ?? 0) + 1 },
    last: createdAt,
  }),
  async afterAppend({ event, append }) {
    if (event.type === "go") await append({ path: "./child", event: { type: "went" } });
  },
});

test("the state of an exported log is the one that it had live, and nothing is done", async () => {
  const stream = await createTestStream(counting, { history: [{ type: "before" }] });
  for (let i = 0; i < 20; i++) {
    await stream.append([{ type: "go" }, { type: `type-${i % 3}` }]);
    await stream.advance(1_234);
  }
  const live = await stream.state();
  const own = await stream.events();
  const log = toText([...own, ...(await stream.events("./child"))]);
  const lengthBefore = (await stream.appended()).length;
  const states = await refold(counting, log);
  expect(Object.keys(states)).toEqual(["/test", "/test/child"]);
  expect(states["/test"]).toEqual(live);
  expect(states["/test/child"]?.types).toMatchObject({ went: 20 });
  await stream.settled();
  expect(await stream.appended()).toHaveLength(lengthBefore);
  await stream.close();
});

const event = (streamPath: string, offset: number, type = "ping"): StreamEvent => ({
  streamPath,
  offset,
  type,
  payload: {},
  createdAt: "2026-01-01T00:00:00.000Z",
});

async function* slowly<Item>(items: Iterable<Item>): AsyncGenerator<Item> {
  yield* items;
}

test("text, lines and events, all at once or as they come", async () => {
  const events = [event("/a", 1), event("/a", 2), event("/b", 4)];
  const lines = events.map((item) => JSON.stringify(item));
  const expected = { "/a": { pings: 2 }, "/b": { pings: 1 } };
  for (const log of [
    toText(events),
    toText(events).replaceAll("\n", "\r\n\r\n"),
    lines,
    events,
    slowly(lines),
    slowly(events),
  ]) {
    expect(await refold(pingPong, log)).toEqual(expected);
  }
  expect(await refold(pingPong, "")).toEqual({});
});

test("at stops each stream behind that event", async () => {
  const events = [event("/a", 1), event("/a", 2), event("/a", 3), event("/b", 2), event("/c", 3)];
  expect(await refold(pingPong, events, { at: 2 })).toEqual({ "/a": { pings: 2 }, "/b": { pings: 1 } });
  expect(await refold(pingPong, events, { at: 0 })).toEqual({});
});

test("streams whose events are interleaved are told apart", async () => {
  const events = [event("/a", 1), event("/b", 1), event("/a", 2), event("/__proto__", 1)];
  const states = await refold(pingPong, events);
  expect(states["/a"]).toEqual({ pings: 2 });
  expect(Object.keys(states)).toEqual(["/a", "/b", "/__proto__"]);
});

test("a stream does not get what another one's reducer did to the initial state", async () => {
  const adding = { slug: "adding", initialState: [] as number[], reduce: mutating };
  function mutating({ state, event: { offset } }: { state: number[]; event: StreamEvent }) {
    state.push(offset);
    return state;
  }
  expect(await refold(adding, [event("/a", 1), event("/b", 2)])).toEqual({ "/a": [1], "/b": [2] });
  expect(adding.initialState).toEqual([]);
});

test.each([
  [
    "half a line",
    `${JSON.stringify(event("/a", 1))}\n{"streamPath":"/a","off`,
    'Line 2 is no JSON: "{\\"streamPath\\":\\"/a\\",\\"off"',
  ],
  ["what was never stored", '\n{"type":"ping"}\n', 'Line 2 is no stored event: {"type":"ping"}'],
  [
    "a gap",
    toText([event("/a", 1), event("/b", 1), event("/a", 3)]),
    "Line 3: in /a, offset 3 follows 1. A state can only be reduced from all events, in order.",
  ],
  [
    "an event twice",
    toText([event("/a", 1), event("/a", 1)]),
    "Line 2: in /a, offset 1 follows 1. A state can only be reduced from all events, in order.",
  ],
])("a log with %s", async (_, log, said) => {
  expect(await messageOfFailure(() => refold(pingPong, log))).toBe(said);
});

test("where reduce fails, the event is named", async () => {
  const strict = {
    slug: "strict",
    initialState: 0,
    reduce({ event: { payload } }: { event: StreamEvent }) {
      return (payload as { items: unknown[] }).items.length;
    },
  };
  expect(await messageOfFailure(() => refold(strict, [event("/a", 7, "order")]))).toBe(
    "strict: reduce failed at /a@7 (order): Cannot read properties of undefined (reading 'length')",
  );
});

test("with schemas it is given what it would be given live: the types that it has, parsed", async () => {
  const events = [
    { type: "order", payload: { cups: "2" } },
    { type: "order", payload: { cups: "many" } },
    { type: "other", payload: { cups: "5" } },
    { type: "order", payload: { cups: 3 } },
  ].map((event, i) => ({ ...event, streamPath: "/orders", offset: i + 1, createdAt: "2026-11-21T12:00:00.000Z" }));
  const cups = defineProcessor({
    slug: "cups",
    initialState: 0,
    events: { order: z.object({ cups: z.coerce.number() }) },
    reduce: ({ state, event }) => state + event.payload.cups,
  });
  expect(await refold(cups, events)).toEqual({ "/orders": 5 });
});

test("a schema that answers with a promise is refused: nothing waits here", async () => {
  const late = defineProcessor({
    slug: "late",
    initialState: 0,
    events: { order: z.object({ cups: z.number() }).refine(async () => true) },
    reduce: () => 1,
  });
  const [order] = [event("/a", 7, "order")].map((stored) => ({ ...stored, payload: { cups: 1 } }));
  expect(await messageOfFailure(() => refold(late, [order as StreamEvent]))).toBe(
    "late: reduce failed at /a@7 (order): the schema of order answered with a promise: it is asynchronous, or a transform of it threw.",
  );
});
