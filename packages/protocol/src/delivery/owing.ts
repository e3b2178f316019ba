/** What a consumer owes, and until when somebody has to look at it again. Pure: values in, values out. */
import { type Driver, nextStep } from "../driver.ts";

export interface Standing {
  driver: Driver;
  /** One of its hooks runs. */
  running: boolean;
  /** It has not begun, or its new version has not. */
  hasToBegin: boolean;
  /** It begins with the next event that is for it, and not before. */
  isYetToCome: boolean;
}

/** Something is to be done, now or later: an event, a decision, work that is open. */
export function owes({ driver, running, hasToBegin, isYetToCome }: Standing): boolean {
  const { halted, fault, head, progress } = driver;
  if (halted) return false;
  if (running || fault !== undefined || progress.cursor < head) return true;
  if (hasToBegin && !isYetToCome) return true;
  return progress.catchUp !== undefined || progress.work.length > 0;
}

/** Its code is loaded when it is needed, and not before. */
export function needsCode({ driver, hasToBegin, isYetToCome }: Standing, now: number): boolean {
  const { halted, paused, fault } = driver;
  if (halted || fault !== undefined) return false;
  // While the stream is paused nothing is called, but what is only to be reduced may stand next.
  if (paused) return nextStep(driver, now).do === "fold";
  if (hasToBegin) return !isYetToCome;
  const { do: next } = nextStep(driver, Number.POSITIVE_INFINITY);
  return next !== "rest" && next !== "save" && next !== "halt";
}

/**
 * When it must be looked at again should the process end now; null for never.
 * @param since of which time something is owed
 */
export function dueAfter(driver: Driver, isOwing: boolean, since: number, rowSaved: boolean): number | null {
  const { halted, paused, dirty, progress } = driver;
  if (halted || paused) return null;
  if (!isOwing && (rowSaved || !dirty)) return null;
  return waits(driver, rowSaved) ? Math.max(progress.nextAttemptAt ?? since, since) : since;
}

/**
 * Its row says when its next attempt is: so what came behind the event that stands next waits for that, too. It counts
 * once it is on disk: until then it would be taken for one that rests. It holds while that attempt runs: whoever loads
 * the row finds the same, and the claim, which is due, need not change for a mere begin.
 */
export function waits({ dirty, saveFirst, progress }: Driver, rowSaved: boolean): boolean {
  return progress.nextAttemptAt !== undefined && (rowSaved || !(dirty || saveFirst));
}
