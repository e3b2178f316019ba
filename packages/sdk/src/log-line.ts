/** A line that a processor on the server said by its `logger` or `console`. */
import type { JsonValue } from "@millrace/protocol";

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface LogLine {
  /** As `after` of another read it goes on behind this line, until the server starts again. */
  id: string;
  at: string;
  level: LogLevel;
  /** The stream that the processor stands on; whole, `pathPrefix` is in it. */
  path: string;
  slug: string;
  /** Of the event that it was said for. */
  offset: number;
  message: string;
  details?: JsonValue;
  /** So many lines were left out here: the processor says more than the server keeps. */
  leftOut?: number;
}
