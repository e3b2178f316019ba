/** The parameters of a read. Unknown ones are refused: a misspelt filter must not read everything. */
import type { ReadRequest, SubtreeCursor, SubtreeRequest } from "@millrace/engine";
import { canonicalType } from "@millrace/protocol";
import type { Incoming } from "./exchange.ts";
import { allow, isTrue, readParameters } from "./parameters.ts";
import { invalidRequest } from "./refusals.ts";

export type Format = "sse" | "json" | "ndjson" | "yaml" | "html";

export interface ReadQuery {
  /** What is read: one stream, or with `includeChildren` everything below it. */
  what: { kind: "stream"; request: ReadRequest } | { kind: "subtree"; request: SubtreeRequest };
  format: Format;
  live: boolean;
  /** Send `event: caught-up` between history and what is new. */
  markers: boolean;
  filtered: boolean;
}

const formats = new Set(["sse", "json", "ndjson", "yaml"]);

/** @throws StreamError `invalid_request`, naming the parameter */
export function parseReadQuery(query: URLSearchParams, incoming: Incoming, pageEvents: number): ReadQuery {
  allow(query, readParameters);
  const format = formatOf(query, incoming);
  const live = isTrue(query, "live");
  const descending = orderOf(query);
  const limit = limitOf(query, format === "json" ? pageEvents : undefined);
  if (live && format === "json")
    throw invalidRequest("A live read is sse, ndjson or yaml; json is one page.", "format");
  if (live && descending) throw invalidRequest("A live read is in ascending order.", "order");
  const types = query.getAll("type");
  const shared = {
    live,
    ...(limit === undefined ? {} : { limit }),
    ...(types.length > 0 ? { accepts: matcherOf(types) } : {}),
  };
  const what: ReadQuery["what"] = isTrue(query, "includeChildren")
    ? { kind: "subtree", request: { ...shared, after: subtreeCursorOf(query, incoming, descending) } }
    : { kind: "stream", request: { ...shared, ...rangeOf(query, incoming, descending) } };
  return { what, format, live, markers: isTrue(query, "markers"), filtered: types.length > 0 };
}

function rangeOf(query: URLSearchParams, incoming: Incoming, descending: boolean): ReadRequest {
  const before = beforeOf(query, descending);
  const after = afterOf(query, incoming, descending);
  return before === undefined ? { after, descending } : { after, before, descending };
}

/**
 * A subtree has many streams, so offsets mean nothing in it: it is resumed by the token of its last event. Whatever is
 * given is judged, also what another wins over: a misspelt place must not be taken for none.
 */
function subtreeCursorOf(query: URLSearchParams, incoming: Incoming, descending: boolean): SubtreeCursor | "end" {
  if (descending) throw invalidRequest("A subtree is read in the order of commits.", "order");
  if (query.has("beforeOffset"))
    throw invalidRequest("A subtree has no offsets of its own; use after=<token>.", "beforeOffset");
  const resumed = incoming.header("last-event-id");
  const token = query.get("after");
  const given = [
    resumed ? cursorOf("Last-Event-ID", resumed) : undefined,
    token === null ? undefined : cursorOf("after", token),
    subtreeEdgeOf(query, "afterOffset"),
    subtreeEdgeOf(query, "offset"),
  ];
  return given.find((place) => place !== undefined) ?? subtreeStart;
}

const subtreeStart: SubtreeCursor = { position: 0, skip: 0 };

function subtreeEdgeOf(query: URLSearchParams, name: string): SubtreeCursor | "end" | undefined {
  const value = query.get(name);
  if (value === null || value === "end") return value ?? undefined;
  if (value === "start" || value === "0") return subtreeStart;
  throw invalidRequest('A subtree begins at "start", at "end" or after=<token>; it has no offsets of its own.', name);
}

function cursorOf(name: string, token: string): SubtreeCursor {
  const match = /^(?:\d{1,15}|([1-9]\d{0,14})-([1-9]\d{0,8}))$/.exec(token);
  if (match) return { position: Number(match[1] ?? token), skip: Number(match[2] ?? 0) };
  const shown = token.slice(0, 100);
  throw invalidRequest(`${name} is the next of a page or the id of an event of the subtree; got "${shown}".`, name);
}

