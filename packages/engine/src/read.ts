/**
 * Reading one stream: history from the log, then live, on one connection, without gap or duplicate. A reader is a
 * position. While it is behind it reads pages of the log; at the head it takes commits from the shared live tail, and
 * falls back to the log whenever the tail no longer has what comes next. Memory is one page, however slow it is.
 */
import { StreamError } from "@millrace/protocol";
import { News } from "./news.ts";
import { typeOfRecord } from "./record.ts";
import type { Stream } from "./stream.ts";

export interface ReadRequest {
  /** Exclusive. */
  after: number | "end";
  /** Exclusive; absent means up to the head, or for ever when live. */
  before?: number;
  /** How many events at most. */
  limit?: number;
  /** Newest first; finite only. */
  descending?: boolean;
  live?: boolean;
  /** Which types are wanted; absent means all. */
  accepts?(type: string): boolean;
  /** Hears, before the first item, which life of the path is read; undefined where there is none. */
  onLife?(streamId: string | undefined): void;
}

export type ReadItem =
  /** Events in the order of the read. `offsets` is absent when they follow `first` without a gap. */
  | { kind: "events"; first: number; offsets?: number[]; records: readonly string[] }
  /** Nothing that matched up to here: what a filtered reader resumes from. */
  | { kind: "scanned"; through: number }
  /** The history is read; what comes next is new. */
  | { kind: "caught-up"; through: number }
  /** The stream was deleted: the read ends. */
  | { kind: "deleted"; head: number }
  /** Nothing happened for a while: time for a sign of life. */
  | { kind: "idle"; through: number };

const pageEvents = 1_000;
const pageBytes = 256 * 1024;
const firstPageBytes = 32 * 1024;
/** A filtered reader hears how far it is at least this often, so that it never scans the same history twice. */
const scannedEventsMax = 1_000;

/**
 * Ends by itself when finite, deleted or aborted.
 * @throws StreamError `offset_conflict` when `after` lies beyond the head
 */
export async function* read(stream: Stream, request: ReadRequest, signal: AbortSignal): AsyncGenerator<ReadItem> {
  await stream.load();
  const after = request.after === "end" ? stream.head.offset : request.after;
  if (after > stream.head.offset) throw beyondTheHead(after, stream.head.offset);
  request.onLife?.(stream.streamId);
  if (request.descending) yield* readDescending(stream, request, after);
  else yield* readAscending(stream, { ...request, after }, signal);
}

async function* readAscending(
  stream: Stream,
  request: ReadRequest & { after: number },
  signal: AbortSignal,
): AsyncGenerator<ReadItem> {
  const { tail } = stream;
  const { life } = tail;
  const live = request.live === true;
  const end = Math.min(
    request.before ?? Number.POSITIVE_INFINITY,
    live ? Number.POSITIVE_INFINITY : stream.head.offset + 1,
  );
  // What an earlier life of the path held is gone; its offsets are passed over.
  const floor = stream.streamId === undefined ? stream.head.offset : stream.birthOffset - 1;
  let position = Math.max(request.after, floor);
  let wanted = request.limit ?? Number.POSITIVE_INFINITY;
  let unproven = 0;
  let caughtUp = false;
  const history = new History(stream);
  const news = live ? new News((wake) => tail.onChange(wake), stream.clock, signal) : undefined;
  try {
    while (!signal.aborted && position + 1 < end && wanted > 0) {
      if (tail.life !== life) return yield { kind: "deleted", head: stream.head.offset };
      if (position < stream.head.offset) {
        const reachable = Math.min(end - 1, stream.head.offset, request.accepts ? end : position + wanted);
        const page = tail.at(position + 1) ?? (await history.next(position, reachable));
        if (page.records.length === 0) {
          // Deleted while it was read, or the log has less than it said.
          if (tail.life !== life) continue;
          throw new Error(`${stream.path}: the log has nothing behind offset ${position}`);
        }
        const through = Math.min(page.first + page.records.length, end) - 1;
        const item = select(page, position, through, wanted, request.accepts);
        unproven = item === undefined ? unproven + through - position : 0;
        position = through;
        if (item !== undefined) {
          wanted -= item.records.length;
          news?.spoke();
          yield item;
        } else if (unproven >= scannedEventsMax) {
          unproven = 0;
          news?.spoke();
          yield { kind: "scanned", through: position };
        }
        continue;
      }
      if (news === undefined) break;
      if (!caughtUp) {
        caughtUp = true;
        yield { kind: "caught-up", through: position };
        continue;
      }
      if ((await news.next()) === "idle") yield { kind: "idle", through: position };
    }
  } finally {
    news?.stop();
  }
}

