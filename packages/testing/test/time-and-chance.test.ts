import { createManualClock, createSeededRandom } from "@millrace/testing";
import { describe, expect, test } from "vitest";

describe("seeded chance", () => {
  test("the same seed gives the same, another seed something else", () => {
    const draw = (seed: number) => {
      const random = createSeededRandom(seed);
      return [random.id(), random.fraction(), random.integer(1_000), random.pick(["a", "b", "c"]), random.id()];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(8)).not.toEqual(draw(7));
  });

  test("ids are what the engine asks for, and fractions are even enough", () => {
    const random = createSeededRandom(1);
    const ids = Array.from({ length: 1_000 }, () => random.id());
    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
    const fractions = Array.from({ length: 10_000 }, () => random.fraction());
    expect(Math.min(...fractions)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...fractions)).toBeLessThan(1);
    expect(fractions.filter((fraction) => fraction < 0.5).length / 10_000).toBeCloseTo(0.5, 1);
  });
});

describe("the manual clock", () => {
  test("timers run in the order in which they fall due, at their time", () => {
    const clock = createManualClock(1_000);
    const ran: [string, number][] = [];
    clock.setTimer(30, () => ran.push(["late", clock.now()]));
    clock.setTimer(10, () => {
      ran.push(["early", clock.now()]);
      clock.setTimer(5, () => ran.push(["set by another", clock.now()]));
    });
    const cancel = clock.setTimer(20, () => ran.push(["cancelled", clock.now()]));
    cancel();
    clock.advance(29);
    expect(ran).toEqual([
      ["early", 1_010],
      ["set by another", 1_015],
    ]);
    expect(clock.nextTimerInMs()).toBe(1);
    clock.advance(1);
    expect(ran.at(-1)).toEqual(["late", 1_030]);
    expect(clock.nextTimerInMs()).toBeUndefined();
  });

  test("a jump of the wall clock runs no timer and delays none", () => {
    const clock = createManualClock(1_000);
    let ran = 0;
    clock.setTimer(10, () => ran++);
    clock.jump(3_600_000);
    expect([ran, clock.now()]).toEqual([0, 3_601_000]);
    clock.jump(-7_200_000);
    clock.advance(10);
    expect([ran, clock.now()]).toEqual([1, 1_000 - 3_600_000 + 10]);
  });
});
