import { describe, expect, test } from "vitest";
import { LiveTail } from "./live-tail.ts";

function publishing(readers: number): { tail: LiveTail; publish(records: string[]): void } {
  const tail = new LiveTail();
  tail.readers = readers;
  let next = 1;
  return {
    tail,
    publish(records) {
      tail.publish(next, records);
      next += records.length;
    },
  };
}

describe("the live tail", () => {
  test("finds the commit that holds an offset", () => {
    const { tail, publish } = publishing(1);
    for (const count of [1, 3, 1, 5]) publish(Array(count).fill("x"));
    const firsts = [1, 2, 2, 2, 5, 6, 6, 6, 6, 6, undefined];
    expect(firsts.map((_, i) => tail.at(i + 1)?.first)).toEqual(firsts);
  });

  test("keeps a megabyte, however much comes: whoever needs more reads the log", () => {
    const { tail, publish } = publishing(1);
    for (let i = 0; i < 100; i++) publish(["x".repeat(100_000)]);
    const kept = Array.from({ length: 100 }, (_, i) => tail.at(i + 1)).filter((found) => found !== undefined);
    expect(kept.map(({ first }) => first)).toEqual([91, 92, 93, 94, 95, 96, 97, 98, 99, 100]);
  });

  test("keeps one commit, also when that alone is larger", () => {
    const { tail, publish } = publishing(1);
    publish(["small"]);
    publish(["x".repeat(5_000_000), "y"]);
    expect([tail.at(1), tail.at(3)?.first]).toEqual([undefined, 2]);
  });

  test("keeps nothing while nobody reads", () => {
    const { tail, publish } = publishing(1);
    publish(["x"]);
    tail.readers = 0;
    publish(["y"]);
    expect([tail.at(1), tail.at(2)]).toEqual([undefined, undefined]);
  });

  test("wakes everybody at every change, and nobody who left", () => {
    const { tail, publish } = publishing(3);
    const woken: string[] = [];
    tail.onChange(() => woken.push("one"));
    tail.onChange(() => woken.push("left"))();
    const leave = tail.onChange(() => woken.push("two"));
    publish(["x"]);
    leave();
    publish(["y"]);
    tail.end();
    tail.reload();
    expect(woken).toEqual(["one", "two", "one", "one", "one"]);
    expect(tail.at(1)).toBeUndefined();
  });
});
