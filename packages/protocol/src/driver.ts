/**
 * The driver: how a processor is brought along a stream, wherever it runs. Pure: what happened goes in (`hear`), what
 * to do next comes out (`nextStep`). Whoever runs it does the I/O, one step at a time, and reports the outcome.
 *
 *     scan     read the next range of the log              -> scanned
 *     fold     reduce one event                            -> folded | foldFailed
 *     save     put the progress on disk                    -> saved
 *     act      call the hook for one event                 -> returned | failed | ended
 *     catchUp  call afterCatchUp                           -> returned | failed | ended
 *     halt     say in an event that it goes no further     -> halted
 *     rest     nothing to do until something is heard, or until a time
 *
 * Missed and interrupted, attempts and the ladder, cursors over scanned ranges: all of it is decided here, once.
 */
import type { StreamEvent } from "./event.ts";
import type { Interrupted, OpenWork } from "./hook.ts";
import { type Progress, progressAt } from "./progress.ts";

export interface DriverSettings {
  /** What lies between cursor and head at a start is missed: folded, not acted on. Never so inside the server. */
  misses: boolean;
  /** The processor has an afterCatchUp, and is to be asked at its first start and after a new version. */
  decides: boolean;
  /** Calls that fail before it is halted. */
  failuresMax: number;
}

/** An event that was read; `act` is false when it is only to be folded. */
export interface Delivered {
  event: StreamEvent;
  act: boolean;
}

export interface Driver {
  readonly settings: DriverSettings;
  /** As it should be on disk. */
  readonly progress: Progress;
  /** What is on disk is behind in something that matters: to be saved before long. */
  readonly dirty: boolean;
  /** It has to be on disk before anything is called. */
  readonly saveFirst: boolean;
  /** The end of the log, as far as it is known. */
  readonly head: number;
  readonly scanned: number;
  /** Read, and still to be folded or acted on. */
  readonly waiting: readonly Delivered[];
  /** The state has everything up to here. */
  readonly folded: number;
  /** Up to here everything is folded and nothing acted on. */
  readonly actAfter: number;
  /** Nobody knows yet whether the hook of the next event had begun. */
  readonly uncertain: boolean;
  readonly paused: boolean;
  readonly halted: boolean;
  /** Deterministic, so that another attempt would not help. */
  readonly fault?: { offset: number; message: string };
}

export type Step =
  | { do: "scan"; after: number; through: number }
  /** All that stands before the next event to act on, or that one. */
  | { do: "fold"; events: readonly StreamEvent[] }
  | { do: "save" }
  | { do: "act"; event: StreamEvent; attempt: number }
  | { do: "catchUp"; missed?: { after: number; through: number }; interrupted?: Interrupted; attempt: number }
  | { do: "halt"; offset: number; message: string; attempts: number }
  | { do: "rest"; until?: number };

export type Heard =
  | { is: "head"; head: number }
  | { is: "scanned"; through: number; events: readonly Delivered[] }
  /** Everything up to here that was to be folded. */
  | { is: "folded"; offset: number }
  | { is: "foldFailed"; offset: number; message: string }
  | { is: "saved"; progress: Progress }
  | { is: "returned" }
  /**
   * `jitter` is 0 to 1. Without `costs` it waits and tries again, but is never halted for it. `waitMs` is what it was
   * asked to wait at least.
   */
  | { is: "failed"; message: string; now: number; jitter: number; costs: boolean; waitMs?: number }
  /** What ran was ended from outside, and may have begun: as after a crash, in a process that goes on. */
  | { is: "interrupted" }
  /** By a pause, a halt or an orderly stop, which cost no attempt. */
  | { is: "ended" }
  /** The hook did not do again what an earlier call had done: it counts as done, and afterCatchUp looks at it. */
  | { is: "diverged" }
  /** What it waited for has come: no more waiting. */
  | { is: "due" }
  | { is: "workOpened"; work: OpenWork }
  | { is: "workClosed"; name: string }
  /** A pause or a halt ended it before its time: afterCatchUp settles it. Never while a hook runs: first it ends. */
  | { is: "workInterrupted"; name: string }
  | { is: "paused" }
  | { is: "resumed" }
  | { is: "halted" }
  /** Contact was lost for so long that what came meanwhile is missed. Never while a hook runs: first it ends. */
  | { is: "away"; head: number };

/** How often an event may take its process with it before it is taken for the reason. */
const crashesMax = 15;
const firstDelayMs = 1_000;
const longestDelayMs = 3_600_000;