function afterOf(query: URLSearchParams, incoming: Incoming, descending: boolean): number | "end" {
  const resumed = incoming.header("last-event-id");
  const token = descending ? null : query.get("after");
  const given = [
    resumed ? tokenOf("Last-Event-ID", resumed) : undefined,
    token === null ? undefined : tokenOf("after", token),
    edgeOf(query, "afterOffset"),
    edgeOf(query, "offset"),
  ];
  return given.find((place) => place !== undefined) ?? 0;
}

function edgeOf(query: URLSearchParams, name: string): number | "end" | undefined {
  const value = query.get(name);
  if (value === null || value === "end") return value ?? undefined;
  return value === "start" ? 0 : offsetOf(name, value);
}

function beforeOf(query: URLSearchParams, descending: boolean): number | undefined {
  const edge = edgeOf(query, "beforeOffset");
  const token = descending ? query.get("after") : null;
  if (token !== null) return tokenOf("after", token);
  if (edge === undefined || edge === "end") return undefined;
  return query.get("beforeOffset") === "start" ? 1 : edge;
}

/** The token of a single stream is the offset of its last event: words are no token. */
function tokenOf(name: string, value: string): number {
  if (isOffset(value)) return Number(value);
  const shown = value.slice(0, 100);
  throw invalidRequest(
    `${name} is the next of a page or the id of an event, which is its offset; got "${shown}".`,
    name,
  );
}

function offsetOf(name: string, value: string): number {
  if (isOffset(value)) return Number(value);
  throw invalidRequest(`${name} is an offset (a whole number), "start" or "end"; got "${value.slice(0, 100)}".`, name);
}

function isOffset(value: string): boolean {
  return /^\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value));
}

function limitOf(query: URLSearchParams, pageMax: number | undefined): number | undefined {
  const value = query.get("limit");
  if (value === null) return pageMax;
  const limit = /^\d{1,16}$/.test(value) ? Number(value) : 0;
  if (limit < 1) throw invalidRequest(`limit is a whole number from 1; got "${value.slice(0, 100)}".`, "limit");
  if (pageMax !== undefined && limit > pageMax) {
    throw invalidRequest(`limit is at most ${pageMax} for a page; ask for the next page with after=<next>.`, "limit");
  }
  return limit;
}

function orderOf(query: URLSearchParams): boolean {
  const order = query.get("order");
  if (order === null || order === "asc") return false;
  if (order === "desc") return true;
  throw invalidRequest(`order is "asc" or "desc"; got "${order.slice(0, 100)}".`, "order");
}

/** `*` matches any characters, in a short form too: a form without a star is first made canonical. */
function matcherOf(globs: string[]): (type: string) => boolean {
  const exact = new Set<string>();
  const patterns: ((type: string) => boolean)[] = [];
  for (const glob of globs) {
    if (glob.includes("*")) patterns.push(globMatcher(glob));
    else exact.add(canonicalType(glob));
  }
  return (type) => exact.has(type) || patterns.some((matches) => matches(type));
}

/**
 * Finds what stands between the stars one behind the other. The first place for each is as good as any later one, so
 * it never goes back; a regular expression would, for ever, on a glob with many stars.
 */
function globMatcher(glob: string): (type: string) => boolean {
  const [first = "", ...middle] = glob.split("*");
  const last = middle.pop() ?? "";
  return (type) => {
    const end = type.length - last.length;
    let at = first.length;
    if (at > end || !type.startsWith(first) || !type.endsWith(last)) return false;
    for (const part of middle) {
      const found = type.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return at <= end;
  };
}

function formatOf(query: URLSearchParams, incoming: Incoming): Format {
  const asked = query.get("format");
  if (asked !== null) {
    if (formats.has(asked)) return asked as Format;
    throw invalidRequest(`format is sse, json, ndjson or yaml; got "${asked.slice(0, 100)}".`, "format");
  }
  for (const range of (incoming.header("accept") ?? "").toLowerCase().split(",")) {
    const type = range.split(";")[0]?.trim();
    if (type === "text/event-stream") return "sse";
    if (type === "application/json") return "json";
    if (type === "application/x-ndjson" || type === "application/ndjson") return "ndjson";
    if (type === "application/yaml" || type === "text/yaml" || type === "application/x-yaml") return "yaml";
    if (type === "text/html") return "html";
  }
  return "sse";
}
