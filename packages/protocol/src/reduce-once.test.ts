/** What a reducer may return, and what becomes of it. */
import { expect, test } from "vitest";
import type { StreamEvent } from "./event.ts";
import { reduceOnce } from "./reduce-once.ts";

const event: StreamEvent = {
  streamPath: "/s",
  offset: 1,
  type: "ping",
  payload: {},
  createdAt: "2026-01-01T00:00:00.000Z",
};

const returning = (next: unknown) => ({ reduce: () => next as never });

test("what it returns is the state; nothing keeps it, and null is a state", () => {
  expect(reduceOnce(returning({ n: 2 }), { n: 1 }, event)).toEqual({ n: 2 });
  expect(reduceOnce(returning(undefined), { n: 1 }, event)).toEqual({ n: 1 });
  expect(reduceOnce(returning(null), { n: 1 }, event)).toBeNull();
});

test("what it throws goes through", () => {
  const reduce = () => {
    throw new RangeError("cannot");
  };
  expect(() => reduceOnce({ reduce }, 0, event)).toThrow(new RangeError("cannot"));
});

test("a promise of any make is refused, and when it rejects nobody is left with it", () => {
  const said = "reduce returned a promise; it has to be synchronous.";
  const handlers: string[] = [];
  // biome-ignore lint/suspicious/noThenProperty: a promise of somebody else's make
  const foreign = { then: (_: unknown, rejected: unknown) => handlers.push(typeof rejected) };
  expect(() => reduceOnce(returning(foreign), 0, event)).toThrow(said);
  expect(handlers).toEqual(["function"]);
  // Vitest fails a run in which a rejection is left unhandled.
  expect(() => reduceOnce(returning(Promise.reject(new Error("late"))), 0, event)).toThrow(said);
});