/** @param start "first" without progress on disk, "version" after a new one, "again" for a mere restart or wake */
export function startDriver(
  settings: DriverSettings,
  from: { start: "first" | "version" | "again"; progress: Progress; head: number; folded: number; now?: number },
): Driver {
  const { start, head, folded, now = Number.POSITIVE_INFINITY } = from;
  const behind = from.progress.cursor < head;
  const misses = settings.misses && behind;
  const progress = withCatchUp(settings, from.progress, start, misses ? head : undefined);
  return {
    settings,
    progress,
    dirty: false,
    // An exact count is spent by the first call after it; without a row the end of a first call would not be known; and
    // what an unclean end ended is settled by whoever says so first, should two servers find it.
    saveFirst: start !== "again" || from.progress.exact === true || from.progress.work.length > 0,
    head,
    scanned: folded,
    waiting: [],
    folded,
    actAfter: misses ? head : progress.cursor,
    // An attempt that is still to be waited for had not begun.
    uncertain: start !== "first" && behind && from.progress.exact !== true && (progress.nextAttemptAt ?? 0) <= now,
    paused: false,
    halted: false,
  };
}

function withCatchUp(
  settings: DriverSettings,
  progress: Progress,
  start: "first" | "version" | "again",
  missedThrough: number | undefined,
): Progress {
  const { exact: _, ...rest } = progress;
  const interrupted = { ...progress.catchUp?.interrupted };
  if (progress.begun > progress.failures) interrupted.begun = true;
  if (progress.work.length > 0) interrupted.work = [...(interrupted.work ?? []), ...progress.work];
  const owed = settings.decides && (start !== "again" || missedThrough !== undefined || interrupted.begun === true);
  if (!owed && interrupted.work === undefined && progress.catchUp === undefined) return rest;
  return {
    ...rest,
    work: [],
    spent: spentAfter(progress, progress.work),
    catchUp: {
      ...progress.catchUp,
      ...(missedThrough === undefined ? {} : { missed: missedFrom(progress, missedThrough) }),
      interrupted,
    },
  };
}

/** The hook that began it may be called again; its work is not. */
function spentAfter({ cursor, spent = [] }: Progress, over: readonly OpenWork[]): OpenWork[] {
  return [...spent, ...over.filter(({ offset }) => offset > cursor)];
}

function missedFrom({ cursor, catchUp }: Progress, through: number): { after: number; through: number } {
  return { after: Math.min(catchUp?.missed?.after ?? cursor, cursor), through };
}

/** What to do now. */
export function nextStep(driver: Driver, now: number): Step {
  const { progress, fault } = driver;
  const next = driver.waiting[0];
  if (driver.halted) return { do: "rest" };
  if (fault !== undefined) return { do: "halt", ...fault, attempts: 1 };
  if (driver.paused) return driver.dirty ? { do: "save" } : { do: "rest" };
  if (next !== undefined && !isActedOn(driver, next)) return { do: "fold", events: unactedIn(driver) };
  if (next === undefined && driver.scanned < driver.head && isBehind(driver)) {
    return { do: "scan", after: driver.scanned, through: driver.head };
  }
  if (next === undefined && progress.catchUp === undefined) return { do: "rest" };
  if (isSpent(driver)) {
    const message = progress.lastError ?? "The process ended every time that this event was acted on.";
    const attempts = Math.max(progress.failures, progress.crashes);
    return { do: "halt", offset: next?.event.offset ?? progress.cursor, message, attempts };
  }
  if ((progress.nextAttemptAt ?? 0) > now) {
    return driver.saveFirst ? { do: "save" } : { do: "rest", until: progress.nextAttemptAt as number };
  }
  if (driver.saveFirst) return { do: "save" };
  if (progress.catchUp !== undefined) return catchUpStep(driver, progress.catchUp);
  if (next === undefined) return { do: "rest" };
  if (driver.folded < next.event.offset) return { do: "fold", events: [next.event] };
  return { do: "act", event: next.event, attempt: progress.begun + 1 };
}

/** Without anything to act on there is no reason to read the log: the state is folded when it is needed. */
function isBehind({ progress, head }: Driver): boolean {
  return progress.cursor < head || progress.catchUp !== undefined;
}

function isActedOn({ actAfter }: Driver, { event, act }: Delivered): boolean {
  return act && event.offset > actAfter;
}

/** What is only folded, up to the first that is acted on. */
function unactedIn(driver: Driver): StreamEvent[] {
  const end = driver.waiting.findIndex((delivered) => isActedOn(driver, delivered));
  return driver.waiting.slice(0, end < 0 ? undefined : end).map(({ event }) => event);
}

function isSpent({ progress, settings }: Driver): boolean {
  return progress.failures >= settings.failuresMax || progress.crashes >= crashesMax;
}

