/**
 * `?includeChildren=true`: every stream at and below a path on one connection. An event's id is a token made of the
 * log's position, which resumes all of the streams at once.
 */
import {
  decodeRecord,
  type Engine,
  linePrefix,
  type SubtreeCursor,
  type SubtreeEvent,
  type SubtreeItem,
  type SubtreeRequest,
  toLine,
} from "@millrace/engine";
import type { Incoming, Outgoing } from "./exchange.ts";
import { type Writer, yamlDocument } from "./formats.ts";
import type { ReadQuery } from "./read-query.ts";
import { streamed } from "./streamed.ts";
import type { Target } from "./target.ts";

export async function subtreeRoute(
  engine: Engine,
  incoming: Incoming,
  { project, path }: Target,
  query: ReadQuery,
  request: SubtreeRequest,
): Promise<Outgoing> {
  if (query.format === "json") return page(engine, incoming, project, path, request);
  return streamed(engine.readSubtree(project, path, request, incoming.signal), writerOf(query), incoming);
}

function writerOf(query: ReadQuery): Writer<SubtreeItem> {
  const events = (item: SubtreeItem) => (item.kind === "events" ? item.events : []);
  if (query.format === "ndjson") {
    return {
      contentType: "application/x-ndjson",
      opening: "",
      write: (item) =>
        events(item)
          .map((event) => `${lineOf(event)}\n`)
          .join(""),
    };
  }
  if (query.format === "yaml") {
    const document = ({ path, offset, record }: SubtreeEvent) => yamlDocument(decodeRecord(path, offset, record));
    return {
      contentType: "application/yaml; charset=utf-8",
      opening: "",
      write: (item) => events(item).map(document).join(""),
    };
  }
  return { contentType: "text/event-stream", opening: ":\nretry: 1000\n\n", write: (item) => frames(item, query) };
}

function frames(item: SubtreeItem, { filtered, markers }: ReadQuery): string {
  switch (item.kind) {
    case "events":
      return item.events
        .map((event) => `id: ${tokenOf(event.cursor)}\nevent: message\ndata: ${lineOf(event)}\n\n`)
        .join("");
    case "scanned":
      return `id: ${tokenOf(item.cursor)}\n\n`;
    case "idle":
      return filtered ? `:\nid: ${tokenOf(item.cursor)}\n\n` : ":\n\n";
    case "caught-up":
      return markers
        ? `id: ${tokenOf(item.cursor)}\nevent: caught-up\ndata: {"after":"${tokenOf(item.cursor)}"}\n\n`
        : "";
  }
}

/** One page; `next` continues it, and is null when there is no more for now. */
async function page(
  engine: Engine,
  incoming: Incoming,
  project: string,
  path: string,
  request: SubtreeRequest,
): Promise<Outgoing> {
  const { pageEvents, pageBytes } = engine.limits;
  const limit = request.limit ?? pageEvents;
  const chosen: SubtreeEvent[] = [];
  let bytes = 0;
  let more = false;
  // One event more than asked for tells whether there is a next page.
  for await (const item of engine.readSubtree(project, path, { ...request, limit: limit + 1 }, incoming.signal)) {
    if (item.kind !== "events") continue;
    for (const event of item.events) {
      bytes += event.record.length;
      more = chosen.length === limit || (chosen.length > 0 && bytes > pageBytes);
      if (more) break;
      chosen.push(event);
    }
    if (more) break;
  }
  const last = chosen.at(-1);
  const next = more && last !== undefined ? `"${tokenOf(last.cursor)}"` : "null";
  const body = `{"events":[${chosen.map(lineOf).join(",")}],"next":${next}}\n`;
  return { status: 200, headers: { "content-type": "application/json", "cache-control": "no-cache" }, body };
}

function lineOf({ path, offset, record }: SubtreeEvent): string {
  return toLine(linePrefix(path), offset, record);
}

function tokenOf({ position, skip }: SubtreeCursor): string {
  return skip === 0 ? String(position) : `${position}-${skip}`;
}
