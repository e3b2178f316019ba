/** `GET /api/streams/{path}` and `GET /{path}`: history, then live, in the format that was asked for. */
import { type Engine, linePrefix, type ReadItem, type ReadRequest } from "@millrace/engine";
import type { Incoming, Outgoing } from "./exchange.ts";
import { linesOf, ndjsonWriter, sseWriter, type Writer, yamlWriter } from "./formats.ts";
import { parseReadQuery, type ReadQuery } from "./read-query.ts";
import { streamPage } from "./stream-page.ts";
import { streamed } from "./streamed.ts";
import { subtreeRoute } from "./subtree-route.ts";
import { type Target, toTarget } from "./target.ts";

/** Says in the header that nothing lives at a path; ids are longer. A missing header would not say whose fault it is. */
const noStream = "none";

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
  return query.what.kind === "subtree"
    ? subtreeRoute(engine, incoming, target, query, query.what.request)
    : streamRoute(engine, incoming, target, query, query.what.request, shared);
}

async function streamRoute(
  engine: Engine,
  incoming: Incoming,
  target: Target,
  query: ReadQuery,
  request: ReadRequest,
  shared: SharedFrames,
): Promise<Outgoing> {
  let streamId = noStream;
  const onLife = (id: string | undefined) => {
    streamId = id ?? noStream;
  };
  const lifeHeader = () => ({ "millrace-stream-id": streamId });
  if (query.format === "json") return page(engine, incoming, target, { ...request, onLife }, lifeHeader);
  const items = engine.read(target.project, target.path, { ...request, onLife }, incoming.signal);
  const writer = writerOf(target.path, query, shared);
  return streamed(items, request.live === true ? writer : cutShort(writer, query), incoming, lifeHeader);
}

async function page(
  engine: Engine,
  incoming: Incoming,
  target: Target,
  request: ReadRequest,
  lifeHeader: () => Record<string, string>,
): Promise<Outgoing> {
  const { project, path } = target;
  const prefix = linePrefix(path);
  const lines: string[] = [];
  let bytes = 0;
  let reached: number | undefined;
  // One event more than asked for tells whether there is a next page.
  const limit = (request.limit ?? engine.limits.pageEvents) + 1;
  let more = false;
  for await (const item of engine.read(project, path, { ...request, limit }, incoming.signal)) {
    // What was read is not all there was: that must not look like a history with an end. So it is what is there now.
    if (item.kind === "deleted") return page(engine, incoming, target, request, lifeHeader);
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
  const headers = { "content-type": "application/json", "cache-control": "no-cache", ...lifeHeader() };
  return { status: 200, headers, body };
}

/** Where no frame can say that the stream was deleted, the connection breaks off: what came is not all there was. */
function cutShort(writer: Writer<ReadItem>, { format }: ReadQuery): Writer<ReadItem> {
  if (format === "sse") return writer;
  return {
    ...writer,
    write(item) {
      if (item.kind === "deleted") throw new Error("The stream was deleted while it was read.");
      return writer.write(item);
    },
  };
}

function writerOf(path: string, query: ReadQuery, shared: SharedFrames): Writer<ReadItem> {
  if (query.format === "ndjson") return ndjsonWriter(path);
  if (query.format === "yaml") return yamlWriter(path);
  return sseWriter(path, query, shared);
}
