/**
 * The stored text of an event. Its body is serialised once, here; a reader's line is that text behind a prefix, so
 * history is sent without being parsed.
 *
 * A record that continues a batch begins with a space. JSON does not care; a refold needs to know it, because the
 * circuit breaker counts a batch once.
 */
import type { EventInput, EventSource, StreamEvent } from "@millrace/protocol";

/** `{"streamPath":"/me","offset":` : the beginning of every line of one stream. */
export function linePrefix(path: string): string {
  return `{"streamPath":${JSON.stringify(path)},"offset":`;
}

/** The event as one line of JSON. */
export function toLine(prefix: string, offset: number, record: string): string {
  return `${prefix}${offset},${record}`;
}

export function encodeRecord(
  event: EventInput,
  createdAt: string,
  source: EventSource | undefined,
  continued: boolean,
): string {
  let record = `${continued ? " " : ""}"type":${JSON.stringify(event.type)},"payload":${JSON.stringify(event.payload === undefined ? {} : event.payload)}`;
  if (event.metadata !== undefined) record += `,"metadata":${JSON.stringify(event.metadata)}`;
  if (event.idempotencyKey !== undefined) record += `,"idempotencyKey":${JSON.stringify(event.idempotencyKey)}`;
  record += `,"createdAt":"${createdAt}"`;
  if (source !== undefined) record += `,"source":${JSON.stringify(source)}`;
  return `${record}}`;
}

export function decodeRecord(path: string, offset: number, record: string): StreamEvent {
  return JSON.parse(toLine(linePrefix(path), offset, record)) as StreamEvent;
}

export function continuesBatch(record: string): boolean {
  return record.charCodeAt(0) === 32;
}

/** The type, without parsing the rest. */
export function typeOfRecord(record: string): string {
  const start = (continuesBatch(record) ? 1 : 0) + '"type":"'.length;
  let end = record.indexOf('"', start);
  if (record[end - 1] === "\\") end = closingQuote(record, start);
  const raw = record.slice(start, end);
  return raw.includes("\\") ? (JSON.parse(`"${raw}"`) as string) : raw;
}

function closingQuote(record: string, start: number): number {
  for (let i = start; i < record.length; i++) {
    if (record[i] === "\\") i++;
    else if (record[i] === '"') return i;
  }
  throw new Error("a stored record has no end of its type");
}
