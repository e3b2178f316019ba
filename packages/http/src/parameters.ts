/**
 * What may stand in a query, for each route: the routes refuse what is not listed here, and the OpenAPI document lists
 * it, so neither can know a parameter that the other does not.
 */
import { type JsonObject, pathCharactersMax, segmentCharactersMax, slugCharactersMax } from "@millrace/protocol";
import { invalidRequest } from "./refusals.ts";

export interface Parameter {
  name: string;
  description: string;
  /** JSON Schema of one value. */
  schema: JsonObject;
  example?: string | number | boolean;
  repeatable?: boolean;
}

/** The most that a page of a list has. */
export const listMax = 1_000;
/** The most digits of an `at`. */
export const atDigitsMax = 15;

const segment = `(?!\\.{1,2}(?:/|$))[A-Za-z0-9._~@:+=-]{1,${segmentCharactersMax}}`;
/** A path in a URL, behind the slash of what is before it. */
export const pathPattern: string = `^${segment}(?:/${segment})*/?$`;
/** The same in a query, where it may have that slash, or be the root. */
const anyPathPattern = `^/?$|^/?${pathPattern.slice(1)}`;
/** A project slug. */
export const slugPattern = "^(?!\\.{1,2}$)[A-Za-z0-9._~@:+=-]+$";

const offset: JsonObject = {
  anyOf: [{ type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER }, { enum: ["start", "end"] }],
};
const cursor: Parameter = { name: "cursor", description: "The `next` of the page before.", schema: { type: "string" } };
const limit: Parameter = {
  name: "limit",
  description: `At most so many entries; ${listMax} without it.`,
  schema: { type: "integer", minimum: 1, maximum: listMax },
  example: 100,
};

/** Every route takes these. */
export const commonParameters: readonly Parameter[] = [
  {
    name: "project",
    description: "The project, where no header can be set; `X-Project-Slug` wins. `public` without either.",
    schema: { type: "string", minLength: 1, maxLength: segmentCharactersMax, pattern: slugPattern },
    example: "public",
  },
];
/** Documented as a security scheme. */
const tokenName = "token";

export const readParameters: readonly Parameter[] = [
  {
    name: "afterOffset",
    description: "Exclusive: an offset, `start` (default) or `end`. Beyond the head: 412.",
    schema: offset,
    example: "start",
  },
  {
    name: "beforeOffset",
    description: "Exclusive: an offset, `start`, or `end` (default: no bound).",
    schema: offset,
    example: "end",
  },
  { name: "offset", description: "The same as `afterOffset`, which wins.", schema: offset, example: 0 },
  {
    name: "after",
    description: "The `next` of a page, or of a subtree the id of its last event. Wins over `afterOffset`.",
    schema: { type: "string", pattern: "^(\\d{1,16}|[1-9]\\d{0,14}-[1-9]\\d{0,8})$" },
    example: "0",
  },
  {
    name: "limit",
    description: "At most so many events; for `json` at most 1,000, which is also its default.",
    schema: { type: "integer", minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
    example: 100,
  },
  {
    name: "order",
    description: "`desc` is newest first; not with `live` and not with `includeChildren`.",
    schema: { enum: ["asc", "desc"], default: "asc" },
    example: "desc",
  },
  {
    name: "type",
    description: "Only these types. `*` matches any characters.",
    schema: { type: "string" },
    example: "hello-*",
    repeatable: true,
  },
  flag("live", "Go on with what is appended from now on. Not with `json`."),
  flag("includeChildren", "The stream and everything below it, in the order of commits."),
  {
    name: "format",
    description: "Wins over `Accept`.",
    schema: { enum: ["sse", "json", "ndjson", "yaml"] },
    example: "json",
  },
  flag("markers", "In a live SSE read, say where history ends with `event: caught-up`."),
];

export const stateParameters: readonly Parameter[] = [
  {
    name: "processor",
    description: "The folded state of one built-in instead.",
    schema: { enum: ["lifecycle", "pause", "circuit-breaker"] },
    example: "lifecycle",
  },
  {
    name: "at",
    description: "With `processor`: its state at this offset.",
    schema: { type: "integer", minimum: 0, maximum: 10 ** atDigitsMax - 1 },
    example: 1,
  },
];

export const listParameters: readonly Parameter[] = [
  {
    name: "prefix",
    description: "This path and everything below it, by whole segments.",
    schema: { type: "string", maxLength: pathCharactersMax, pattern: anyPathPattern, default: "/" },
    example: "/team",
  },
  cursor,
  limit,
];

/** What a line of the log of processors is called. */
export const lineIdPattern = "^[A-Za-z0-9_-]{1,64}-\\d{1,15}$";

export const logsParameters: readonly Parameter[] = [
  {
    name: "path",
    description: "What was said on this stream and everything below it.",
    schema: { type: "string", maxLength: pathCharactersMax, pattern: anyPathPattern, default: "/" },
    example: "/team",
  },
  {
    name: "slug",
    description: "Only of the processor with this slug.",
    schema: { type: "string", minLength: 1, maxLength: slugCharactersMax },
    example: "greeter",
  },
  {
    name: "level",
    description: "This one and what is more important.",
    schema: { enum: ["debug", "info", "warn", "error"], default: "debug" },
    example: "warn",
  },
  flag("live", "Go on with what is said from now on."),
  {
    name: "after",
    description: "The `id` of a line: go on behind it, if this server still knows it.",
    schema: { type: "string", pattern: lineIdPattern },
    example: "b2Zm-41",
  },
  {
    name: "limit",
    description: "At most so many lines, the oldest first.",
    schema: { type: "integer", minimum: 1, maximum: 999_999_999 },
    example: 100,
  },
  { name: "format", description: "Wins over `Accept`.", schema: { enum: ["sse", "ndjson"] }, example: "ndjson" },
];

export const childrenParameters: readonly Parameter[] = [
  flag("deep", "Everything below, not only the next segment."),
  cursor,
  limit,
];

export const projectsParameters: readonly Parameter[] = [cursor, limit];

export const deleteParameters: readonly Parameter[] = [
  flag("children", "Everything below the path too."),
  flag("destroyChildren", "The same as `children`."),
];

/** Only a POST takes any others: they go to `metadata.request`. */
export const appendParameters: readonly Parameter[] = [
  {
    name: "type",
    description: "Takes any body as the payload of one event of this type.",
    schema: { type: "string", minLength: 1 },
  },
  flag("raw", "Where the server wraps the body: keep its text in `metadata.request.raw` too. Only `true` counts."),
];

/** @throws StreamError `invalid_request` for what this route does not know: a misspelt filter must not read everything */
export function allow(query: URLSearchParams, parameters: readonly Parameter[]): void {
  for (const name of query.keys()) {
    if (isKnown(name, parameters) || isKnown(name, commonParameters) || name === tokenName) continue;
    const known = [...parameters, ...commonParameters].map((parameter) => parameter.name).join(", ");
    throw invalidRequest(`Unknown query parameter "${name.slice(0, 100)}". This route knows ${known}.`, name);
  }
}

/** @throws StreamError `invalid_request` for what is neither true nor false */
export function isTrue(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  if (value === null || value === "false" || value === "0") return false;
  if (value === "true" || value === "1") return true;
  throw invalidRequest(`${name} is "true" or "false"; got "${value.slice(0, 100)}".`, name);
}

function isKnown(name: string, parameters: readonly Parameter[]): boolean {
  return parameters.some((parameter) => parameter.name === name);
}

function flag(name: string, description: string): Parameter {
  return { name, description, schema: { enum: [true, false, 1, 0], default: false }, example: false };
}
