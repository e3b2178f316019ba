/** A line that a processor said, by its `logger` or `console`. No event: it is kept for a while and then forgotten. */
import type { JsonValue, Logger } from "@millrace/protocol";

export type Level = keyof Logger;

/** From the least important to the most. */
export const levels: readonly Level[] = ["debug", "info", "warn", "error"];

/** Who says it, and of what. */
export interface Speaking {
  project: string;
  path: string;
  slug: string;
  /** Of the event that its hook was called for, or that was folded. */
  offset: number;
}

export interface Said extends Speaking {
  /** When, as events have it. */
  at: string;
  level: Level;
  message: string;
  details?: JsonValue;
  /** So many lines were left out here. The server says so itself, and no code can. */
  leftOut?: number;
}

/** What is given to hooks. Nothing that is said with it ever throws. */
export interface SaidLogger extends Logger {
  /** So many lines more were said where they came from, and are not passed on. */
  leftOut(lines: number): void;
}
