/** The routes beside append and read. Each is a function from request to answer; handler.ts says which URL is whose. */
import type { Engine, StreamSummary } from "@millrace/engine";
import { parsePath } from "@millrace/protocol";
import { type Incoming, type Outgoing, toJson } from "./exchange.ts";
import {
  allow,
  atDigitsMax,
  childrenParameters,
  deleteParameters,
  isTrue,
  listMax,
  listParameters,
  projectsParameters,
  stateParameters,
} from "./parameters.ts";
import { invalidRequest } from "./refusals.ts";
import { projectOf, queryOf, toTarget } from "./target.ts";

export async function stateRoute(engine: Engine, incoming: Incoming, rawPath: string): Promise<Outgoing> {
  const { project, path, query } = toTarget(incoming, rawPath);
  allow(query, stateParameters);
  const slug = query.get("processor");
  const at = query.get("at");
  if (slug === null && at !== null) throw invalidRequest("at goes with processor=<slug>: whose state is meant?", "at");
  if (slug === null) return toJson(await engine.state(project, path));
  return toJson(await engine.processorState(project, path, slug, at === null ? undefined : offsetOf(at)));
}

export async function listRoute(engine: Engine, incoming: Incoming): Promise<Outgoing> {
  const query = queryOf(incoming.url);
  allow(query, listParameters);
  const prefix = parsePath(query.get("prefix") ?? "/");
  return listing(engine, projectOf(incoming, query), prefix, "all", query, "streams");
}

export async function childrenRoute(engine: Engine, incoming: Incoming, rawPath: string): Promise<Outgoing> {
  const { project, path, query } = toTarget(incoming, rawPath);
  allow(query, childrenParameters);
  return listing(engine, project, path, isTrue(query, "deep") ? "below" : "children", query, "children");
}

export async function projectsRoute(engine: Engine, incoming: Incoming): Promise<Outgoing> {
  const query = queryOf(incoming.url);
  allow(query, projectsParameters);
  projectOf(incoming, query); // of no meaning here, but as everywhere a malformed one is refused
  const { projects, next } = await engine.projects(page(query));
  return toJson({ projects: projects.map((slug) => ({ slug })), next });
}

export async function deleteRoute(engine: Engine, incoming: Incoming, rawPath: string): Promise<Outgoing> {
  const { project, path, query } = toTarget(incoming, rawPath);
  allow(query, deleteParameters);
  const children = isTrue(query, "children") || isTrue(query, "destroyChildren");
  const deleted = await engine.delete(project, path, { children });
  return toJson({ deleted, count: deleted.length });
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
  return toJson({ [name]: streams.map(streamJson), next });
}

function streamJson({ path, head, createdAt, lastEventAt, paused }: StreamSummary) {
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
  const limit = asked === null ? listMax : /^\d{1,9}$/.test(asked) ? Number(asked) : 0;
  if (limit < 1 || limit > listMax) {
    throw invalidRequest(`limit is a whole number from 1 to ${listMax}; got "${asked?.slice(0, 100)}".`, "limit");
  }
  const cursor = query.get("cursor");
  return cursor === null ? { limit } : { limit, cursor };
}

function offsetOf(value: string): number {
  if (/^\d+$/.test(value) && value.length <= atDigitsMax) return Number(value);
  throw invalidRequest(`at is an offset; got "${value.slice(0, 100)}".`, "at");
}