function catchUpStep({ progress, waiting }: Driver, owed: NonNullable<Progress["catchUp"]>): Step {
  const { missed, interrupted = {} } = owed;
  const offset = interrupted.offset ?? (interrupted.begun === true ? waiting[0]?.event.offset : undefined);
  const anything = offset !== undefined || interrupted.work !== undefined;
  return {
    do: "catchUp",
    ...(missed === undefined ? {} : { missed }),
    ...(anything ? { interrupted: { ...(offset === undefined ? {} : { offset }), work: interrupted.work ?? [] } } : {}),
    attempt: progress.failures + 1,
  };
}

/** What happened. Never changes its argument. */
export function hear(driver: Driver, heard: Heard): Driver {
  switch (heard.is) {
    case "head":
      return { ...driver, head: Math.max(driver.head, heard.head) };
    case "scanned":
      return afterScan(driver, heard.through, heard.events);
    case "folded":
      return afterFold(driver, heard.offset);
    case "foldFailed":
      return { ...driver, fault: { offset: heard.offset, message: heard.message } };
    case "saved":
      // What changed while it was being saved is still to be saved.
      return heard.progress === driver.progress ? { ...driver, dirty: false, saveFirst: false } : driver;
    case "returned":
      return afterReturn(driver);
    case "failed":
      return afterFailure(driver, heard);
    case "interrupted":
      return afterInterruptedCall(driver);
    case "ended":
      return changed(driver, { begun: begunAfter(driver.progress) });
    case "diverged":
      return afterDivergence(driver);
    case "due":
      // On disk it still waits: a crash during the call that comes now would not be counted as one.
      return { ...changed(driver, { nextAttemptAt: undefined }), saveFirst: true };
    case "workOpened":
      return { ...changed(driver, { work: [...driver.progress.work, heard.work] }), saveFirst: true };
    case "workClosed":
      return changed(driver, { work: driver.progress.work.filter(({ name }) => name !== heard.name) });
    case "workInterrupted":
      return afterInterruption(driver, heard.name);
    case "paused":
      return { ...driver, paused: true };
    case "resumed":
      // What was saved during the pause may be exact, which is spent by the first call after it.
      return { ...driver, paused: false, saveFirst: true };
    case "halted":
      return { ...driver, halted: true };
    case "away":
      return afterAbsence(driver, heard.head);
  }
}

function changed(driver: Driver, part: { [Key in keyof Progress]?: Progress[Key] | undefined }): Driver {
  const progress = { ...driver.progress, ...part } as Progress;
  for (const key of Object.keys(part) as (keyof Progress)[]) if (part[key] === undefined) delete progress[key];
  return { ...driver, progress, dirty: true };
}

function afterScan(driver: Driver, through: number, events: readonly Delivered[]): Driver {
  const scanned: Driver = { ...driver, scanned: through, waiting: [...driver.waiting, ...events] };
  const next = events.find(({ event, act }) => act && event.offset > driver.progress.cursor);
  const settled = driver.uncertain && next !== undefined ? afterCrash(scanned, next.event.offset) : scanned;
  return overRange(settled);
}

/** The event that stands next was there when the process died: its hook may have begun. */
function afterCrash(driver: Driver, offset: number): Driver {
  const { begun, crashes, catchUp } = driver.progress;
  // It was missed, and nobody asks about it.
  if (!driver.settings.decides && offset <= driver.actAfter) return { ...driver, uncertain: false };
  const interrupted = { ...catchUp?.interrupted, offset };
  return {
    ...changed(driver, {
      begun: begun + 1,
      crashes: crashes + 1,
      ...(driver.settings.decides ? { catchUp: { ...catchUp, interrupted } } : {}),
    }),
    uncertain: false,
    saveFirst: true,
  };
}

function afterInterruptedCall(driver: Driver): Driver {
  const offset = driver.waiting[0]?.event.offset;
  const { catchUp, crashes } = driver.progress;
  // What is owed is asked again; so that it cannot go on for ever, it counts.
  if (catchUp !== undefined) return { ...changed(driver, { crashes: crashes + 1 }), saveFirst: true };
  return offset === undefined ? driver : afterCrash(driver, offset);
}

/**
 * With nothing left to act on, the cursor stands at the end of what was scanned. That alone is no reason to save. While
 * a decision is owed it stays: what afterCatchUp appends is keyed by it, and has to be the same in the next attempt.
 */
