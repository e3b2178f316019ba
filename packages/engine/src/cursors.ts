/**
 * Cursors of remote processors on one stream. They are rows of its progress, saved by commits without events: so they
 * end with the life of the stream, and what is answered is on disk. Each put is judged in its turn, over what the ones
 * before it left; while a holder is heard, nobody else moves its cursor.
 */
import {
  type CursorHolder,
  consumerName,
  type JsonValue,
  type Limits,
  type RemoteCursor,
  type RemoteCursorInput,
  StreamError,
  slugCharactersMax,
  sortedJson,
} from "@millrace/protocol";

import type { Holders } from "./holders.ts";
import type { Head, ProgressRow } from "./ports/log.ts";

/** What a holder says of it, and whether it gave it back. */
type Said = Omit<RemoteCursorInput, "replaces" | "release"> & { released?: true };

export interface StoredCursor extends Said {
  /** Milliseconds. */
  updatedAt: number;
}

/** By slug. Replaced, never changed in place. */
export type Cursors = ReadonlyMap<string, StoredCursor>;

export const noCursors: Cursors = new Map();

export interface CursorPut {
  slug: string;
  /** Undefined takes the cursor away, whoever holds it. */
  input: RemoteCursorInput | undefined;
  /** With what is stored, or with what was taken away. */
  resolve(stored: StoredCursor): void;
  reject(error: Error): void;
}

/** What puts are judged over: the stream, as far as it is on disk. */
interface CursorPlace {
  path: string;
  /** Undefined where there is no stream. */
  streamId: string | undefined;
  cursors: Cursors;
  head: Head;
  limits: Limits;
  holders: Holders;
}

export interface JudgedCursors {
  /** Behind all of them. */
  cursors: Cursors;
  rows: readonly ProgressRow[];
  /** Tells everybody, once the rows are on disk. */
  answer(): void;
}

const rowPrefix = "cursor/";

/** The rows of a stream's progress that are cursors, and the others. */
export function takeCursors(rows: readonly ProgressRow[]): { cursors: Cursors; others: readonly ProgressRow[] } {
  const own = rows.filter(({ consumer }) => consumer.startsWith(rowPrefix));
  if (own.length === 0) return { cursors: noCursors, others: rows };
  const cursors = own.map(({ consumer, text }): [string, StoredCursor] => [
    decodeURIComponent(consumer.slice(rowPrefix.length)),
    JSON.parse(text as string) as StoredCursor,
  ]);
  return { cursors: new Map(cursors), others: rows.filter(({ consumer }) => !consumer.startsWith(rowPrefix)) };
}

export function judgeCursors(place: CursorPlace, now: number, puts: readonly CursorPut[]): JudgedCursors {
  const cursors = new Map(place.cursors);
  const changed = new Set<string>();
  const verdicts = puts.map((put): StoredCursor | StreamError => {
    const { slug, input } = put;
    const before = cursors.get(slug);
    const verdict =
      input === undefined ? judgeRemoval(place, before, slug) : judgePut(place, cursors, now, slug, input);
    if (verdict instanceof StreamError || (input !== undefined && verdict === before)) return verdict;
    if (input === undefined) cursors.delete(slug);
    else cursors.set(slug, verdict);
    changed.add(slug);
    return verdict;
  });
  return {
    cursors,
    rows: [...changed].map((slug) => rowOf(slug, cursors.get(slug))),
    answer() {
      for (const [i, { resolve, reject }] of puts.entries()) {
        const verdict = verdicts[i] as StoredCursor | StreamError;
        if (verdict instanceof StreamError) reject(verdict);
        else resolve(verdict);
      }
    },
  };
}

/** What is to be stored, which is what is stored already where nothing changes; or why not. */
function judgePut(
  { path, streamId, head, limits, holders }: CursorPlace,
  cursors: Cursors,
  now: number,
  slug: string,
  input: RemoteCursorInput,
): StoredCursor | StreamError {
  if (streamId === undefined) return noStream(path);
  const { replaces, release, ...rest } = input;
  const said: Said = release === true ? { ...rest, released: true } : rest;
  const { offset, runtimeId } = said;
  const stored = cursors.get(slug);
  const isHolder = stored?.runtimeId === runtimeId;
  // Also where it is refused: it is alive, and will put things right.
  if (isHolder) holders.heard({ streamId, slug, runtimeId });
  // A sign of life, or a repetition whose answer was lost. Neither costs a write.
  if (isHolder && saysTheSame(stored, said)) return stored;
  const silentMs = stored === undefined ? 0 : holders.silentMs({ streamId, slug, runtimeId: stored.runtimeId });
  const mayMove = stored === undefined || isHolder || stored.released || silentMs >= limits.cursorSilenceMs;
  if (!mayMove || replaces !== (stored?.offset ?? null)) return conflict(slug, stored, silentMs, limits);
  if (offset > head.offset) return beyondHead(offset, head.offset);
  if (stored === undefined && cursors.size >= limits.cursorsPerStream) return tooMany(limits.cursorsPerStream);
  holders.heard({ streamId, slug, runtimeId });
  return { ...said, updatedAt: now };
}

