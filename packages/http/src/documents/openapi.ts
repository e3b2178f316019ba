/** The OpenAPI 3.1 document: the calls, the parameters that the routes accept, the schemas that validate. */
import {
  contracts,
  type ErrorCode,
  idempotencyKeyCharactersMax,
  type JsonObject,
  pathCharactersMax,
  secretNamePattern,
  segmentCharactersMax,
  slugCharactersMax,
} from "@millrace/protocol";
import { commonParameters, type Parameter, pathPattern, slugPattern } from "../parameters.ts";
import { type Operation, operations } from "./operations.ts";
import { problemResponses } from "./problems.ts";
import { schemas } from "./schemas.ts";

/** What any request may meet. */
const anywhere: readonly ErrorCode[] = [
  "invalid_request",
  "forbidden_host",
  "forbidden_origin",
  "request_timeout",
  "headers_too_large",
  "unavailable",
];

let made: JsonObject | undefined;

/** Made once, when it is first asked for. */
export function openApiDocument(): JsonObject {
  made ??= {
    openapi: "3.1.0",
    info: {
      title: "Millrace",
      version: "0.1.0",
      description:
        "A server for streams of events: append with `POST`, read with `GET`, follow live on the same connection. A " +
        "stream comes into being with its first event. In `{path}` write slashes as `/` or as `%2F`. `HEAD` gives the headers " +
        "of every `GET`.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/", description: "This server" }],
    tags: ["events", "streams", "logs", "cursors", "secrets", "documents", "health"].map((name) => ({ name })),
    security: [{}, { bearer: [] }, { token: [] }],
    paths: paths(),
    components: {
      schemas: schemas(),
      parameters: parameters(),
      headers: headers(),
      securitySchemes: securitySchemes(),
    },
  };
  return made;
}

function paths(): JsonObject {
  const items: Record<string, JsonObject> = {};
  for (const operation of operations()) {
    for (const [index, path] of operation.paths.entries()) {
      items[path] = { ...items[path], [operation.method]: operationObject(operation, path, index) };
    }
  }
  return items;
}

function operationObject(operation: Operation, path: string, index: number): JsonObject {
  const { id, tag, summary, query, headers: sent, body, ok, codes, scoped, open } = operation;
  const inPath = ["slug", "path", "name", "secret"].filter((name) => path.includes(`{${name}}`));
  const named = [...inPath, ...(scoped ? ["x-project-slug"] : []), ...sent];
  const possible = [...anywhere, ...(open ? [] : (["unauthorized"] as const)), ...codes];
  return {
    operationId: index === 0 ? id : `${id}At${index + 1}`,
    summary: index === 0 ? summary : `${summary} (the same at another address)`,
    tags: [tag],
    parameters: [
      ...named.map((name) => ({ $ref: `#/components/parameters/${name}` })),
      ...[...query, ...(scoped ? commonParameters : [])].map(inQuery),
    ],
    ...(body === undefined ? {} : { requestBody: body }),
    responses: { "200": ok, ...problemResponses(possible) },
    ...(open ? { security: [] } : {}),
  };
}

/** The example stands in the schema: beside it, pages would fill it in for whoever only wants to try the call. */
function inQuery({ name, description, schema, example, repeatable }: Parameter): JsonObject {
  const one = example === undefined ? schema : { ...schema, examples: [example] };
  return { name, in: "query", description, schema: repeatable ? { type: "array", items: one } : one };
}

function parameters(): JsonObject {
  const header = (name: string, description: string, schema: JsonObject) => ({
    name,
    in: "header",
    description,
    schema,
  });
  // HTTP takes blanks around a value away.
  const headerText = { type: "string", minLength: 1, pattern: "^[!-~](?:[ -~]*[!-~])?$" };
  const causeSegment = "(?!\\.{1,2}(?:/|%2F|@))[A-Za-z0-9._~@:+=-]{1,100}";
  return {
    path: {
      name: "path",
      in: "path",
      required: true,
      description: "The stream: segments of `A-Z a-z 0-9 . _ ~ @ : + = -`, joined by slashes.",
      schema: { type: "string", maxLength: pathCharactersMax - 1, pattern: pathPattern },
      example: "me/hello",
    },
    slug: {
      name: "slug",
      in: "path",
      required: true,
      description: "The slug of the processor.",
      schema: { type: "string", pattern: `^(?!\\.{1,2}$)[\\s\\S]{1,${slugCharactersMax}}$` },
      example: "greeter",
    },
    name: {
      name: "name",
      in: "path",
      required: true,
      description: "What stands behind the prefix of built-in types.",
      schema: { enum: contracts.map(({ name }) => name) },
      example: "paused",
    },
    secret: {
      name: "secret",
      in: "path",
      required: true,
      description: "The name of the secret.",
      schema: { type: "string", pattern: secretNamePattern.source },
      example: "PAYMENTS_TOKEN",
    },
    "x-project-slug": header("X-Project-Slug", "The project; `public` without it. `X-Iterate-Project` is the same.", {
      type: "string",
      minLength: 1,
      maxLength: segmentCharactersMax,
      pattern: slugPattern,
    }),
    "idempotency-key": header("Idempotency-Key", "The same as the field; on a batch it counts as `<key>/<index>`.", {
      ...headerText,
      maxLength: idempotencyKeyCharactersMax,
    }),
    "millrace-cause": header("Millrace-Cause", "Because of which event: `<url-encoded path>@<offset>`.", {
      type: "string",
      pattern: `^(?:/|%2F)?${causeSegment}(?:(?:/|%2F)${causeSegment})*@[1-9]\\d{0,14}$`,
    }),
    "millrace-depth": header("Millrace-Depth", "The depth of that event.", {
      type: "integer",
      minimum: 0,
      maximum: 999_999_999,
    }),
    "millrace-processor": header("Millrace-Processor", "The slug of the processor that appends, URL-encoded.", {
      ...headerText,
      maxLength: slugCharactersMax,
    }),
    "last-event-id": header("Last-Event-ID", "Resumes behind it; wins over `after` and `afterOffset`.", {
      type: "string",
      pattern: "^(?:\\d{1,15}(?:-\\d{1,9})?)?$",
    }),
    "last-line-id": header(
      "Last-Event-ID",
      "Goes on behind the line of this id. One that is not known counts for nothing.",
      {
        type: "string",
      },
    ),
  };
}

function headers(): JsonObject {
  return {
    "x-request-id": {
      description: "That of the request, or a new one: it stands in the server's log too.",
      schema: { type: "string" },
    },
  };
}

function securitySchemes(): JsonObject {
  return {
    bearer: { type: "http", scheme: "bearer", description: "Where the server was started with `--token-file`." },
    token: { type: "apiKey", in: "query", name: "token", description: "The same, where headers cannot be set." },
  };
}
