/**
 * Reading every stream below a path on one connection, in the order in which commits became visible. The log gives
 * each commit a position and promises that nothing new ever appears at or below one that was seen; so a reader is one
 * number, whatever streams there are, were or will be. Live, it reads the log again whenever the project changes.
 */
import { StreamError } from "@millrace/protocol";
import { News } from "./news.ts";
import type { Clock } from "./ports/clock.ts";
import type { Directory } from "./ports/log.ts";
import { typeOfRecord } from "./record.ts";

/** After `skip` records of the run at `position`, and everything before it. `skip` 0 means: after all of it. */
export interface SubtreeCursor {
  position: number;
  skip: number;
}

export interface SubtreeRequest {
  after: SubtreeCursor | "end";
  limit?: number;
  live?: boolean;
  accepts?(type: string): boolean;
}

export interface SubtreeEvent {
  path: string;
  offset: number;
  record: string;
  /** What resumes the read behind this event. */
  cursor: SubtreeCursor;
}

export type SubtreeItem =
  | { kind: "events"; events: SubtreeEvent[] }
  | { kind: "scanned" | "caught-up" | "idle"; cursor: SubtreeCursor };

export interface Subtree {
  directory: Directory;
  clock: Clock;
  project: string;
  prefix: string;
  /** Calls what it is given whenever something was committed in the project. */
  onChange(wake: () => void): () => void;
}

const pageEvents = 1_000;
const pageBytes = 256 * 1024;

/** @throws StreamError `offset_conflict` when `after` lies beyond the last commit: it is a token of another database */
export async function* readSubtree(
  { directory, clock, project, prefix, onChange }: Subtree,
  request: SubtreeRequest,
  signal: AbortSignal,
): AsyncGenerator<SubtreeItem> {
  const news = request.live ? new News(onChange, clock, signal) : undefined;
  try {
    let cursor = await beginning(directory, request.after);
    let wanted = request.limit ?? Number.POSITIVE_INFINITY;
    let caughtUp = false;
    while (!signal.aborted && wanted > 0) {
      // A run that was seen in part is read again, and its first part passed over.
      const after = cursor.skip > 0 ? cursor.position - 1 : cursor.position;
      const bounds = { maxEvents: Math.min(pageEvents, wanted + cursor.skip), maxBytes: pageBytes };
      const page = await directory.readPositions({ project, prefix, after, ...bounds });
      const events = select(page.commits, cursor, request.accepts, wanted);
      const scanned = page.through > after;
      const last = events.at(-1);
      if (last !== undefined) {
        wanted -= events.length;
        cursor = wanted > 0 ? { position: page.through, skip: 0 } : last.cursor;
        news?.spoke();
        yield { kind: "events", events };
      } else if (scanned) {
        cursor = { position: page.through, skip: 0 };
        yield { kind: "scanned", cursor };
      }
      if (scanned) continue;
      if (news === undefined) return;
      if (!caughtUp) {
        caughtUp = true;
        yield { kind: "caught-up", cursor };
      } else if ((await news.next()) === "idle") {
        yield { kind: "idle", cursor };
      }
    }
  } finally {
    news?.stop();
  }
}

async function beginning(directory: Directory, after: SubtreeRequest["after"]): Promise<SubtreeCursor> {
  if (after !== "end" && after.position === 0) return after;
  const last = await directory.lastPosition();
  if (after === "end") return { position: last, skip: 0 };
  if (after.position <= last) return after;
  // Read from there, it would wait for ever and say nothing.
  throw new StreamError(
    "offset_conflict",
    `There is no commit ${after.position}: the last one is ${last}. The token is of another database; read from the start.`,
    { head: last, expected: after.position },
  );
}

function select(
  commits: readonly { position: number; path: string; first: number; records: string[] }[],
  from: SubtreeCursor,
  accepts: SubtreeRequest["accepts"],
  wanted: number,
): SubtreeEvent[] {
  const events: SubtreeEvent[] = [];
  for (const { position, path, first, records } of commits) {
    const start = position === from.position ? from.skip : 0;
    for (let i = start; i < records.length && events.length < wanted; i++) {
      const record = records[i] as string;
      if (accepts && !accepts(typeOfRecord(record))) continue;
      const skip = i + 1 === records.length ? 0 : i + 1;
      events.push({ path, offset: first + i, record, cursor: { position, skip } });
    }
  }
  return events;
}
