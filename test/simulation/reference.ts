/**
 * What a stream says of itself, folded from its events by other code than the engine's: paused or not, which
 * processors, which schedules and when each comes next. Whatever can be judged while folding is judged here.
 */
import type { StreamEvent } from "@millrace/protocol";
import { foldPusher, type PushEpoch, type PusherReference } from "./push-reference.ts";

export const builtin = (name: string): string => `https://events.iterate.com/events/stream/${name}`;

export interface ProcessorReference {
  epoch: number;
  configuredAt: number;
  startAfter: number;
  resumedAt: number;
  halted: boolean;
}

export interface ScheduleReference {
  offset: number;
  configuredAt: number;
  schedule: Times;
  skips: boolean;
  dueAt: number | null;
  /** Before this a tick would be too early, or the second for one time; skipping moves `dueAt` alone. */
  earliestAt: number;
  ticks: number;
  /** How late the last tick was. */
  lateMs: number;
}

export interface Times {
  kind: string;
  at?: string;
  delaySeconds?: number;
  intervalSeconds?: number;
  cron?: string;
}

export interface Reference {
  paused: boolean;
  /** Offset of the event that paused it last. */
  pausedAt: number;
  lastAt: number;
  processors: Map<string, ProcessorReference>;
  /** By `transformer/slug` and `subscription/slug`. */
  pushers: Map<string, PusherReference>;
  pushEpochs: Map<string, PushEpoch[]>;
  /** What the server itself removed led there. */
  removals: (string | undefined)[];
  /** Offsets of events that a receiver refused for good, by slug. */
  parked: Set<string>;
  schedules: Map<string, ScheduleReference>;
  /** Where the cursor of an epoch begins, by slug (as `pushers` names it) and epoch. */
  starts: Map<string, number>;
  /** By slug and offset: a hook that did not do again what it had done. It counts as done. */
  diverged: Set<string>;
  /** Errors told, by slug and offset. */
  errors: Map<string, number>;
  /** The same of open work, by slug, offset and name. */
  workErrors: Map<string, number>;
  epochs: Map<string, number>;
}

/** The patterns that the simulation uses, as the period that they stand for in UTC. */
export const cronPeriods: Readonly<Record<string, number>> = {
  "*/20 * * * * *": 20_000,
  "*/5 * * * *": 300_000,
  "0 */6 * * *": 21_600_000,
};

const missedAfterMs = 10_000;

export function newReference(): Reference {
  return {
    paused: false,
    pausedAt: 0,
    lastAt: 0,
    processors: new Map(),
    pushers: new Map(),
    pushEpochs: new Map(),
    removals: [],
    parked: new Set(),
    diverged: new Set(),
    schedules: new Map(),
    starts: new Map(),
    errors: new Map(),
    workErrors: new Map(),
    epochs: new Map(),
  };
}

/** Folds one event in. Answers what is wrong with it, or undefined. */
export function foldReference(reference: Reference, event: StreamEvent): string | undefined {
  const at = Date.parse(event.createdAt);
  if (at < reference.lastAt) return "createdAt runs backwards";
  reference.lastAt = at;
  const { kind } = event.source ?? {};
  if (reference.paused && (kind === "transformer" || kind === "subscription")) return `a ${kind} appends while paused`;
  const wrong = kind === "schedule" ? foldTick(reference, event, at) : undefined;
  skipMissed(reference, at);
  return wrong ?? foldFact(reference, event, at);
}

function foldFact(reference: Reference, event: StreamEvent, at: number): string | undefined {
  const payload = (event.payload ?? {}) as Record<string, unknown>;
  const slug = String(payload.slug);
  switch (event.type) {
    case builtin("paused"):
      if (!reference.paused) reference.pausedAt = event.offset;
      reference.paused = true;
      return undefined;
    case builtin("resumed"):
      reference.paused = false;
      return undefined;
    case builtin("dynamic-worker/configured"):
      return configure(reference, slug, payload.startFrom, event.offset);
    case builtin("dynamic-worker/removed"):
      reference.processors.delete(slug);
      return undefined;
    case builtin("dynamic-worker/resumed"):
      return resume(reference, slug, payload.from, event.offset);
    case builtin("dynamic-worker/halted"):
      return halt(reference.processors, slug, payload.startedBy);
    case builtin("error-occurred"):
      return foldError(reference, payload as unknown as ErrorPayload);
    case builtin("append-scheduled"):
      schedule(reference, slug, payload, event.offset, at);
      return undefined;
    case builtin("schedule-cancelled"):
      reference.schedules.delete(slug);
      return undefined;
    case builtin("schedule-finished"):
      return finish(reference, slug, payload.outcome, at);
    default:
      return foldPusher(reference, event, payload);
  }
}

function configure(reference: Reference, slug: string, startFrom: unknown, offset: number): undefined {
  const before = reference.processors.get(slug);
  if (before !== undefined && startFrom === undefined) {
    reference.processors.set(slug, { ...before, configuredAt: offset, halted: false });
    return;
  }
  const startAfter = startFrom === "start" ? 0 : typeof startFrom === "number" ? startFrom : offset;
  begin(reference, slug, { epoch: offset, configuredAt: offset, startAfter, resumedAt: 0, halted: false });
}

function resume(reference: Reference, slug: string, from: unknown, offset: number): undefined {
  const before = reference.processors.get(slug);
  if (before === undefined) return;
  const resumed = { ...before, halted: false, resumedAt: offset };
  if (from === undefined || from === "cursor") reference.processors.set(slug, resumed);
  else begin(reference, slug, { ...resumed, epoch: offset, startAfter: typeof from === "number" ? from : offset });
}

