/** What is different where the configuration of a consumer stands in a stream above its own. */
import type { Driver } from "../driver.ts";
import type { Consumer } from "./consumer.ts";
import type { ConsumerSpec } from "./spec.ts";

/**
 * One that is inherited begins, or its new version does, with the next event that is for it: a configuration for ten
 * thousand streams opens none of them, and calls and writes nothing on those that are open.
 * @param driver of one that has not begun
 */
export function isYetToCome({ inheritedFrom, halted }: ConsumerSpec, { head, progress, dirty }: Driver): boolean {
  if (inheritedFrom === undefined) return false;
  if (halted !== undefined) return !dirty;
  return !dirty && progress.cursor >= head && progress.catchUp === undefined && progress.work.length === 0;
}

/** Where it is said that there is no code: at its configuration, or, if that is elsewhere, at what it was needed for. */
export function unloadedAt({ spec, driver, house }: Consumer): number {
  if (spec.inheritedFrom === undefined) return spec.configuredAt;
  return Math.max(Math.min(driver.progress.cursor + 1, house.head()), 1);
}
