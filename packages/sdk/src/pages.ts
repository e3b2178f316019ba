/** What comes in pages, as one sequence: histories, lists. A page is a small request that may be sent again. */
import type { StreamEvent } from "@millrace/protocol";
import type { Connection, Query } from "./connection.ts";
import { MillraceError } from "./errors.ts";
import type { Progress } from "./event-stream.ts";
import { createLife } from "./life.ts";
import type { Answer } from "./transport.ts";

const pageEvents = 1_000;

export interface ReadOptions {
  /** Exclusive: an offset, `"start"` (default), `"end"`, or a cursor of an earlier read. */
  after?: number | string;
  /** Exclusive: an offset. Not with `includeChildren`. */
  before?: number;
  /** At most so many events. */
  limit?: number;
  /** Only these types; `*` matches any characters. */
  types?: readonly string[];
  /** `"desc"`: newest first. Not with `includeChildren`. */
  order?: "asc" | "desc";
  /** The stream and everything below it, in the order of commits. */
  includeChildren?: boolean;
  signal?: AbortSignal;
}

interface EventPage {
  events: StreamEvent[];
  next: string | null;
}

/** History, page by page, up to what is there when the last page is asked for. */
export async function* readPages(
  connection: Connection,
  path: string,
  { after, before, limit = Infinity, types, order, includeChildren }: ReadOptions,
  progress: Progress,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const route = connection.at("/api/streams", path);
  const fixed = { format: "json", type: types, order, includeChildren, beforeOffset: before };
  const life = createLife();
  const checkLife = (answer: Answer) => {
    if (!life.isOf(answer)) throw deletedWhileRead(connection.pathOf(path));
  };
  function ask(position: Query, left: number): Promise<EventPage> {
    const query = { ...fixed, ...position, limit: Math.min(left, pageEvents) };
    return connection.get<EventPage>(route, query, signal, checkLife);
  }

  let left = limit;
  for (let asked = left > 0 ? ask(positionOf(after), left) : undefined; asked !== undefined; ) {
    const { events, next } = await asked;
    left -= events.length;
    // Asked for now, the next page is on its way while this one is worked on.
    asked = next !== null && left > 0 ? ask({ after: next }, left) : undefined;
    asked?.catch(() => {});
    for (const [i, event] of events.entries()) {
      // In a subtree only the end of a page has a token; a single stream is resumed from any of its offsets.
      if (!includeChildren) progress.cursor = String(event.offset);
      else if (i === events.length - 1 && next !== null) progress.cursor = next;
      yield event;
    }
  }
}

/** `after` of the caller as the parameters that say it: offsets and words in one, tokens in the other. */
export function positionOf(after: number | string | undefined): Query {
  if (after === undefined) return {};
  if (typeof after === "number" || after === "start" || after === "end") return { afterOffset: after };
  return { after };
}

function deletedWhileRead(path: string): MillraceError<"deleted_while_read"> {
  const message = `${path} was deleted while it was read; what was read is not all there was.`;
  return new MillraceError("deleted_while_read", message, { path });
}

/** The entries of a list, page by page. */
export async function* listPages<Entry>(
  connection: Connection,
  route: string,
  name: string,
  query: Query,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry, void, undefined> {
  for (let cursor: string | undefined; ; ) {
    const page = await connection.get<Record<string, unknown>>(route, { ...query, cursor }, signal);
    yield* page[name] as Entry[];
    if (page.next === null) return;
    cursor = page.next as string;
  }
}