function begin(reference: Reference, slug: string, processor: ProcessorReference): void {
  reference.processors.set(slug, processor);
  reference.starts.set(`${slug}|${processor.epoch}`, processor.startAfter);
  reference.epochs.set(slug, (reference.epochs.get(slug) ?? 0) + 1);
}

/** News of a run that another one has followed meanwhile says nothing of that. */
export function halt<Consumer extends ProcessorReference>(
  consumers: Map<string, Consumer>,
  key: string,
  startedBy: unknown,
): string | undefined {
  const before = consumers.get(key);
  if (before === undefined || startedBy !== Math.max(before.configuredAt, before.resumedAt)) return undefined;
  if (before.halted) return `${key} was halted twice`;
  consumers.set(key, { ...before, halted: true });
  return undefined;
}

interface ErrorPayload {
  message: string;
  about: { kind: string; slug: string; offset: number };
}

const workPattern = /^The work "([^"]*)"/;

/** One for each epoch and offset, and for each work; of which epoch it is does not stand in the event. */
function foldError(reference: Reference, { about, message }: ErrorPayload): string | undefined {
  const { epochs, diverged } = reference;
  const consumer = about.kind === "processor" ? about.slug : `${about.kind}/${about.slug}`;
  const work = workPattern.exec(message)?.[1];
  const errors = work === undefined ? reference.errors : reference.workErrors;
  const key = `${consumer}|${about.offset}${work === undefined ? "" : `|${work}`}`;
  const count = (errors.get(key) ?? 0) + 1;
  errors.set(key, count);
  if (message.includes("in an earlier call for the same event")) diverged.add(key);
  return count > (epochs.get(consumer) ?? 0) ? `told ${count} errors of ${key}` : undefined;
}

function schedule(
  reference: Reference,
  slug: string,
  payload: Record<string, unknown>,
  offset: number,
  at: number,
): void {
  const times = payload.schedule as Times;
  const entry = { offset, configuredAt: at, schedule: times, skips: payload.missed === "skip", ticks: 0, lateMs: 0 };
  const dueAt = firstTime(times, at);
  reference.schedules.set(slug, { ...entry, dueAt, earliestAt: dueAt });
}

function foldTick(reference: Reference, event: StreamEvent, at: number): string | undefined {
  const slug = event.source?.slug as string;
  const entry = reference.schedules.get(slug);
  if (entry === undefined || entry.offset !== event.source?.cause?.offset) return `a tick of no schedule, ${slug}`;
  if (reference.paused) return `a tick of ${slug} while paused`;
  if (entry.dueAt === null) return `a tick of ${slug} behind its last`;
  if (at < entry.earliestAt) return `a tick of ${slug} ${entry.earliestAt - at} ms too early, or twice for one time`;
  const last = lastTimeUntil(entry, at);
  if (entry.skips && at - last > missedAfterMs) return `a tick of ${slug} that should have been skipped`;
  const next = timeAfter(entry, at);
  const earliestAt = next ?? entry.earliestAt;
  reference.schedules.set(slug, { ...entry, dueAt: next, earliestAt, ticks: entry.ticks + 1, lateMs: at - last });
  return undefined;
}

function finish(reference: Reference, slug: string, outcome: unknown, at: number): string | undefined {
  const entry = reference.schedules.get(slug);
  if (entry === undefined) return `${slug} finished and was not there`;
  if (isRepeating(entry.schedule)) return `${slug} repeats and finished`;
  if (outcome === "succeeded" && entry.ticks !== 1) return `${slug} finished after ${entry.ticks} ticks`;
  const late = entry.dueAt !== null && at - entry.dueAt > missedAfterMs;
  if (outcome === "skipped" && !(entry.skips && late)) return `${slug} was skipped without being missed`;
  reference.schedules.delete(slug);
  return undefined;
}

function skipMissed({ schedules }: Reference, at: number): void {
  for (const [slug, entry] of schedules) schedules.set(slug, { ...entry, dueAt: nextTime(entry, at) });
}

/** When it comes next, as seen from a moment: what skips comes at the first of its times that is not missed. */
export function nextTime(entry: ScheduleReference, moment: number): number | null {
  if (!entry.skips || !isRepeating(entry.schedule) || entry.dueAt === null) return entry.dueAt;
  return entry.dueAt + missedAfterMs < moment ? timeAfter(entry, moment - missedAfterMs - 1) : entry.dueAt;
}

export function isRepeating({ kind }: Times): boolean {
  return kind === "every" || kind === "cron";
}

function firstTime(times: Times, configuredAt: number): number {
  if (times.kind === "once-at") return Date.parse(times.at as string);
  if (times.kind === "once-in") return configuredAt + (times.delaySeconds as number) * 1_000;
  return timeAfter({ schedule: times, configuredAt }, configuredAt) as number;
}

/** The first time behind a moment. */
export function timeAfter(
  { schedule: times, configuredAt }: Pick<ScheduleReference, "schedule" | "configuredAt">,
  moment: number,
): number | null {
  if (!isRepeating(times)) return null;
  const start = times.kind === "every" ? configuredAt : 0;
  const period = periodOf(times);
  return start + (Math.floor((moment - start) / period) + 1) * period;
}

function lastTimeUntil(entry: ScheduleReference, moment: number): number {
  if (!isRepeating(entry.schedule)) return entry.dueAt as number;
  return (timeAfter(entry, moment) as number) - periodOf(entry.schedule);
}

export function periodOf({ kind, intervalSeconds, cron }: Times): number {
  return kind === "every" ? (intervalSeconds as number) * 1_000 : (cronPeriods[cron as string] as number);
}
