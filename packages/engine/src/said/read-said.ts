/** Reading what the processors of a project said: what is still there, and with `live` what is said from then on. */
import { isBelow } from "@millrace/protocol";
import { News } from "../news.ts";
import type { Clock } from "../ports/clock.ts";
import type { Ring } from "./ring.ts";
import { type Level, levels, type Said } from "./said.ts";

export interface SaidRequest {
  /** That stream, and everything below it. */
  path: string;
  slug?: string;
  /** This one and what is more important. */
  level?: Level;
  /** The id of the last line that was read: goes on behind it. Another server's, or a forgotten one's, is none. */
  after?: string;
  /** At most so many lines. */
  limit?: number;
  live?: boolean;
}

export interface SaidLine extends Said {
  /** Resumes a read behind this line, while this server runs. */
  id: string;
}

export type SaidItem =
  | { kind: "lines"; lines: readonly SaidLine[] }
  /** So many lines of the project fell out of the ring before this reader came for them. */
  | { kind: "missed"; count: number }
  /** Nothing for now: also as the first of a live read, so that whoever opened it knows that it is open. */
  | { kind: "idle" };

export interface SaidSource {
  ring(): Ring | undefined;
  clock: Clock;
  /** Calls what it is given whenever something was said in the project. */
  onSaid(wake: () => void): () => void;
}

/** A reader that is slow holds so much, and what it has not asked for stays in the ring or falls out of it. */
const pageLines = 100;

interface Place {
  ring: string;
  next: number;
}

export async function* readSaid(
  { ring, clock, onSaid }: SaidSource,
  request: SaidRequest,
  signal: AbortSignal,
): AsyncGenerator<SaidItem> {
  const news = request.live ? new News(onSaid, clock, signal) : undefined;
  try {
    let place = placeOf(request.after);
    let isOpen = false;
    let wanted = request.limit ?? Number.POSITIVE_INFINITY;
    while (!signal.aborted && wanted > 0) {
      const current = ring();
      const linesMax = Math.min(pageLines, wanted);
      const { lines, next, missed } = current === undefined ? nothing : pageOf(current, place, request, linesMax);
      if (missed > 0) yield { kind: "missed", count: missed };
      if (lines.length > 0) {
        news?.spoke();
        wanted -= lines.length;
        yield { kind: "lines", lines };
      }
      if (current !== undefined) place = { ring: current.id, next };
      if (current !== undefined && next < current.first + current.lines.length) continue;
      if (news === undefined) return;
      if (!isOpen || (await news.next()) === "idle") yield { kind: "idle" };
      isOpen = true;
    }
  } finally {
    news?.stop();
  }
}

const nothing = { lines: [], next: 0, missed: 0 };

function pageOf(
  { id, first, lines }: Ring,
  place: Place | undefined,
  { path, slug, level }: SaidRequest,
  linesMax: number,
): { lines: SaidLine[]; next: number; missed: number } {
  const isSame = place?.ring === id;
  const from = isSame ? Math.min(Math.max(place.next, first), first + lines.length) : first;
  const least = level === undefined ? 0 : levels.indexOf(level);
  const found: SaidLine[] = [];
  let next = from;
  for (; next < first + lines.length && found.length < linesMax; next++) {
    const said = lines[next - first] as Said;
    const isWanted =
      (said.path === path || isBelow(said.path, path)) &&
      (slug === undefined || said.slug === slug) &&
      levels.indexOf(said.level) >= least;
    if (isWanted) found.push({ id: `${id}-${next}`, ...said });
  }
  return { lines: found, next, missed: isSame ? Math.max(first - place.next, 0) : 0 };
}

function placeOf(id: string | undefined): Place | undefined {
  if (id === undefined) return undefined;
  const dash = id.lastIndexOf("-");
  return { ring: id.slice(0, dash), next: Number(id.slice(dash + 1)) + 1 };
}