function overRange(driver: Driver): Driver {
  const { waiting, scanned, progress } = driver;
  if (progress.catchUp !== undefined) return driver;
  if (waiting.some(({ event, act }) => act && event.offset > driver.actAfter) || scanned <= progress.cursor) {
    return driver;
  }
  const folded = waiting.length === 0 ? Math.max(driver.folded, scanned) : driver.folded;
  // What may have begun can also stand behind a range that had nothing to act on.
  const uncertain = driver.uncertain && scanned < driver.head;
  return { ...driver, folded, uncertain, progress: { ...progress, cursor: scanned } };
}

function afterFold(driver: Driver, offset: number): Driver {
  const folded = { ...driver, folded: Math.max(driver.folded, offset) };
  const next = driver.waiting.findIndex((delivered) => delivered.event.offset > offset || isActedOn(driver, delivered));
  if (next === 0 || driver.waiting.length === 0) return folded;
  return overRange({ ...folded, waiting: next < 0 ? [] : driver.waiting.slice(next) });
}

function afterReturn(driver: Driver): Driver {
  const { progress } = driver;
  if (progress.catchUp !== undefined) {
    const { missed } = progress.catchUp;
    const cursor = Math.max(progress.cursor, missed?.through ?? 0);
    // What was missed is not called any more, so calls that began for it are no attempts for what comes next.
    const attempts = missed === undefined ? {} : { begun: 0, crashes: 0, spent: undefined };
    const ladder = { failures: 0, nextAttemptAt: undefined, lastError: undefined };
    const decided = (progress.decided ?? 0) + 1;
    const after = changed(driver, { cursor, catchUp: undefined, decided, ...ladder, ...attempts });
    // Otherwise an unclean end would ask the same question again, together with the next one.
    return { ...overRange(after), saveFirst: true };
  }
  const first = driver.waiting[0];
  const cursor = first?.event.offset ?? progress.cursor;
  const { work, decided } = progress;
  const done: Progress = { ...progressAt(cursor), work, ...(decided === undefined ? {} : { decided }) };
  return overRange({ ...driver, waiting: driver.waiting.slice(1), progress: done, dirty: true });
}

function afterFailure(driver: Driver, failure: Extract<Heard, { is: "failed" }>): Driver {
  const { progress } = driver;
  const failures = failure.costs ? progress.failures + 1 : progress.failures;
  const steps = Math.max(failure.costs ? failures : progress.begun + 1, 1);
  const ladder = firstDelayMs * 2 ** Math.min(steps - 1, 12);
  const delay = Math.min(Math.max(ladder, failure.waitMs ?? 0), longestDelayMs);
  return {
    ...changed(driver, {
      begun: begunAfter(progress),
      failures,
      nextAttemptAt: failure.now + Math.round(delay * (1 + failure.jitter / 4)),
      lastError: failure.message,
    }),
    saveFirst: true,
  };
}

function afterDivergence(driver: Driver): Driver {
  const offset = driver.waiting[0]?.event.offset;
  const done = afterReturn(driver);
  // An afterCatchUp that diverged would diverge again.
  if (driver.progress.catchUp !== undefined || offset === undefined || !done.settings.decides) return done;
  return changed(done, { catchUp: { interrupted: { offset } } });
}

function afterInterruption(driver: Driver, name: string): Driver {
  const { progress } = driver;
  const over = progress.work.filter((open) => open.name === name);
  if (over.length === 0) return driver;
  const interrupted = { ...progress.catchUp?.interrupted };
  interrupted.work = [...(interrupted.work ?? []), ...over];
  // The same end was that of a hook.
  if (progress.begun > progress.failures) interrupted.begun = true;
  const work = progress.work.filter((open) => open.name !== name);
  const catchUp = { ...progress.catchUp, interrupted };
  // Who settles it says so first, should two servers find it.
  return { ...changed(driver, { work, spent: spentAfter(progress, over), catchUp }), saveFirst: true };
}

/** Calls of afterCatchUp are no calls for the event that stands next. */
function begunAfter({ begun, catchUp }: Progress): number {
  return catchUp === undefined ? begun + 1 : begun;
}

function afterAbsence(driver: Driver, head: number): Driver {
  const { settings, progress } = driver;
  if (!settings.misses || progress.cursor >= head) return hear(driver, { is: "head", head });
  const catchUp = { ...progress.catchUp, missed: missedFrom(progress, head) };
  const missing = {
    ...driver,
    head: Math.max(driver.head, head),
    actAfter: Math.max(driver.actAfter, head),
    // What was folded already, and is not to be acted on any more, is done with.
    waiting: driver.waiting.filter(({ event }) => event.offset > driver.folded || event.offset > head),
  };
  return settings.decides ? changed(missing, { catchUp }) : missing;
}
