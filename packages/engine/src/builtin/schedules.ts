/**
 * Schedules: events that are appended when their time has come. A tick is the scheduled event and nothing around it.
 *
 * There is no timer in here and no memory of what was done: the next time of each schedule is state, folded from its
 * configuration and its ticks. A due tick is formed into the next commit over that state, and folding it moves the time
 * on; so it cannot happen twice, whatever crashes, and it cannot be lost, because it stays due.
 */
import {
  type BuiltinProcessor,
  type DueEvent,
  type EventInput,
  type EventSource,
  isJsonObject,
  StreamError,
  type StreamEvent,
} from "@millrace/protocol";
import { type Bucketed, earliest, emptyBuckets, entryOf, within, without } from "./buckets.ts";
import { firstTime, type ScheduleTimes, timeAfter } from "./schedule-times.ts";

export interface Schedule {
  slug: string;
  /** Of the event that configured it. */
  offset: number;
  configuredAt: number;
  /** Of that event: how many causes lie behind it. */
  depth: number;
  append: EventInput;
  schedule: ScheduleTimes;
  missed: "fire-once" | "skip";
  /** When it fires next, milliseconds; null between the last tick and its end. */
  dueAt: number | null;
  lastAt?: number;
  ticks: number;
}

export type SchedulesState = Bucketed<Schedule>;

/** A tick that is later than this is missed. A server that is merely busy is not that late. */
const missedAfterMs = 10_000;
/** A heartbeat is no loop: ticks this long after the configuration begin a new chain of causes. */
const newChainAfterMs = 60_000;

export const schedules: BuiltinProcessor<SchedulesState> = {
  slug: "schedules",
  version: 1,
  initialState: emptyBuckets,

  beforeAppend({ state, judged }) {
    if (judged.event.type !== "https://events.iterate.com/events/stream/append-scheduled") return;
    const limit = judged.limits.schedulesPerStream;
    if (state.count < limit || entryOf(state, slugOf(judged.event) as string) !== undefined) return;
    throw new StreamError("rate_limited", `This stream has ${limit} schedules already. Cancel some.`, {
      limit,
      unit: "schedules of this stream",
    });
  },

  reduce({ state, event }) {
    const { source, type } = event;
    const ticked = source?.kind === "schedule" ? tick(state, source.slug as string, event) : state;
    const current = overMissed(ticked, Date.parse(event.createdAt));
    switch (type) {
      case "https://events.iterate.com/events/stream/append-scheduled":
        return within(current, configured(event));
      case "https://events.iterate.com/events/stream/schedule-cancelled":
      case "https://events.iterate.com/events/stream/schedule-finished":
        return without(current, slugOf(event) as string);
      default:
        return current;
    }
  },

  /** The tick was the last one: its end stands in the same commit. */
  rightBehind({ state, event }) {
    if (event.source?.kind !== "schedule") return undefined;
    const schedule = entryOf(state, event.source.slug as string);
    return schedule?.dueAt === null ? finished(schedule.slug, "succeeded") : undefined;
  },

  dueAt({ state, now }) {
    if (state.dueAt === null || state.dueAt + missedAfterMs >= now) return state.dueAt;
    return dueAmong(state, now)?.at ?? null;
  },

  whenDue({ state, now, streamPath }) {
    if (state.dueAt === null || state.dueAt > now) return undefined;
    const due = dueAmong(state, now);
    return due === undefined || due.at > now ? undefined : dueEvent(due.entry, now, streamPath);
  },
};

function configured(event: StreamEvent): Schedule {
  const payload = event.payload as unknown as Pick<Schedule, "slug" | "append" | "schedule"> & {
    missed?: Schedule["missed"];
  };
  const configuredAt = Date.parse(event.createdAt);
  return {
    slug: payload.slug,
    offset: event.offset,
    configuredAt,
    depth: event.source?.depth ?? 0,
    append: payload.append,
    schedule: payload.schedule,
    missed: payload.missed ?? "fire-once",
    dueAt: firstTime(payload.schedule, configuredAt),
    ticks: 0,
  };
}

