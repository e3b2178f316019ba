/** The routes beside append and read. Each is a function from request to answer; handler.ts says which URL is whose. */
import type { Engine, StreamSummary } from "@millrace/engine";
import { builtinPrefix, contractFor, parsePath } from "@millrace/protocol";
import type { Incoming, Outgoing } from "./exchange.ts";
import { invalidRequest } from "./refusals.ts";
import { projectOf, queryOf, toTarget } from "./target.ts";

const listMax = 1_000;

export async function stateRoute(engine: Engine, incoming: Incoming, rawPath: string): Promise<Outgoing> {
  const { project, path, query } = toTarget(incoming, rawPath);
  allow(query, ["processor", "at"]);
  const slug = query.get("processor");
  const at = query.get("at");
  if (slug === null && at !== null) throw invalidRequest("at goes with processor=<slug>: whose state is meant?", "at");
  if (slug === null) return json(await engine.state(project, path));
  return json(await engine.processorState(project, path, slug, at === null ? undefined : offsetOf(at)));
}

export async function listRoute(engine: Engine, incoming: Incoming): Promise<Outgoing> {
  const query = queryOf(incoming.url);
  allow(query, ["prefix", "cursor", "limit"]);
  const prefix = parsePath(query.get("prefix") ?? "/");
  return listing(engine, projectOf(incoming, query), prefix, "all", query, "streams");
}

export async function childrenRoute(engine: Engine, incoming: Incoming, rawPath: string): Promise<Outgoing> {
  const { project, path, query } = toTarget(incoming, rawPath);
  allow(query, ["deep", "cursor", "limit"]);
  return listing(engine, project, path, isTrue(query, "deep") ? "below" : "children", query, "children");
}

export async function projectsRoute(engine: Engine, incoming: Incoming): Promise<Outgoing> {
  const query = queryOf(incoming.url);
  allow(query, ["cursor", "limit"]);
  const { projects, next } = await engine.projects(page(query));
  return json({ projects: projects.map((slug) => ({ slug })), next });
}

export async function deleteRoute(engine: Engine, incoming: Incoming, rawPath: string): Promise<Outgoing> {
  const { project, path, query } = toTarget(incoming, rawPath);
  allow(query, ["children", "destroyChildren"]);
  const children = isTrue(query, "children") || isTrue(query, "destroyChildren");
  const deleted = await engine.delete(project, path, { children });
  return json({ deleted, count: deleted.length });
}

export function healthRoute(): Outgoing {
  return json({ status: "ok" });
}

/** Ready means that the log answers; what it could not do lately stands beside it. */
export async function readyRoute(engine: Engine): Promise<Outgoing> {
  await engine.projects({ limit: 1 });
  return json({ status: "ready", ...engine.gauges() });
}

/** What is known of a built-in type, at the path of the type's own URL. */
export function contractRoute(name: string): Outgoing | undefined {
  const contract = contractFor(builtinPrefix + name);
  if (contract === undefined) return undefined;
  const { type, aliases, summary, documentation, example, serverOnly, whilePaused, planned } = contract;
  // The text says what the event is for; `planned` that it is checked and stored, and that nothing acts on it yet.
  const page = { type, summary, documentation, planned, example: { type, payload: example } };
  return json({ ...page, aliases, serverOnly, whilePaused });
}

async function listing(
  engine: Engine,
  project: string,
  prefix: string,
  depth: "all" | "below" | "children",
  query: URLSearchParams,
  name: "streams" | "children",
): Promise<Outgoing> {
  const { limit, cursor } = page(query);
  // The prefix sorts before everything below it, so to begin behind it leaves out nothing else.
  const start = cursor ?? (depth === "below" ? prefix : undefined);
  const { streams, next } = await engine.list({
    project,
    prefix,
    depth: depth === "children" ? "children" : "all",
    limit,
    ...(start === undefined ? {} : { cursor: start }),
  });
  return json({ [name]: streams.map(toJson), next });
}

function toJson({ path, head, createdAt, lastEventAt, paused }: StreamSummary) {
  return {
    path,
    head,
    createdAt: new Date(createdAt).toISOString(),
    lastEventAt: new Date(lastEventAt).toISOString(),
    paused,
  };
}

function page(query: URLSearchParams): { limit: number; cursor?: string } {
  const asked = query.get("limit");
  const limit = asked === null ? listMax : Number(asked);
  if (!Number.isInteger(limit) || limit < 1 || limit > listMax) {
    throw invalidRequest(`limit is a whole number from 1 to ${listMax}; got "${asked?.slice(0, 100)}".`, "limit");
  }
  const cursor = query.get("cursor");
  return cursor === null ? { limit } : { limit, cursor };
}

function offsetOf(value: string): number {
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw invalidRequest(`at is an offset; got "${value.slice(0, 100)}".`, "at");
}

function isTrue(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  if (value === null || value === "false" || value === "0") return false;
  if (value === "true" || value === "1") return true;
  throw invalidRequest(`${name} is "true" or "false"; got "${value.slice(0, 100)}".`, name);
}

function allow(query: URLSearchParams, names: string[]): void {
  for (const name of query.keys()) {
    if (names.includes(name) || name === "project" || name === "token") continue;
    throw invalidRequest(
      `Unknown query parameter "${name}". This route knows ${[...names, "project"].join(", ")}.`,
      name,
    );
  }
}

function json(value: unknown): Outgoing {
  const headers = { "content-type": "application/json", "cache-control": "no-cache" };
  return { status: 200, headers, body: `${JSON.stringify(value)}\n` };
}
