/** `GET /api/streams/{path}` and `GET /{path}`: history, then live, in the format that was asked for. */
import { type Engine, linePrefix, type ReadItem } from "@millrace/engine";
import type { Incoming, Outgoing } from "./exchange.ts";
import { linesOf, ndjsonWriter, sseWriter, type Writer, yamlWriter } from "./formats.ts";
import { parseReadQuery, type ReadQuery } from "./read-query.ts";
import { streamPage } from "./stream-page.ts";
import { type Target, toTarget } from "./target.ts";

/** Frames that readers of the same stream share; one for each handler. */
export type SharedFrames = WeakMap<readonly string[], Uint8Array>;

export async function readRoute(
  engine: Engine,
  incoming: Incoming,
  rawPath: string,
  shared: SharedFrames,
): Promise<Outgoing> {
  const target = toTarget(incoming, rawPath);
  const query = parseReadQuery(target.query, incoming, engine.limits.pageEvents);
  if (query.format === "html") return streamPage(engine, incoming, target);
  if (query.format === "json") return page(engine, incoming, target, query);
  const writer = writerOf(target.path, query, shared);
  const items = engine.read(target.project, target.path, query.request, incoming.signal);
  // The first item decides between an answer and a refusal, so it is asked for before the status is sent.
  const first = await items.next();
  const headers = { "content-type": writer.contentType, "cache-control": "no-cache", "x-accel-buffering": "no" };
  if (incoming.method === "HEAD") {
    await items.return(undefined);
    return { status: 200, headers, body: "" };
  }
  return { status: 200, headers, body: chunks(items, first, writer) };
}

type Items = AsyncGenerator<ReadItem>;

async function* chunks(
  items: Items,
  first: IteratorResult<ReadItem>,
  writer: Writer,
): AsyncGenerator<string | Uint8Array> {
  try {
    if (writer.opening !== "") yield writer.opening;
    for (let next = first; !next.done; next = await items.next()) {
      const chunk = writer.write(next.value);
      if (chunk.length > 0) yield chunk;
    }
  } finally {
    await items.return(undefined);
  }
}

async function page(engine: Engine, incoming: Incoming, target: Target, { request }: ReadQuery): Promise<Outgoing> {
  const { project, path } = target;
  const prefix = linePrefix(path);
  const lines: string[] = [];
  let bytes = 0;
  let reached: number | undefined;
  // One event more than asked for tells whether there is a next page.
  const limit = (request.limit ?? engine.limits.pageEvents) + 1;
  let more = false;
  for await (const item of engine.read(project, path, { ...request, limit }, incoming.signal)) {
    if (item.kind !== "events") continue;
    for (const [i, line] of linesOf(prefix, item).entries()) {
      bytes += line.length;
      if (lines.length === limit - 1 || (lines.length > 0 && bytes > engine.limits.pageBytes)) {
        more = true;
        break;
      }
      lines.push(line);
      reached = item.offsets?.[i] ?? item.first + i;
    }
    if (more) break;
  }
  const next = more ? `"${reached}"` : "null";
  const body = `{"events":[${lines.map((line) => line.slice(0, -1)).join(",")}],"next":${next}}\n`;
  return { status: 200, headers: { "content-type": "application/json", "cache-control": "no-cache" }, body };
}

function writerOf(path: string, query: ReadQuery, shared: SharedFrames): Writer {
  if (query.format === "ndjson") return ndjsonWriter(path);
  if (query.format === "yaml") return yamlWriter(path);
  return sseWriter(path, query, shared);
}
