/** The stored text of a consumer's progress: the driver's, with the version and the epoch that it belongs to. */
import type { Driver } from "../driver.ts";
import { type Progress, progressAt } from "../progress.ts";
import type { ConsumerSpec } from "./spec.ts";

/** Which version it is of, and since which resumption that runs. */
type Version = Pick<ConsumerSpec, "configuredAt" | "resumedAt">;

interface StoredProgress extends Progress, Version {
  epoch: number;
}

/** Anew, in the place of another version, or after a restart. */
export type Start = "first" | "version" | "again";

export interface RowNeeds {
  spec: ConsumerSpec;
  start: Start;
  /** The row that it began from. */
  before: string | undefined;
  driver: Driver;
}

export function versionOf(text: string): Version {
  const { configuredAt, resumedAt } = JSON.parse(text) as StoredProgress;
  return { configuredAt, resumedAt };
}

/**
 * A new version that has not begun says which one did: so whoever finds it begins this one, and lets it decide.
 * @param nothingRuns so nothing that is not written here can have begun
 */
export function encodeRow({ spec, start, before, driver }: RowNeeds, nothingRuns: boolean): string {
  const { progress, uncertain, halted } = driver;
  const { configuredAt, resumedAt } = start === "version" && before !== undefined ? versionOf(before) : spec;
  // What may have begun in a process that died is still to be found out; behind a halt nothing had.
  const exact = nothingRuns && (!uncertain || halted);
  const version = { epoch: spec.epoch, configuredAt, resumedAt: isLeftOut(spec) ? spec.resumedAt : resumedAt };
  return encodeProgress(version, progress, exact);
}

export function encodeProgress(
  { epoch, configuredAt, resumedAt }: Version & { epoch: number },
  progress: Progress,
  exact: boolean,
): string {
  const stored: StoredProgress = { epoch, configuredAt, resumedAt, ...progress, ...(exact ? { exact: true } : {}) };
  return JSON.stringify(stored);
}

/**
 * How a consumer starts, from what is on disk of it. `isAtRest`: with nothing owed to any consumer of its stream, all
 * that lies behind its cursor is not for it.
 */
export function startFrom(
  spec: ConsumerSpec,
  text: string | undefined,
): { start: Start; progress: Progress; isAtRest: boolean } {
  const stored = text === undefined ? undefined : (JSON.parse(text) as StoredProgress);
  if (stored === undefined || stored.epoch !== spec.epoch) {
    return { start: "first", progress: progressAt(spec.startAfter), isAtRest: false };
  }
  const { epoch: _, configuredAt, resumedAt, ...progress } = stored;
  const sameVersion = configuredAt === spec.configuredAt;
  const again = sameVersion && resumedAt === spec.resumedAt;
  return {
    start: sameVersion ? "again" : "version",
    progress: again ? progress : fresh(progress),
    isAtRest: sameVersion ? again && isAtRest(spec, progress) : leftAtRest(spec, { configuredAt, resumedAt }, progress),
  };
}

/**
 * Where a stream above configured another version, the one before may have left at any time, and nothing was written
 * here: what it had passed over is not for the new one, what it was halted at is. One of the stream itself is replaced
 * by a commit of that stream, which writes down how far it had come.
 */
function leftAtRest(spec: ConsumerSpec, before: Version, progress: Progress): boolean {
  const { inheritedFrom, haltedVersion = 0 } = spec;
  if (inheritedFrom === undefined || isLeftOut(before)) return false;
  return haltedVersion < before.configuredAt && isAtRest(spec, progress);
}

/** There was no room for it. What comes meanwhile is for it once there is, which its row says. */
export function isLeftOut({ resumedAt }: Pick<Version, "resumedAt">): boolean {
  return resumedAt < 0;
}

/** Another version, or somebody who looked at it, gets all attempts again. */
export function fresh(progress: Progress): Progress {
  const { nextAttemptAt: _, lastError: __, ...rest } = progress;
  return { ...rest, failures: 0, crashes: 0, begun: Math.max(progress.begun - progress.failures, 0) };
}

/** It waits for no other attempt and for nobody who resumes it: then what lies behind its cursor is not for it. */
export function isAtRest({ halted }: ConsumerSpec, { begun, nextAttemptAt, work, catchUp }: Progress): boolean {
  return (
    halted === undefined && begun === 0 && nextAttemptAt === undefined && work.length === 0 && catchUp === undefined
  );
}

/** A cursor that began behind the head, because somebody said so, stays where it is. */
export function overHead(progress: Progress, head: number): Progress {
  return { ...progress, cursor: Math.max(progress.cursor, head) };
}
