/** What is kept on disk of one processor on one stream. Everything else can be made again from it and the log. */
import type { OpenWork } from "./hook.ts";

export interface Progress {
  /** The hook has returned for everything up to here. */
  cursor: number;
  /** Calls for what stands next that began and did not return; 0 usually. */
  begun: number;
  /** Those of them that failed. */
  failures: number;
  /** Those of them that may have died with their process. */
  crashes: number;
  nextAttemptAt?: number;
  lastError?: string;
  /** `begun` is exact: written at an orderly end. Otherwise the next event may have begun since. */
  exact?: true;
  /** Open work, so that an unclean end is found out. */
  work: readonly OpenWork[];
  /** Work of the event that stands next which an unclean end ended: if its hook is called again, it is not run again. */
  spent?: readonly OpenWork[];
  /** Decisions that were made: each call of afterCatchUp that is owed has a number of its own, for its keys. */
  decided?: number;
  /** A call of afterCatchUp is owed, and for what. */
  catchUp?: {
    missed?: { after: number; through: number };
    interrupted?: { begun?: boolean; offset?: number; work?: readonly OpenWork[] };
  };
}

/** A progress that begins behind an offset. */
export function progressAt(cursor: number): Progress {
  return { cursor, begun: 0, failures: 0, crashes: 0, work: [] };
}
