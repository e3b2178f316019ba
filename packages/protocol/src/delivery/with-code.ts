/** The driver starts anew once the code is there: only then is it known how far the state is, and who decides. */
import { type Driver, hear, startDriver } from "../driver.ts";
import type { Progress } from "../progress.ts";

export interface Code {
  start: "first" | "version" | "again";
  /** What lies between cursor and head may be missed by consumers of this kind. */
  misses: boolean;
  missedThrough: number;
  /** It has an afterCatchUp. */
  decides: boolean;
  /** Its state has everything up to here. */
  folded: number;
}

export function withCode(driver: Driver, { start, misses, missedThrough, decides, folded }: Code): Driver {
  // Whatever was heard while the code was loaded counts.
  const { progress, head, paused, halted, uncertain, saveFirst } = driver;
  const settings = { ...driver.settings, decides };
  const known: Progress = uncertain ? progress : { ...progress, exact: true };
  const missesNow = progress.cursor < missedThrough;
  const from = { start, progress: known, head: missesNow ? missedThrough : head, folded };
  const started = hear(startDriver({ ...settings, misses: missesNow }, from), { is: "head", head });
  // A first start is on disk when it is over: the next one is a mere restart. Whether or not this start missed
  // anything, an absence after it may.
  const isNew = start !== "again";
  const saving = { dirty: isNew, saveFirst: saveFirst || isNew };
  return { ...started, settings: { ...settings, misses }, ...saving, paused, halted };
}
