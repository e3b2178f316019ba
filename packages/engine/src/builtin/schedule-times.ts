/** When a schedule comes next. Pure: times in, times out, all in milliseconds since 1970. */
import { compileCron } from "@millrace/protocol";

export type ScheduleTimes =
  | { kind: "once-at"; at: string }
  | { kind: "once-in"; delaySeconds: number }
  | { kind: "every"; intervalSeconds: number }
  | { kind: "cron"; cron: string; timezone?: string };

/** The first time after it was configured. */
export function firstTime(schedule: ScheduleTimes, configuredAt: number): number | null {
  switch (schedule.kind) {
    case "once-at":
      return Date.parse(schedule.at);
    case "once-in":
      return configuredAt + wholeMs(schedule.delaySeconds * 1_000);
    default:
      return timeAfter(schedule, configuredAt, configuredAt);
  }
}

/** The first time after a moment; null when there is none. Intervals are counted from the configuration: no drift. */
export function timeAfter(schedule: ScheduleTimes, configuredAt: number, moment: number): number | null {
  switch (schedule.kind) {
    case "once-at":
    case "once-in":
      return null;
    case "every":
      return intervalAfter(schedule.intervalSeconds * 1_000, configuredAt, moment);
    case "cron":
      return compileCron(schedule.cron, schedule.timezone).nextRun(new Date(moment))?.getTime() ?? null;
  }
}

function intervalAfter(intervalMs: number, configuredAt: number, moment: number): number {
  let count = Math.max(Math.floor((moment - configuredAt) / intervalMs), 0) + 1;
  // Rounded up to whole milliseconds, so that it is never early; hence one more may be needed.
  while (configuredAt + wholeMs(count * intervalMs) <= moment) count++;
  return configuredAt + wholeMs(count * intervalMs);
}

/** Rounded up, but for what is whole already and only reckoned a little too high: 0.07 s are 70.00000000000001 ms. */
function wholeMs(milliseconds: number): number {
  const nearest = Math.round(milliseconds);
  return Math.abs(milliseconds - nearest) <= nearest * 4 * Number.EPSILON ? nearest : Math.ceil(milliseconds);
}
