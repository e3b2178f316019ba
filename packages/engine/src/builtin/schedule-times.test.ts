/** When a schedule comes next: over changes of the clock in several zones, month ends, leap days, and without drift. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { firstTime, type ScheduleTimes, timeAfter } from "./schedule-times.ts";

const iso = (time: number | null) => (time === null ? "never" : new Date(time).toISOString().replace(":00.000Z", "Z"));

/** The times after a moment, one after another. */
function times(schedule: ScheduleTimes, from: string, count: number): string[] {
  const configuredAt = Date.parse(from);
  const found: string[] = [];
  let at: number | null = configuredAt;
  while (found.length < count && at !== null) {
    at = timeAfter(schedule, configuredAt, at);
    found.push(iso(at));
  }
  return found;
}

describe("cron", () => {
  test.each([
    // An hour that is left out: what falls into it comes right behind it, once.
    ["30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-28T01:30Z 2026-03-29T01:00Z 2026-03-30T00:30Z"],
    ["30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", "2026-03-07T07:30Z 2026-03-08T07:00Z 2026-03-09T06:30Z"],
    [
      "15 2 * * *",
      "Australia/Lord_Howe",
      "2026-10-02T12:00:00Z",
      "2026-10-02T15:45Z 2026-10-03T15:30Z 2026-10-04T15:15Z",
    ],
    // An hour that comes twice: a time of the day is there once.
    ["30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", "2026-10-24T00:30Z 2026-10-25T00:30Z 2026-10-26T01:30Z"],
    ["30 1 * * *", "America/New_York", "2026-10-31T00:00:00Z", "2026-10-31T05:30Z 2026-11-01T05:30Z 2026-11-02T06:30Z"],
    [
      "45 1 * * *",
      "Australia/Lord_Howe",
      "2026-04-03T00:00:00Z",
      "2026-04-03T14:45Z 2026-04-04T14:45Z 2026-04-05T15:15Z",
    ],
    // What comes every hour comes in each hour that there is.
    ["0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", "2026-03-29T00:00Z 2026-03-29T01:00Z 2026-03-29T02:00Z"],
    ["0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T00:00Z 2026-10-25T01:00Z 2026-10-25T02:00Z"],
    ["*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z", "2026-10-25T00:30Z 2026-10-25T01:00Z 2026-10-25T01:30Z"],
    // No change of the clock at all, and half an hour beside the others.
    ["0 9 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T03:30Z 2026-01-02T03:30Z"],
    ["0 9 * * *", undefined, "2026-03-28T12:00:00Z", "2026-03-29T09:00Z 2026-03-30T09:00Z"],
    // Month ends and leap days, also over 2100, which has none.
    ["0 9 31 * *", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-31T08:00Z 2026-03-31T07:00Z 2026-05-31T07:00Z"],
    ["0 0 L * *", "UTC", "2026-01-15T00:00:00Z", "2026-01-31T00:00Z 2026-02-28T00:00Z 2026-03-31T00:00Z"],
    ["0 0 L 2 *", "UTC", "2027-03-01T00:00:00Z", "2028-02-29T00:00Z 2029-02-28T00:00Z"],
    ["0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00Z 2032-02-29T00:00Z"],
    ["0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00Z"],
    ["0 0 1 1 *", "Pacific/Kiritimati", "2026-06-01T00:00:00Z", "2026-12-31T10:00Z 2027-12-31T10:00Z"],
  ])("%s in %s after %s", (cron, timezone, from, expected) => {
    const schedule: ScheduleTimes = { kind: "cron", cron, ...(timezone === undefined ? {} : { timezone }) };
    const list = expected.split(" ");
    expect(times(schedule, from, list.length)).toEqual(list);
  });

  test("whatever the zone and the moment, the next time lies behind it and nothing lies between", () => {
    const zone = fc.constantFrom("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns");
    const cron = fc.constantFrom(
      "30 2 * * *",
      "*/7 * * * *",
      "0 */5 * * *",
      "59 23 L * *",
      "*/20 15 1-3 * * SUN",
      "@weekly",
    );
    const moment = fc.integer({ min: Date.UTC(2026, 0), max: Date.UTC(2027, 0) });
    fc.assert(
      fc.property(zone, cron, moment, (timezone, cron, moment) => {
        const schedule: ScheduleTimes = { kind: "cron", cron, timezone };
        const next = timeAfter(schedule, 0, moment) as number;
        expect(next).toBeGreaterThan(moment);
        expect(timeAfter(schedule, 0, next - 1), "from right before").toBe(next);
        expect(timeAfter(schedule, 0, Math.floor((moment + next) / 2)), "from in between").toBe(next);
        expect(timeAfter(schedule, 0, next)).toBeGreaterThan(next);
      }),
      { numRuns: 300 },
    );
  });
});

describe("every", () => {
  test.each([
    [5, 5_000],
    [0.05, 50],
    [0.07, 70],
    [0.0501, 50.1],
    [0.1, 100],
    [1.1, 1_100],
    [1 / 3, 1_000 / 3],
    [86_400, 86_400_000],
  ])("%d s: ten thousand ticks, each at its time, none early", (intervalSeconds, intervalMs) => {
    const schedule: ScheduleTimes = { kind: "every", intervalSeconds };
    const configuredAt = Date.UTC(2026, 0, 1) + 7;
    let at: number | null = configuredAt;
    for (let n = 1; n <= 10_000; n++) {
      at = timeAfter(schedule, configuredAt, at as number);
      const late: number = (at as number) - configuredAt - n * intervalMs;
      if (late < -0.001 || late >= 1) expect(late, `tick ${n}`).toBe(0);
    }
    if (Number.isInteger(intervalMs)) expect(at).toBe(configuredAt + 10_000 * intervalMs);
  });

  test("is counted from the configuration, from whatever moment it is asked", () => {
    const interval = fc.double({ min: 0.05, max: 100_000, noNaN: true });
    const passed = fc.integer({ min: -1_000_000, max: 4_000_000_000 });
    fc.assert(
      fc.property(interval, passed, (intervalSeconds, passed) => {
        const schedule: ScheduleTimes = { kind: "every", intervalSeconds };
        const configuredAt = Date.UTC(2026, 0, 1);
        const next = timeAfter(schedule, configuredAt, configuredAt + passed) as number;
        const ms = intervalSeconds * 1_000;
        expect(next).toBeGreaterThan(configuredAt + passed);
        expect(next - configuredAt).toBeLessThanOrEqual(Math.max(passed, 0) + ms + 1);
        const count = Math.round((next - configuredAt) / ms);
        expect(count).toBeGreaterThanOrEqual(1);
        expect(Math.abs(next - configuredAt - count * ms)).toBeLessThan(1.001);
      }),
    );
  });
});

test.each([
  [{ kind: "once-at", at: "1999-12-31T23:59:59.5+02:00" }, "1999-12-31T21:59:59.500Z"],
  [{ kind: "once-in", delaySeconds: 0 }, "2026-01-01T00:00Z"],
  [{ kind: "once-in", delaySeconds: 0.0001 }, "2026-01-01T00:00:00.001Z"],
  [{ kind: "once-in", delaySeconds: 0.07 }, "2026-01-01T00:00:00.070Z"],
  [{ kind: "once-in", delaySeconds: 3_155_760_000 }, "2126-01-02T00:00Z"],
  [{ kind: "every", intervalSeconds: 2.5 }, "2026-01-01T00:00:02.500Z"],
  [{ kind: "cron", cron: "0 0 * * *" }, "2026-01-02T00:00Z"],
] as [ScheduleTimes, string][])("%j first comes at %s", (schedule, expected) => {
  expect(iso(firstTime(schedule, Date.UTC(2026, 0, 1)))).toBe(expected);
});

test("what comes once has no time after that", () => {
  expect(timeAfter({ kind: "once-at", at: "2027-01-01T00:00:00Z" }, 0, 1)).toBeNull();
  expect(timeAfter({ kind: "once-in", delaySeconds: 5 }, 0, 1)).toBeNull();
});
