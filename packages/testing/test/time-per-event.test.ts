/** timePerEvent: tells a reducer that grows with its log from one that does not. Wide margins: machines are busy. */
import { timePerEvent } from "@millrace/testing";
import { expect, test } from "vitest";
import { pingPong } from "./processors-under-test.ts";

const pings = (count: number) => Array.from({ length: count }, () => ({ type: "ping" }));

test("a quadratic reducer stands out, a constant one does not", () => {
  const sorting = {
    slug: "sorting",
    initialState: [] as number[],
    reduce: ({ state, event }: { state: number[]; event: { offset: number } }) =>
      [...state, (event.offset * 7_919) % 10_007].sort((a, b) => a - b),
  };
  const quadratic = timePerEvent(sorting, pings(2_000));
  const constant = timePerEvent(pingPong, pings(2_000));
  expect(quadratic.ratio).toBeGreaterThan(4);
  expect(quadratic.lastTenthUs / quadratic.firstTenthUs).toBe(quadratic.ratio);
  expect(constant.ratio).toBeLessThan(quadratic.ratio);
  expect(constant.firstTenthUs).toBeGreaterThan(0);
});

test("it counts by the event: what is slow at the end alone shows there", () => {
  const slowAtLast = {
    slug: "slow-at-last",
    initialState: 0,
    reduce({ state, event }: { state: number; event: { offset: number } }) {
      if (event.offset > 18) for (const until = performance.now() + 2; performance.now() < until; );
      return state + 1;
    },
  };
  const { firstTenthUs, lastTenthUs } = timePerEvent(slowAtLast, pings(20));
  expect(lastTenthUs).toBeGreaterThanOrEqual(1_900);
  expect(firstTenthUs).toBeLessThan(lastTenthUs);
});

test("a log too short to have tenths is refused", () => {
  expect(() => timePerEvent(pingPong, pings(19))).toThrow("timePerEvent needs 20 events or more, got 19.");
});

test("the processor's own initial state stays as it is", () => {
  const initialState: number[] = [];
  const mutating = {
    slug: "mutating",
    initialState,
    reduce({ state }: { state: number[] }) {
      state.push(1);
      return state;
    },
  };
  timePerEvent(mutating, pings(20));
  expect(initialState).toEqual([]);
});
