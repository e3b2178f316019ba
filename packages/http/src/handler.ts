/**
 * The engine behind a fetch handler. `fetch` answers every request of any host (Hono routes it); `hot` answers what
 * concerns a stream straight from a plain request, for hosts that can spare themselves building a `Request`: on the
 * append route that and the framework cost as much as the append itself, and a `Request` would resolve the dots of
 * `/a/../b`, which is not a path, into another stream.
 */
import type { Engine, Secrets } from "@millrace/engine";
import { type ErrorCode, errorStatus, StreamError } from "@millrace/protocol";
import { type Context, Hono } from "hono";
import { childrenRoute, deleteRoute, listRoute, projectsRoute, stateRoute } from "./api-routes.ts";
import { appendRoute } from "./append-route.ts";
import { cursorRoute } from "./cursor-routes.ts";
import type { Assets } from "./documents/docs-page.ts";
import { documentRoutes } from "./documents/document-routes.ts";
import { eventRoute } from "./documents/event-pages.ts";
import { type Incoming, type Outgoing, toIncoming, toResponse } from "./exchange.ts";
import { type AccessOptions, corsHeaders, createGuard } from "./guard.ts";
import { healthRoute, readyRoute } from "./health-routes.ts";
import { logsRoute } from "./logs-route.ts";
import type { Metric } from "./metrics/exposition.ts";
import { metricsRoute, type RequestMeter } from "./metrics/metrics-route.ts";
import { isRefusal, problem, toRefusal } from "./problem.ts";
import { readRoute, type SharedFrames } from "./read-route.ts";
import { notAllowed } from "./refusals.ts";
import { requestIdOf } from "./request-id.ts";
import { namedSecretRoute, secretsRoute } from "./secret-routes.ts";
import { documentedTypeOf, streamPathOf } from "./target.ts";

export interface HandlerOptions {
  engine: Engine;
  access?: AccessOptions;
  /** Without it there are no routes of secrets. */
  secrets?: Secrets;
  /** The files of `swagger-ui-dist`; without them there are no interactive documents. */
  assets?: Assets;
  /** What the host knows of the process, for `/metrics`. */
  metrics?(): readonly Metric[];
  /** Hears of faults that are ours: an answer went out as 503, this is why. */
  onFault?(error: unknown, request?: RequestNote): void;
  /** Hears of every refusal. */
  onRefusal?(refusal: StreamError, request: RequestNote): void;
}

/** What a log line says of a request. The query is not in it: it may hold a token. */
export interface RequestNote {
  requestId: string;
  method: string;
  path: string;
}

export interface Handler {
  fetch(request: Request): Promise<Response>;
  /** Undefined when the URL is no stream: then `fetch` answers it. */
  hot(incoming: Incoming): Promise<Outgoing> | undefined;
  /** The answer to what the host itself has to refuse, because it never became a request. */
  refuse(error: StreamError): Outgoing;
}

/** Deleting is not for an agent's public URL. */
function streamMethods(url: string): string {
  return url.startsWith("/api/streams/") ? "GET, HEAD, POST, DELETE, OPTIONS" : "GET, HEAD, POST, OPTIONS";
}

