/**
 * Which stream a URL means. An agent's URL is its path, so everything at the root of the server is a stream except a
 * closed list of first segments; `/api/streams/...` reaches all streams, those too.
 */
import { builtinPrefix, contractFor, type EventContract, parsePath, parseProject } from "@millrace/protocol";
import type { Incoming } from "./exchange.ts";

export interface Target {
  project: string;
  path: string;
  query: URLSearchParams;
}

const reserved = new Set([
  "api",
  "apidocs",
  "openapi.json",
  "healthz",
  "readyz",
  "metrics",
  "v1",
  "_millrace",
  ".well-known",
  "favicon.ico",
  "robots.txt",
]);

const noQuery = new URLSearchParams();
const api = "/api/streams/";
const documents = "/events/stream/";

/** The raw stream path in a URL, or undefined when the URL belongs to the server itself. */
export function streamPathOf(url: string): string | undefined {
  const end = url.indexOf("?");
  const path = end === -1 ? url : url.slice(0, end);
  if (path.startsWith(api)) return isReservedBelowApi(path) ? undefined : path.slice(api.length);
  if (reserved.has(firstSegment(path))) return undefined;
  if (documentedTypeOf(path) !== undefined) return undefined;
  return path;
}

/** The built-in type whose page a URL's path is, its slashes encoded or not. */
export function documentedTypeOf(path: string): EventContract | undefined {
  return path.startsWith(documents)
    ? contractFor(builtinPrefix + decodeTolerant(path.slice(documents.length)))
    : undefined;
}

/** However it is written: an encoded letter or slash must not turn a URL of the server into a stream. */
function firstSegment(path: string): string {
  const plain = path.includes("%") ? decodeTolerant(path) : path;
  const slash = plain.indexOf("/", 1);
  return slash === -1 ? plain.slice(1) : plain.slice(1, slash);
}

function decodeTolerant(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** The talk's own addresses for state and children. */
function isReservedBelowApi(path: string): boolean {
  return path.startsWith("/api/streams/__state/") || path.startsWith("/api/streams/__children/");
}

/** @throws StreamError `invalid_request` for a bad path or project */
export function toTarget(incoming: Incoming, rawPath: string): Target {
  const query = queryOf(incoming.url);
  return { project: projectOf(incoming, query), path: parsePath(rawPath), query };
}

export function queryOf(url: string): URLSearchParams {
  const start = url.indexOf("?");
  return start === -1 ? noQuery : new URLSearchParams(url.slice(start + 1));
}

/** The header wins; but a project that is none is refused wherever it stands. */
export function projectOf(incoming: Incoming, query: URLSearchParams): string {
  const inHeader = incoming.header("x-project-slug") ?? incoming.header("x-iterate-project");
  const inQuery = query.size === 0 ? null : query.get("project");
  const queried = inQuery === null ? "public" : parseProject(inQuery);
  return inHeader === undefined ? queried : parseProject(inHeader);
}