/** Whoever acts for it next is refused as one who lost it. */
function judgeRemoval({ path, streamId }: CursorPlace, stored: StoredCursor | undefined, slug: string) {
  if (streamId === undefined) return noStream(path);
  return stored ?? noCursor(slug, path);
}

function saysTheSame({ updatedAt: _, ...stored }: StoredCursor, said: Said): boolean {
  return stored.offset === said.offset && sortedJson(stored) === sortedJson(said);
}

function rowOf(slug: string, stored: StoredCursor | undefined): ProgressRow {
  return { consumer: consumerName("cursor", slug), text: stored === undefined ? null : JSON.stringify(stored) };
}

export function showCursor(path: string, slug: string, stored: StoredCursor, silentMs: number): RemoteCursor {
  const { updatedAt, ...said } = stored;
  return { slug, path, ...said, updatedAt: new Date(updatedAt).toISOString(), silentMs };
}

/** A URL resolves dots alone, and cannot hold half a character. @throws StreamError `invalid_request` */
export function checkSlug(slug: string): void {
  if (slug !== "" && slug.length <= slugCharactersMax && !/^\.{1,2}$|\p{Surrogate}/u.test(slug)) return;
  throw new StreamError(
    "invalid_request",
    `The slug of a cursor has 1 to ${slugCharactersMax} characters, and is not "." or "..".`,
    { field: "slug" },
  );
}

/** @throws StreamError `too_large` */
export function checkSize({ interrupted, progress }: RemoteCursorInput, limits: Limits): void {
  const bytes = bytesOf(interrupted) + bytesOf(progress);
  if (bytes <= limits.cursorBytes) return;
  throw new StreamError(
    "too_large",
    `progress and interrupted have at most ${limits.cursorBytes} bytes together; these have ${bytes}.`,
    { limit: limits.cursorBytes, unit: "bytes" },
  );
}

function bytesOf(value: JsonValue | undefined): number {
  return value === undefined ? 0 : new TextEncoder().encode(JSON.stringify(value)).length;
}

export function noCursor(slug: string, path: string): StreamError<"not_found"> {
  return new StreamError("not_found", `There is no cursor "${slug}" at ${path}.`, {});
}

export function noStream(path: string): StreamError<"not_found"> {
  return new StreamError("not_found", `There is no stream at ${path}. It comes into being with its first append.`, {});
}

function conflict(
  slug: string,
  stored: StoredCursor | undefined,
  silentMs: number,
  { cursorSilenceMs }: Limits,
): StreamError<"cursor_conflict"> {
  if (stored === undefined) {
    return new StreamError("cursor_conflict", `There is no cursor "${slug}" here: replaces is null then.`, {
      holder: null,
    });
  }
  const { runtimeId, offset, released } = stored;
  const holder: CursorHolder = { runtimeId, offset, silentMs };
  if (released) {
    const message = `The cursor "${slug}" is at ${offset}, where ${runtimeId} gave it back: replaces is ${offset} then.`;
    return new StreamError("cursor_conflict", message, { holder });
  }
  return new StreamError(
    "cursor_conflict",
    `${runtimeId} holds the cursor "${slug}" at ${offset}. Another runtime may replace it when it was not heard for ${cursorSilenceMs / 1_000} s, and names the offset that it replaces.`,
    { holder },
  );
}

function beyondHead(expected: number, head: number): StreamError<"offset_conflict"> {
  return new StreamError("offset_conflict", `There is no event ${expected}: the head is ${head}.`, { head, expected });
}

function tooMany(limit: number): StreamError<"rate_limited"> {
  return new StreamError("rate_limited", `This stream has ${limit} cursors already. Use one of them.`, {
    limit,
    unit: "cursors of this stream",
  });
}
