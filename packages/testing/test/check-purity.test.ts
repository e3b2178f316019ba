/** checkPurity: each way in which a reducer can be impure, and what is said about it, word for word. */
import { defineProcessor, type Processor } from "@millrace/protocol";
import { checkPurity } from "@millrace/testing";
import { expect, test } from "vitest";
import { pingPong } from "./processors-under-test.ts";

interface Items {
  items: { name: string; done: boolean }[];
}

const empty: Items = { items: [] };

/** A reducer that adds an item for "add", and does something else for everything else. */
function reducing(reduce: Processor<Items>["reduce"]): Processor<Items> {
  return defineProcessor<Items>({
    slug: "items",
    initialState: empty,
    reduce: (args) =>
      args.event.type === "add"
        ? { items: [...args.state.items, { name: String(args.event.payload), done: false }] }
        : reduce(args),
  });
}

const events = [{ type: "add", payload: "a" }, { type: "add", payload: "b" }, { type: "go" }];

function fault(reduce: (args: { state: Items; event: { payload: unknown } }) => unknown): string {
  try {
    checkPurity(reducing(reduce as Processor<Items>["reduce"]), events);
  } catch (error) {
    return (error as Error).message;
  }
  return "pure";
}

test("a pure reducer comes through, with the state at the end", () => {
  expect(checkPurity(pingPong, [{ type: "ping" }, { type: "pong" }, { type: "ping" }])).toEqual({ pings: 2 });
  expect(checkPurity(pingPong, [])).toEqual({ pings: 0 });
  expect(fault(({ state }) => ({ items: state.items.toSorted((a, b) => (a.name < b.name ? 1 : -1)) }))).toBe("pure");
});

test("a reducer that returns nothing keeps the state, and its own constants stay as they are", () => {
  expect(fault(() => undefined)).toBe("pure");
  expect(fault(() => empty)).toBe("pure");
  expect(Object.isFrozen(empty.items)).toBe(false);
});

test.each([
  [
    "its state",
    ({ state }: { state: Items }) => {
      (state.items[1] as { done: boolean }).done = true;
      return state;
    },
    "reduce changed what it was given: state.items[1].done was false and is true. Return a new state instead.",
  ],
  [
    "a list in its state",
    ({ state }: { state: Items }) => {
      state.items.push({ name: "c", done: true });
      return { items: state.items };
    },
    'reduce changed what it was given: state.items[2] was nothing and is {"name":"c","done":true}. Return a new state instead.',
  ],
  [
    "its event",
    ({ state, event }: { state: Items; event: { payload: unknown } }) => {
      Object.assign(event.payload as object, { "seen already": true });
      return state;
    },
    'reduce changed what it was given: event.payload["seen already"] was nothing and is true. Return a new state instead.',
  ],
  [
    "what happens to stay the same",
    ({ state }: { state: Items }) => ({ items: state.items.sort((a, b) => (a.name < b.name ? -1 : 1)) }),
    /^reduce failed where what it is given is frozen: Cannot assign to read only property '0' of object '\[object Array\]'$/,
  ],
])("a reducer that changes %s", (_, reduce, said) => {
  const message = fault(reduce as Parameters<typeof fault>[0]);
  const where = "items is not pure: at /test@3 (go) ";
  expect(message.startsWith(where)).toBe(true);
  const rest = message.slice(where.length);
  if (typeof said === "string") expect(rest).toBe(said);
  else expect(rest).toMatch(said);
});

const named = (name: unknown) => ({ items: [{ name, done: false }] });
const why = "what a state needs of time or chance belongs into the event.";

test.each([
  ["Date.now()", () => named(Date.now()), /name is \d+ and then \d+\. It asked Date\.now\(\); /],
  ["new Date()", () => named(new Date().toISOString()), /name is "[^"]+" and then "[^"]+"\. It asked new Date\(\); /],
  ["Date()", () => named(Date().slice(0, 15)), /It asked Date\(\); /],
  ["Math.random()", () => named(Math.random()), /It asked Math\.random\(\); /],
  [
    "a coin",
    () => named(Math.random() < 0.5),
    /name is (true|false) and then (true|false)\. It asked Math\.random\(\); /,
  ],
  ["performance.now()", () => named(performance.now()), /It asked performance\.now\(\); /],
])("a reducer that asks %s", (_, reduce, said) => {
  const message = fault(reduce);
  expect(message).toMatch(said);
  expect(message).toContain(
    "items is not pure: at /test@3 (go) reduce gave two states for the same events: state.items[0].name is ",
  );
  expect(message.endsWith(why)).toBe(true);
});

test("a reducer with a memory of its own", () => {
  let calls = 0;
  expect(fault(() => named(++calls))).toBe(
    "items is not pure: at /test@3 (go) reduce gave two states for the same events: state.items[0].name is 1 and then 2.",
  );
});

test("time and chance that do not show in the state are nobody's business, and are as before afterwards", () => {
  const { random } = Math;
  const { Date: date } = globalThis;
  const { now } = performance;
  expect(
    fault(({ state }) => {
      Math.random();
      return Date.now() > 0 && new Date("2026-01-01") instanceof Date ? state : null;
    }),
  ).toBe("pure");
  expect([Math.random, globalThis.Date, performance.now]).toEqual([random, date, now]);
});

const circle: Record<string, unknown> = {};
circle.self = circle;

test.each([
  ["undefined inside", { items: [{ name: undefined }] }, "state.items[0].name is undefined"],
  ["a Map", { items: [], seen: new Map() }, "state.seen is a Map"],
  ["a Date", { items: [], at: new Date(0) }, "state.at is a Date"],
  ["a function", { items: [], next: () => 1 }, "state.next is a function"],
  ["NaN", { items: [Number.NaN] }, "state.items[0] is NaN"],
  ["a bigint", { items: [1n] }, "state.items[0] is a bigint"],
  ["a circle", { items: [circle] }, "state.items[0].self is a circle, an object that holds itself"],
  ["a hole", { items: new Array(2) }, "state.items[0] is undefined"],
  ["an instance", { items: new (class Basket {})() }, "state.items is a Basket"],
])("a state with %s", (_, state, said) => {
  expect(fault(() => state)).toBe(`items is not pure: at /test@3 (go) ${said}, which is not JSON.`);
});

test("a state that is no JSON from the start", () => {
  const processor = { slug: "seen", initialState: { seen: new Set() }, reduce: () => ({ seen: new Set() }) };
  expect(() => checkPurity(processor, [])).toThrow("seen is not pure: initialState.seen is a Set, which is not JSON.");
});

test("a reducer that throws, and one that returns a promise", () => {
  const throwing = () => {
    throw new Error("I cannot do this");
  };
  expect(fault(throwing)).toBe("items is not pure: at /test@3 (go) reduce failed: I cannot do this");
  expect(fault(async ({ state }) => state)).toBe(
    "items is not pure: at /test@3 (go) reduce failed: reduce returned a promise; it has to be synchronous.",
  );
});

test("stored events keep their own places, and are not changed", () => {
  const stored = Object.freeze({
    streamPath: "/me",
    offset: 17,
    type: "go",
    payload: {},
    createdAt: "2026-01-01T00:00:00.000Z",
  });
  expect(() =>
    checkPurity(
      reducing(() => ({ items: [Math.random()] }) as never),
      [stored, { type: "add" }],
    ),
  ).toThrow("at /me@17 (go) ");
  expect(() => checkPurity(pingPong, [{ type: "" }])).toThrow(
    'This is no event: type: expected 1 to 2048 characters, got 0\n  {"type":""}',
  );
});
