/** From events and a state to what is listed. */
import type { ConsumerState, StreamEvent } from "@millrace/sdk";
import { describe, expect, test } from "vitest";
import { consumerOf, foldSubscriptions, foldTransformers } from "./consumer-list.ts";

const prefix = "https://events.iterate.com/events/stream/";
const createdAt = "2026-01-01T00:00:00.000Z";

/** Events from offset 2 on. */
const log = (...events: [name: string, payload: object][]): StreamEvent[] =>
  events.map(([name, payload], i) => ({
    streamPath: "/a",
    offset: i + 2,
    type: `${prefix}${name}`,
    payload: payload as StreamEvent["payload"],
    createdAt,
  }));

const configured = (slug: string, to = "/b"): [string, object] => [
  "subscription/configured",
  { slug, type: "stream", path: to },
];
const parked = (slug: string, offset: number): [string, object] => [
  "subscription/event-parked",
  { slug, offset, message: "refused", status: 422 },
];
const runs = (kind: string, cursor = 3): ConsumerState => ({ kind, cursor, lag: 0 });

describe("subscriptions", () => {
  test("the newest configuration of each slug, by slug, with what the server says", () => {
    const events = log(configured("b"), configured("a"), configured("b", "/c"));
    const consumers = { b: runs("subscription") };
    expect(foldSubscriptions(events, { path: "/a", consumers })).toEqual([
      { path: "/a", slug: "a", offset: 3, configuration: { slug: "a", type: "stream", path: "/b" }, parked: [] },
      {
        path: "/a",
        slug: "b",
        offset: 4,
        configuration: { slug: "b", type: "stream", path: "/c" },
        parked: [],
        consumer: { kind: "subscription", cursor: 3, lag: 0 },
      },
    ]);
  });

  test("what was removed is gone, with what it parked, also when it comes back", () => {
    const events = log(configured("a"), parked("a", 1), ["subscription/removed", { slug: "a" }]);
    const nowhere = { path: "/a", consumers: {} };
    expect(foldSubscriptions(events, nowhere)).toEqual([]);
    const again = { ...(log(configured("a"))[0] as StreamEvent), offset: 9 };
    expect(foldSubscriptions([...events, again], nowhere)).toMatchObject([{ slug: "a", offset: 9, parked: [] }]);
  });

  test("what was parked, until it is asked for again; a new configuration keeps it", () => {
    const replay: [string, object] = ["subscription/event-replay-requested", { slug: "a", offset: 1 }];
    const offsets = (...events: [string, object][]) =>
      foldSubscriptions(log(configured("a"), ...events), { path: "/a", consumers: {} })[0]?.parked.map((e) => e.offset);
    expect(offsets(parked("a", 1), parked("a", 4))).toEqual([1, 4]);
    expect(offsets(parked("a", 1), parked("a", 4), replay)).toEqual([4]);
    expect(offsets(parked("a", 1), parked("a", 4), replay, parked("a", 1))).toEqual([4, 1]);
    expect(offsets(parked("a", 1), configured("a", "/c"))).toEqual([1]);
    expect(offsets(parked("b", 1), replay)).toEqual([]);
  });
});

test("transformers", () => {
  const payload = { slug: "__proto__", matcher: "true", transform: "{}" };
  const events = log(
    ["jsonata-transformer-configured", { ...payload, slug: "gone" }],
    ["jsonata-transformer-configured", payload],
    ["jsonata-transformer-removed", { slug: "gone" }],
    ["jsonata-transformer-removed", { slug: "never" }],
  );
  expect(foldTransformers(events, { path: "/a", consumers: {} })).toEqual([
    { path: "/a", slug: "__proto__", offset: 3, configuration: payload },
  ]);
});

test("the state of one, also where another kind has the slug", () => {
  const consumers = {
    tree: runs("builtin"),
    "a b": runs("transformer", 7),
    "subscription/a%20b": runs("subscription"),
  };
  expect(consumerOf(consumers, "transformer", "a b")?.cursor).toBe(7);
  expect(consumerOf(consumers, "subscription", "a b")?.cursor).toBe(3);
  expect(consumerOf(consumers, "processor", "a b")).toBeUndefined();
  expect(consumerOf(consumers, "subscription", "tree")).toBeUndefined();
  expect(consumerOf(consumers, "subscription", "toString")).toBeUndefined();
});
