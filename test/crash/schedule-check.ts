/**
 * Judges the history of a stream with schedules, from its events alone: no tick without a schedule that stands, none
 * early, none twice for one time, and each that fires once did so once, with its end right behind.
 */
import type { StreamEvent } from "@millrace/protocol";
import { builtin } from "../processes/http.ts";

export interface ScheduleCounts {
  ticks: number;
  finished: number;
  /** Ticks for which others had been missed: the server was away. */
  late: number;
}

interface Standing {
  configured: StreamEvent;
  schedule: { kind: string; at?: string; delaySeconds?: number; intervalSeconds?: number };
  missed: string;
  /** The number of the time that the last tick was for, counted from the configuration. */
  lastTime: number;
}

/** @throws Error at the first event that must not be where it is */
export function verifyHistory(path: string, events: readonly StreamEvent[]): ScheduleCounts {
  const standing = new Map<string, Standing>();
  const counts: ScheduleCounts = { ticks: 0, finished: 0, late: 0 };
  for (const [index, event] of events.entries()) {
    const fail = (fault: string): never => {
      throw new Error(`${path}@${event.offset}: ${fault}: ${JSON.stringify(event)}`);
    };
    const { slug } = event.payload as { slug: string };
    if (event.type === builtin("append-scheduled")) standing.set(slug, standingOf(event));
    if (event.type === builtin("schedule-cancelled")) standing.delete(slug);
    if (event.type === builtin("schedule-finished")) {
      counts.finished++;
      if (!standing.delete(slug)) fail("finished, and did not stand");
    }
    if (event.type === "tick") {
      counts.ticks++;
      const schedule = standing.get(event.source?.slug as string) ?? fail("a tick of a schedule that does not stand");
      if (schedule.configured.offset !== event.source?.cause?.offset) fail("a tick of a schedule that was replaced");
      if (verifyTick(schedule, event, events[index + 1], fail)) counts.late++;
    }
  }
  if (standing.size > 0) throw new Error(`${path}: ${[...standing.keys()]} stands, and never came to its end`);
  return counts;
}

function standingOf(configured: StreamEvent): Standing {
  const { schedule, missed } = configured.payload as unknown as Pick<Standing, "schedule" | "missed">;
  return { configured, schedule, missed, lastTime: 0 };
}

/** True when times were left out before it. */
function verifyTick(
  standing: Standing,
  tick: StreamEvent,
  behind: StreamEvent | undefined,
  fail: (fault: string) => never,
): boolean {
  const { schedule, lastTime } = standing;
  const at = Date.parse(tick.createdAt);
  const configuredAt = Date.parse(standing.configured.createdAt);
  if (schedule.kind === "once-in" || schedule.kind === "once-at") {
    const dueAt =
      schedule.kind === "once-at"
        ? Date.parse(schedule.at as string)
        : configuredAt + Math.ceil((schedule.delaySeconds as number) * 1_000);
    if (at < dueAt) fail("early");
    const isEnd = behind?.type === builtin("schedule-finished") && behind.source?.cause?.offset === tick.offset;
    if (!isEnd) fail(`no end behind it, but ${behind?.type}`);
    return false;
  }
  const time = timeOf(schedule, configuredAt, at);
  if (time <= lastTime) fail(`time ${time} of it had come already (${lastTime})`);
  standing.lastTime = time;
  return time > lastTime + 1;
}

/** Which of its times a tick was for: 1 is the first after it was configured. */
function timeOf({ kind, intervalSeconds }: Standing["schedule"], configuredAt: number, at: number): number {
  if (kind === "cron") return Math.floor(at / 1_000) - Math.floor(configuredAt / 1_000);
  const intervalMs = (intervalSeconds as number) * 1_000;
  let count = Math.floor((at - configuredAt) / intervalMs) + 1;
  // Times are rounded up to whole milliseconds; 0.07 s are 70, though they are reckoned a little higher.
  while (configuredAt + Math.ceil(count * intervalMs - 1e-6) > at) count--;
  return count;
}
