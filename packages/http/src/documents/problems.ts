/** Refusals in the OpenAPI document: a schema for every code, and the answers of a status. Typed by `ErrorData`. */
import { type ErrorCode, type ErrorData, errorStatus, type JsonObject } from "@millrace/protocol";
import { titleOf } from "../problem.ts";

interface Optional {
  optional: JsonObject;
}

/** What each code carries beside its message: TypeScript sees to it that this says what `ErrorData` says. */
type Fields = {
  [Code in ErrorCode]: {
    [Name in keyof ErrorData[Code]]-?: undefined extends ErrorData[Code][Name] ? Optional : JsonObject;
  };
};

const text: JsonObject = { type: "string" };
const count: JsonObject = { type: "integer", minimum: 0 };
const element: Optional = { optional: { ...count, description: "The place in a batch." } };
const trouble: JsonObject = {
  type: "object",
  required: ["what", "message"],
  properties: {
    what: { enum: ["stopping", "commit", "read"] },
    since: { type: "string", format: "date-time" },
    message: text,
  },
};

const fields: Fields = {
  invalid_request: { field: { optional: text } },
  unauthorized: {},
  forbidden_host: { host: text },
  forbidden_origin: { origin: text },
  not_found: {},
  method_not_allowed: { allow: text },
  request_timeout: { timeoutMs: count },
  idempotency_conflict: { idempotencyKey: text, offset: count, element },
  cursor_conflict: {
    holder: {
      type: ["object", "null"],
      required: ["runtimeId", "offset", "silentMs"],
      properties: { runtimeId: text, offset: count, silentMs: count },
      description: "Null where there is no cursor.",
    },
  },
  stream_deleted: { head: count },
  offset_conflict: { head: count, expected: { optional: count }, element },
  too_large: { limit: count, unit: text },
  stream_paused: {
    reason: { optional: text },
    since: { type: "string", format: "date-time" },
    howToResume: text,
    element,
  },
  rate_limited: { limit: count, unit: text },
  headers_too_large: { limit: count },
  unavailable: {
    retryAfterSeconds: count,
    troubles: { optional: { type: "array", items: trouble, description: "What is wrong; at `/readyz`." } },
  },
};

export const codes: readonly ErrorCode[] = Object.keys(errorStatus) as ErrorCode[];

/** Component schemas: `problem.<code>`. */
export function problemSchemas(): JsonObject {
  return Object.fromEntries(codes.map((code) => [`problem.${code}`, problemSchema(code)]));
}

function problemSchema(code: ErrorCode): JsonObject {
  const own = Object.entries<JsonObject | Optional>(fields[code]);
  const isOptional = (field: JsonObject | Optional): field is Optional => "optional" in field;
  const required = own.filter(([, field]) => !isOptional(field)).map(([name]) => name);
  return {
    type: "object",
    description: `Status ${errorStatus[code]}. What it means and what to do: PROTOCOL.md, section 5.`,
    required: ["type", "title", "status", "code", "detail", ...required],
    properties: {
      type: { const: `urn:millrace:error:${code}` },
      title: { const: titleOf(code) },
      status: { const: errorStatus[code] },
      code: { const: code },
      detail: { type: "string", description: "What was expected, what came, what to do. For people." },
      ...Object.fromEntries(own.map(([name, field]) => [name, isOptional(field) ? field.optional : field])),
    },
  };
}

/** The answers that refuse, by status. */
export function problemResponses(possible: readonly ErrorCode[]): JsonObject {
  const responses: JsonObject = {};
  for (const code of possible) {
    const status = errorStatus[code];
    const same = possible.filter((other) => errorStatus[other] === status);
    const schemas = same.map((other) => ({ $ref: `#/components/schemas/problem.${other}` }));
    responses[String(status)] = {
      description: same.map((other) => `\`${other}\``).join(" or "),
      headers: { "x-request-id": { $ref: "#/components/headers/x-request-id" } },
      content: {
        "application/problem+json": { schema: schemas.length === 1 ? (schemas[0] as JsonObject) : { oneOf: schemas } },
      },
    };
  }
  return responses;
}