async function* readDescending(stream: Stream, request: ReadRequest, after: number): AsyncGenerator<ReadItem> {
  const { life } = stream.tail;
  let position = Math.min(request.before ?? Number.POSITIVE_INFINITY, stream.head.offset + 1);
  let wanted = request.limit ?? Number.POSITIVE_INFINITY;
  const floor = Math.max(after, stream.birthOffset - 1);
  // The log reads forwards, so a page is asked for by its beginning: fewer events where they are large.
  let span = pageEvents;
  while (position - 1 > floor && wanted > 0) {
    const count = request.accepts ? span : Math.min(span, wanted);
    const from = Math.max(floor, position - 1 - count);
    const { records } = await readPage(stream, from, position - 1);
    if (stream.tail.life !== life) return yield { kind: "deleted", head: stream.head.offset };
    if (records.length === 0) return;
    if (from + records.length < position - 1) {
      span = Math.min(records.length, span >> 1);
      continue;
    }
    if (span < pageEvents && charactersOf(records) < pageBytes / 2) span *= 2;
    const offsets: number[] = [];
    const chosen: string[] = [];
    for (let i = records.length - 1; i >= 0 && chosen.length < wanted; i--) {
      const record = records[i] as string;
      if (request.accepts && !request.accepts(typeOfRecord(record))) continue;
      offsets.push(from + 1 + i);
      chosen.push(record);
    }
    position = from + 1;
    wanted -= chosen.length;
    if (chosen.length > 0) yield { kind: "events", first: offsets[0] as number, offsets, records: chosen };
    else yield { kind: "scanned", through: position };
  }
}

function charactersOf(records: readonly string[]): number {
  let characters = 0;
  for (const record of records) characters += record.length;
  return characters;
}

interface Page {
  first: number;
  records: string[];
}

function readPage(stream: Stream, after: number, through: number): Promise<Page> {
  return stream.log.read({ after, through, maxEvents: pageEvents, maxBytes: pageBytes });
}

/** What of a page is wanted. The page itself when it is all of it, so that what is derived from it can be shared. */
function select(
  page: { first: number; records: readonly string[] },
  after: number,
  through: number,
  wanted: number,
  accepts: ReadRequest["accepts"],
): Extract<ReadItem, { kind: "events" }> | undefined {
  const skip = after + 1 - page.first;
  const count = Math.min(through - after, accepts ? Number.POSITIVE_INFINITY : wanted);
  if (!accepts) {
    const whole = skip === 0 && count === page.records.length;
    const records = whole ? page.records : page.records.slice(skip, skip + count);
    return { kind: "events", first: after + 1, records };
  }
  const offsets: number[] = [];
  const records: string[] = [];
  for (let i = skip; i < skip + count && records.length < wanted; i++) {
    const record = page.records[i] as string;
    if (!accepts(typeOfRecord(record))) continue;
    offsets.push(page.first + i);
    records.push(record);
  }
  return records.length === 0 ? undefined : { kind: "events", first: offsets[0] as number, offsets, records };
}

/**
 * Pages of the log, one read ahead: while a page is being sent, the next one is on its way from the disk. The first
 * is small, so that many readers who take little cost little.
 */
class History {
  readonly #stream: Stream;
  #bytes = firstPageBytes;
  #ahead: { after: number; page: Promise<Page> } | undefined;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  async next(after: number, through: number): Promise<Page> {
    const page = await (this.#ahead?.after === after ? this.#ahead.page : this.#read(after, through));
    this.#ahead = undefined;
    const reached = page.first + page.records.length - 1;
    if (page.records.length > 0 && reached < through) {
      this.#ahead = { after: reached, page: this.#read(reached, through) };
      // Whoever asks for it hears of its failure; if nobody does, nobody needs to.
      this.#ahead.page.catch(() => {});
    }
    return page;
  }

  #read(after: number, through: number): Promise<Page> {
    const maxBytes = this.#bytes;
    this.#bytes = Math.min(2 * this.#bytes, pageBytes);
    return this.#stream.log.read({ after, through, maxEvents: pageEvents, maxBytes });
  }
}

function beyondTheHead(after: number, head: number): StreamError<"offset_conflict"> {
  return new StreamError("offset_conflict", `There is no event ${after}: the head is ${head}.`, {
    head,
    expected: after,
  });
}
