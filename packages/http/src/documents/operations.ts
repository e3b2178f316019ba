/** Every call of the API, as the OpenAPI document tells it. The parameters are those that the routes accept. */
import type { ErrorCode, JsonObject } from "@millrace/protocol";
import {
  appendParameters,
  childrenParameters,
  deleteParameters,
  listParameters,
  logsParameters,
  type Parameter,
  projectsParameters,
  readParameters,
  stateParameters,
} from "../parameters.ts";
import {
  appendBody,
  appended,
  cursorBody,
  jsonAnswer,
  logsAnswer,
  readAnswer,
  secretBody,
  textAnswer,
} from "./bodies.ts";
import { ref } from "./schemas.ts";

export interface Operation {
  method: "get" | "post" | "put" | "delete";
  /** Several where the same is at several addresses; the first is the one to use. */
  paths: readonly string[];
  id: string;
  tag: "events" | "streams" | "logs" | "cursors" | "secrets" | "documents" | "health";
  summary: string;
  query: readonly Parameter[];
  /** Names of header parameters, beside the project. */
  headers: readonly string[];
  body?: JsonObject;
  ok: JsonObject;
  /** Beside those that any request may meet. */
  codes: readonly ErrorCode[];
  /** Whether the project matters. */
  scoped: boolean;
  /** Asks for no token. */
  open: boolean;
}

const appendHeaders = ["idempotency-key", "millrace-cause", "millrace-depth", "millrace-processor"];

export function operations(): Operation[] {
  return [
    {
      ...stream("post", ["/api/streams/{path}", "/{path}"], "append", "Append events"),
      tag: "events",
      query: appendParameters,
      headers: appendHeaders,
      body: appendBody(),
      ok: appended(),
      codes: ["idempotency_conflict", "offset_conflict", "too_large", "stream_paused", "rate_limited"],
    },
    {
      ...stream("get", ["/api/streams/{path}", "/{path}"], "read", "Read events, and follow them live"),
      tag: "events",
      query: readParameters,
      headers: ["last-event-id"],
      ok: readAnswer(),
      codes: ["offset_conflict", "rate_limited"],
    },
    {
      ...stream("delete", ["/api/streams/{path}"], "delete", "Empty a path"),
      query: deleteParameters,
      ok: jsonAnswer("What there was.", ref("Deleted")),
    },
    {
      ...stream("get", ["/api/state/{path}", "/api/__state/{path}", "/api/streams/__state/{path}"], "state", "State"),
      query: stateParameters,
      ok: jsonAnswer("Of the stream, or of one processor.", { oneOf: [ref("StreamState"), ref("ProcessorState")] }),
      codes: ["not_found", "offset_conflict"],
    },
    {
      ...stream("get", ["/api/streams"], "list", "List streams"),
      query: listParameters,
      ok: jsonAnswer("A page, in the order of paths.", ref("StreamList")),
    },
    {
      ...stream("get", ["/api/children/{path}", "/api/streams/__children/{path}"], "children", "List what lies below"),
      query: childrenParameters,
      ok: jsonAnswer("A page, in the order of paths.", ref("ChildList")),
    },
    {
      ...stream("get", ["/api/projects"], "projects", "List projects"),
      query: projectsParameters,
      ok: jsonAnswer("A page, in the order of slugs.", ref("ProjectList")),
    },
    {
      ...stream("get", ["/api/logs"], "logs", "What processors said of late, and what they say from now on"),
      tag: "logs",
      query: logsParameters,
      headers: ["last-line-id"],
      ok: logsAnswer(),
      codes: ["rate_limited"],
    },
    {
      ...cursor("get", "cursor", "How far a remote processor has come, and who holds its cursor"),
      ok: jsonAnswer("The cursor.", ref("CursorAnswer")),
      codes: ["not_found"],
    },
    {
      ...cursor("put", "putCursor", "Move the cursor of a remote processor, or show that its holder is alive"),
      body: cursorBody(),
      ok: jsonAnswer("On disk.", ref("CursorAnswer")),
      codes: ["not_found", "cursor_conflict", "offset_conflict", "too_large", "rate_limited"],
    },
    {
      ...cursor("delete", "deleteCursor", "Delete the cursor of a remote processor, whoever holds it"),
      ok: jsonAnswer("It is gone. Its holder is refused from here on.", ref("CursorDeleted")),
      codes: ["not_found", "rate_limited"],
    },
    {
      ...secret("post", "/api/secrets", "setSecret", "Set a secret, or replace it"),
      body: secretBody(),
      ok: jsonAnswer("On disk. The value is never shown again.", ref("SecretSet")),
      codes: ["too_large", "rate_limited"],
    },
    {
      ...secret("get", "/api/secrets", "listSecrets", "List secrets, without their values"),
      ok: jsonAnswer("All of the project, by name.", ref("SecretList")),
    },
    {
      ...secret("delete", "/api/secrets/{secret}", "removeSecret", "Remove a secret"),
      ok: jsonAnswer("It is gone.", ref("SecretRemoved")),
      codes: ["not_found"],
    },
    document(["/events/stream/{name}"], "contract", "A built-in event type", {
      ...jsonAnswer("Its contract; a page for a browser.", ref("Contract")),
    }),
    document(["/api/docs/events"], "contracts", "All built-in event types", {
      ...jsonAnswer("The index; a page for a browser.", ref("ContractList")),
    }),
    document(["/openapi.json", "/api/openapi.json"], "openapi", "This document", jsonAnswer("OpenAPI 3.1.", {})),
    document(["/api/docs", "/apidocs"], "docs", "This document as a page", textAnswer("The page.", "text/html")),
    health("/healthz", "healthz", "Whether the process answers", jsonAnswer("It does.", ref("Healthy"))),
    health("/readyz", "readyz", "Whether it can do its work", jsonAnswer("It can.", ref("Ready"))),
    {
      ...health("/metrics", "metrics", "Metrics for Prometheus", textAnswer("The text format 0.0.4.", "text/plain")),
      open: false,
    },
  ];
}

type Basics = Omit<Operation, "ok">;

function stream(method: Operation["method"], paths: readonly string[], id: string, summary: string): Basics {
  return { method, paths, id, tag: "streams", summary, query: [], headers: [], codes: [], scoped: true, open: false };
}

function cursor(method: Operation["method"], id: string, summary: string): Basics {
  return { ...stream(method, ["/api/cursors/{slug}/{path}"], id, summary), tag: "cursors" };
}

function secret(method: Operation["method"], path: string, id: string, summary: string): Basics {
  return { ...stream(method, [path], id, summary), tag: "secrets" };
}

function document(paths: readonly string[], id: string, summary: string, ok: JsonObject): Operation {
  const withPages = { ...ok, content: { ...(ok.content as JsonObject), "text/html": { schema: { type: "string" } } } };
  const hasPage = id === "contract" || id === "contracts";
  return {
    ...stream("get", paths, id, summary),
    tag: "documents",
    ok: hasPage ? withPages : ok,
    scoped: false,
    codes: id === "docs" || id === "contract" ? ["not_found"] : [],
  };
}

function health(path: string, id: string, summary: string, ok: JsonObject): Operation {
  return { ...stream("get", [path], id, summary), tag: "health", ok, scoped: false, open: true };
}
