/**
 * The engine behind a fetch handler. `fetch` answers every request of any host (Hono routes it); `hot` answers what
 * concerns a stream straight from a plain request, for hosts that can spare themselves building a `Request`: on the
 * append route that and the framework cost as much as the append itself, and a `Request` would resolve the dots of
 * `/a/../b`, which is not a path, into another stream.
 */
import type { Engine } from "@millrace/engine";
import { StreamError } from "@millrace/protocol";
import { type Context, Hono } from "hono";
import {
  childrenRoute,
  contractRoute,
  deleteRoute,
  healthRoute,
  listRoute,
  projectsRoute,
  readyRoute,
  stateRoute,
} from "./api-routes.ts";
import { appendRoute } from "./append-route.ts";
import { type Incoming, type Outgoing, toIncoming, toResponse } from "./exchange.ts";
import { type AccessOptions, corsHeaders, createGuard } from "./guard.ts";
import { isRefusal, problem } from "./problem.ts";
import { readRoute, type SharedFrames } from "./read-route.ts";
import { streamPathOf } from "./target.ts";

export interface HandlerOptions {
  engine: Engine;
  access?: AccessOptions;
  /** Hears of faults that are ours: an answer went out as 503, this is why. */
  onFault?(error: unknown): void;
}

export interface Handler {
  fetch(request: Request): Promise<Response>;
  /** Undefined when the URL is no stream: then `fetch` answers it. */
  hot(incoming: Incoming): Promise<Outgoing> | undefined;
}

const streamMethods = "GET, HEAD, POST, DELETE, OPTIONS";

export function createHandler({ engine, access = {}, onFault = () => {} }: HandlerOptions): Handler {
  const shared: SharedFrames = new WeakMap();
  const checkAccess = createGuard(access);

  async function guarded(incoming: Incoming, route: () => Promise<Outgoing> | Outgoing): Promise<Outgoing> {
    let outgoing: Outgoing;
    try {
      checkAccess(incoming);
      outgoing = await route();
    } catch (error) {
      if (!isRefusal(error)) onFault(error);
      outgoing = problem(error);
    }
    const cors = corsHeaders(incoming, access);
    if (cors !== undefined) Object.assign(outgoing.headers, cors);
    return outgoing;
  }

  function hot(incoming: Incoming): Promise<Outgoing> | undefined {
    const path = streamPathOf(incoming.url);
    if (path === undefined) return undefined;
    return guarded(incoming, () => streamRoute(incoming, path));
  }

  /** Every URL that is a stream, whatever the method. */
  function streamRoute(incoming: Incoming, path: string): Promise<Outgoing> | Outgoing {
    switch (incoming.method) {
      case "POST":
        return appendRoute(engine, incoming, path);
      case "GET":
      case "HEAD":
        return readRoute(engine, incoming, path, shared);
      case "DELETE":
        if (incoming.url.startsWith("/api/streams/")) return deleteRoute(engine, incoming, path);
        throw notAllowed("DELETE", "GET, HEAD, POST, OPTIONS");
      case "OPTIONS":
        return { status: 204, headers: { allow: streamMethods }, body: "" };
      default:
        throw notAllowed(incoming.method, streamMethods);
    }
  }

  const app = new Hono();
  const answer = async (context: Context, route: (incoming: Incoming) => Promise<Outgoing> | Outgoing) => {
    const incoming = toIncoming(context.req.raw);
    return toResponse(await guarded(incoming, () => route(incoming)), incoming);
  };
  const get = (pattern: string, route: (incoming: Incoming) => Promise<Outgoing> | Outgoing) => {
    app.all(pattern, (context) => answer(context, (incoming) => readOnly(incoming.method, () => route(incoming))));
  };

  get("/healthz", healthRoute);
  get("/readyz", () => readyRoute(engine));
  get("/api/projects", (incoming) => projectsRoute(engine, incoming));
  get("/api/streams", (incoming) => listRoute(engine, incoming));
  for (const prefix of ["/api/state", "/api/__state", "/api/streams/__state"]) {
    get(`${prefix}/*`, (incoming) => stateRoute(engine, incoming, below(incoming.url, prefix)));
  }
  for (const prefix of ["/api/children", "/api/streams/__children"]) {
    get(`${prefix}/*`, (incoming) => childrenRoute(engine, incoming, below(incoming.url, prefix)));
  }
  app.all("*", (context) =>
    answer(context, (incoming) => {
      const path = streamPathOf(incoming.url);
      if (path !== undefined) return streamRoute(incoming, path);
      const document = documentOf(incoming.url);
      if (document !== undefined) return readOnly(incoming.method, () => document);
      throw new StreamError(
        "not_found",
        `There is nothing at ${incoming.url.split("?")[0]?.slice(0, 200)}. Streams are at /api/streams/{path}.`,
        {},
      );
    }),
  );

  return { fetch: async (request) => app.fetch(request), hot };
}

function readOnly(method: string, route: () => Promise<Outgoing> | Outgoing): Promise<Outgoing> | Outgoing {
  if (method === "GET" || method === "HEAD") return route();
  if (method === "OPTIONS") return { status: 204, headers: { allow: "GET, HEAD, OPTIONS" }, body: "" };
  throw notAllowed(method, "GET, HEAD, OPTIONS");
}

/** The page of a built-in type, at the path of the type's own URL. */
function documentOf(url: string): Outgoing | undefined {
  return url.startsWith("/events/stream/") ? contractRoute(below(url, "/events/stream")) : undefined;
}

/** What stands behind a prefix in a URL, still encoded. */
function below(url: string, prefix: string): string {
  return (url.split("?")[0] as string).slice(prefix.length + 1);
}

function notAllowed(method: string, allow: string): StreamError<"method_not_allowed"> {
  return new StreamError("method_not_allowed", `${method} is not possible here; ${allow} are.`, { allow });
}
