/** `/api/cursors/{slug}/{path}`: how far a remote processor has come on a stream, kept for whoever runs it. */
import type { Engine } from "@millrace/engine";
import { parsePath, parseRemoteCursor } from "@millrace/protocol";
import { type Incoming, type Outgoing, toJson } from "./exchange.ts";
import { allow } from "./parameters.ts";
import { invalidRequest, notAllowed } from "./refusals.ts";
import { projectOf, queryOf } from "./target.ts";

const allowed = "GET, HEAD, PUT, DELETE, OPTIONS";
const methods = ["GET", "HEAD", "PUT", "DELETE"];
const decoder = new TextDecoder("utf-8", { fatal: true });

export async function cursorRoute(engine: Engine, incoming: Incoming, rawTarget: string): Promise<Outgoing> {
  const { method } = incoming;
  if (method === "OPTIONS") return { status: 204, headers: { allow: allowed }, body: "" };
  if (!methods.includes(method)) throw notAllowed(method, allowed);
  const query = queryOf(incoming.url);
  allow(query, []);
  const project = projectOf(incoming, query);
  const { slug, path } = targetOf(rawTarget);
  if (method === "DELETE") {
    await engine.deleteCursor(project, path, slug);
    return toJson({ deleted: true, slug, path });
  }
  if (method !== "PUT") return toJson({ cursor: await engine.cursor(project, path, slug) });
  const { eventBytes, jsonDepth } = engine.limits;
  const input = parseRemoteCursor(parseJson(await incoming.body(eventBytes)), jsonDepth);
  return toJson({ cursor: await engine.putCursor(project, path, slug, input) });
}

/** The slug is one segment, percent-encoded; what is behind it is the path, its slashes encoded or not. */
function targetOf(raw: string): { slug: string; path: string } {
  const slash = raw.indexOf("/");
  const end = slash === -1 ? raw.length : slash;
  return { slug: parseSlug(raw.slice(0, end)), path: parsePath(raw.slice(end + 1)) };
}

function parseSlug(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    throw invalidRequest("The slug is not valid percent-encoding.", "slug");
  }
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    throw invalidRequest(
      'The body is no JSON. Expected {"offset": 7, "epoch": "1", "runtimeId": "...", "replaces": null}.',
    );
  }
}
