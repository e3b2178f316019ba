import { describe, expect, test } from "vitest";
import { type Activity, burnersAmong } from "./activity.ts";
import { busyShare } from "./burning.ts";

describe("how busy a process was", () => {
  const share = (passedMs: number, ranMs: number, waitedMs: number) =>
    busyShare({ at: 5, ranMs: 7, waitedMs: 9 }, { at: 5 + passedMs, ranMs: 7 + ranMs, waitedMs: 9 + waitedMs });

  test.each([
    ["all the time", 1_000, 1_000, 0, 1],
    ["half of it", 1_000, 500, 0, 0.5],
    ["all that others left to it", 1_000, 250, 750, 1],
    ["rarely, and waited for a core each time", 1_000, 100, 800, 0.5],
    ["too little to burn anything", 1_000, 40, 960, 0],
    ["longer than the clock says, by its own measure", 1_000, 1_010, 10, 1],
    ["no time has passed", 0, 0, 0, 0],
  ])("%s", (_, passedMs, ranMs, waitedMs, wanted) => {
    expect(share(passedMs, ranMs, waitedMs)).toBeCloseTo(wanted);
  });
});

describe("who may have kept it busy", () => {
  const activity = (suspect: string, sentAt: number, part: Partial<Activity> = {}): Activity => ({
    ...{ suspect, sentAt, questions: 0, cpuMs: 450 },
    deed: { what: "call", through: 7 },
    ...part,
  });
  const early = activity("early", 10);
  const earlier = activity("earlier", 5);
  const late = activity("late", 200);
  const left = activity("left", 150, { isLeft: true });
  const load = activity("code", 1, { deed: { what: "load", through: 0 } });

  test("what ran all the time, and first what was left behind", () => {
    expect(burnersAmong([late, early, load, left, earlier], [], 100)).toEqual([left, earlier, early]);
  });

  test("what runs, where nothing did for so long", () => {
    expect(burnersAmong([load, late], [earlier], 100)).toEqual([late]);
  });

  test("who ran when it began, where nothing runs: the nearest first, and not everybody", () => {
    const many = Array.from({ length: 50 }, (_, i) => activity(String(i), 300 + i));
    expect(
      burnersAmong([load], [...many, activity("then", 95), load, early], 100).map(({ suspect }) => suspect),
    ).toEqual(["then", "early", "0", "1", "2", "3", "4", "5"]);
  });
});