/** The next time lies behind both the tick and the time that it was for: missed ones fire once together. */
function tick(state: SchedulesState, slug: string, event: StreamEvent): SchedulesState {
  const schedule = entryOf(state, slug);
  // A tick of a schedule that was replaced or cancelled in the very commit that it was formed in cannot be: it is
  // formed over the state behind that. But a fold must not depend on what cannot be.
  if (schedule === undefined || schedule.offset !== event.source?.cause?.offset) return state;
  const at = Date.parse(event.createdAt);
  const behind = Math.max(at, schedule.dueAt ?? at);
  const dueAt = timeAfter(schedule.schedule, schedule.configuredAt, behind);
  return within(state, { ...schedule, dueAt, lastAt: at, ticks: schedule.ticks + 1 });
}

/** Time has passed over ticks that are to be skipped: whatever event says so, they come no more. */
function overMissed(state: SchedulesState, now: number): SchedulesState {
  if (state.dueAt === null || state.dueAt + missedAfterMs >= now) return state;
  let next = state;
  for (const bucket of state.buckets) {
    if (bucket === null || bucket.dueAt === null || bucket.dueAt + missedAfterMs >= now) continue;
    for (const schedule of bucket.entries) {
      const dueAt = nextTime(schedule, now);
      if (dueAt !== schedule.dueAt) next = within(next, { ...schedule, dueAt });
    }
  }
  return next;
}

/** The schedule that comes first, with those that skip what they missed at the time that they have next. */
function dueAmong(state: SchedulesState, now: number): { at: number; entry: Schedule } | undefined {
  return earliest(state, (schedule) => nextTime(schedule, now));
}

/**
 * When it comes next, as seen from now. No event says that time has passed, so what is skipped is reckoned anew each
 * time: a repeating schedule that skips comes at the first of its times that is not missed.
 */
export function nextTime(schedule: Schedule, now: number): number | null {
  if (!isMissed(schedule, now) || isOnce(schedule)) return schedule.dueAt;
  return timeAfter(schedule.schedule, schedule.configuredAt, now - missedAfterMs - 1);
}

function isOnce({ schedule }: Schedule): boolean {
  return schedule.kind === "once-at" || schedule.kind === "once-in";
}

/** It is to be skipped, and it is so late. */
function isMissed({ missed, dueAt }: Schedule, now: number): boolean {
  return missed === "skip" && dueAt !== null && dueAt + missedAfterMs < now;
}

function dueEvent(schedule: Schedule, now: number, streamPath: string): DueEvent {
  const cause = { streamPath, offset: schedule.offset };
  const depth = now - schedule.configuredAt >= newChainAfterMs ? 0 : schedule.depth + 1;
  const at = schedule.dueAt ?? now;
  if (isOnce(schedule) && isMissed(schedule, now)) {
    const source: EventSource = { kind: "server", slug: "schedules", cause, depth };
    return { event: finished(schedule.slug, "skipped"), source, at };
  }
  return { event: schedule.append, source: { kind: "schedule", slug: schedule.slug, cause, depth }, at };
}

function finished(slug: string, outcome: "succeeded" | "skipped"): EventInput {
  return { type: "https://events.iterate.com/events/stream/schedule-finished", payload: { slug, outcome } };
}

/** All of them, by slug. */
export function scheduleList(state: SchedulesState): Schedule[] {
  const all = state.buckets.flatMap((bucket) => bucket?.entries ?? []);
  return all.sort((a, b) => (a.slug < b.slug ? -1 : 1));
}

function slugOf({ payload }: Pick<EventInput, "payload">): string | undefined {
  return isJsonObject(payload) && typeof payload.slug === "string" ? payload.slug : undefined;
}