export function createHandler(options: HandlerOptions): Handler {
  const { engine, secrets, access = {}, onFault = () => {}, onRefusal = () => {} } = options;
  const shared: SharedFrames = new WeakMap();
  const meter: RequestMeter = { requests: 0, refused: noRefusals() };
  const checkAccess = createGuard(access);

  async function guarded(incoming: Incoming, route: () => Promise<Outgoing> | Outgoing): Promise<Outgoing> {
    let outgoing: Outgoing;
    meter.requests++;
    try {
      checkAccess(incoming);
      outgoing = await route();
    } catch (error) {
      outgoing = refused(error, incoming);
    }
    const cors = corsHeaders(incoming, access);
    if (cors !== undefined) addHeaders(outgoing, cors);
    return outgoing;
  }

  function refused(error: unknown, incoming: Incoming): Outgoing {
    const requestId = requestIdOf(incoming);
    const note = { requestId, method: incoming.method, path: pathOf(incoming.url) };
    const refusal = toRefusal(error);
    meter.refused[refusal.code]++;
    if (isRefusal(error)) onRefusal(refusal, note);
    else onFault(error, note);
    const outgoing = problem(refusal);
    outgoing.headers["x-request-id"] = requestId;
    return outgoing;
  }

  function hot(incoming: Incoming): Promise<Outgoing> | undefined {
    const path = streamPathOf(incoming.url);
    if (path === undefined) return undefined;
    return guarded(incoming, () => streamRoute(incoming, path));
  }

  /** Every URL that is a stream, whatever the method. */
  function streamRoute(incoming: Incoming, path: string): Promise<Outgoing> | Outgoing {
    const allow = streamMethods(incoming.url);
    switch (incoming.method) {
      case "POST":
        return appendRoute(engine, incoming, path);
      case "GET":
      case "HEAD":
        return readRoute(engine, incoming, path, shared);
      case "DELETE":
        if (allow.includes("DELETE")) return deleteRoute(engine, incoming, path);
        throw notAllowed("DELETE", allow);
      case "OPTIONS":
        return { status: 204, headers: { allow }, body: "" };
      default:
        throw notAllowed(incoming.method, allow);
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

  for (const [path, route] of Object.entries(documentRoutes(options.assets))) get(path, route);
  get("/metrics", () => metricsRoute(engine, meter, options.metrics?.() ?? []));
  get("/healthz", healthRoute);
  get("/readyz", () => readyRoute(engine));
  get("/api/projects", (incoming) => projectsRoute(engine, incoming));
  get("/api/logs", (incoming) => logsRoute(engine, incoming));
  get("/api/streams", (incoming) => listRoute(engine, incoming));
  for (const prefix of ["/api/state", "/api/__state", "/api/streams/__state"]) {
    get(`${prefix}/*`, (incoming) => stateRoute(engine, incoming, below(incoming.url, prefix)));
  }
  for (const prefix of ["/api/children", "/api/streams/__children"]) {
    get(`${prefix}/*`, (incoming) => childrenRoute(engine, incoming, below(incoming.url, prefix)));
  }
  app.all("/api/cursors/*", (context) =>
    answer(context, (incoming) => cursorRoute(engine, incoming, below(incoming.url, "/api/cursors"))),
  );
  if (secrets !== undefined) {
    app.all("/api/secrets", (context) =>
      answer(context, (incoming) => secretsRoute(secrets, incoming, engine.limits.batchBytes)),
    );
    app.all("/api/secrets/*", (context) =>
      answer(context, (incoming) => namedSecretRoute(secrets, incoming, below(incoming.url, "/api/secrets"))),
    );
  }
  app.all("*", (context) =>
    answer(context, (incoming) => {
      const path = streamPathOf(incoming.url);
      if (path !== undefined) return streamRoute(incoming, path);
      const contract = documentedTypeOf(pathOf(incoming.url));
      if (contract !== undefined) return readOnly(incoming.method, () => eventRoute(incoming, contract));
      throw new StreamError(
        "not_found",
        `There is nothing at ${pathOf(incoming.url).slice(0, 200)}. Streams are at /api/streams/{path}.`,
        {},
      );
    }),
  );

  return {
    fetch: async (request) => app.fetch(request),
    hot,
    refuse(error) {
      meter.requests++;
      meter.refused[error.code]++;
      return problem(error);
    },
  };
}

function readOnly(method: string, route: () => Promise<Outgoing> | Outgoing): Promise<Outgoing> | Outgoing {
  if (method === "GET" || method === "HEAD") return route();
  if (method === "OPTIONS") return { status: 204, headers: { allow: "GET, HEAD, OPTIONS" }, body: "" };
  throw notAllowed(method, "GET, HEAD, OPTIONS");
}

function addHeaders(outgoing: Outgoing, more: Record<string, string>): void {
  const { vary } = outgoing.headers;
  Object.assign(outgoing.headers, more);
  if (vary !== undefined) outgoing.headers.vary = `${vary}, ${more.vary}`;
}

function noRefusals(): Record<ErrorCode, number> {
  return Object.fromEntries(Object.keys(errorStatus).map((code) => [code, 0])) as Record<ErrorCode, number>;
}

function pathOf(url: string): string {
  return url.split("?")[0] as string;
}

/** What stands behind a prefix in a URL, still encoded. */
function below(url: string, prefix: string): string {
  return pathOf(url).slice(prefix.length + 1);
}
