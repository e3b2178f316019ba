/** What is sent and answered, as JSON Schema: the envelope, the built-in events, and the answers of the API. */
import {
  contracts,
  cursorEpochCharactersMax,
  defaultLimits,
  idempotencyKeyCharactersMax,
  type JsonObject,
  payloadSchema,
  runtimeIdPattern,
  secretDescriptionCharactersMax,
  secretHostCharactersMax,
  secretHostsMax,
  secretNamePattern,
  typeCharactersMax,
} from "@millrace/protocol";
import { problemSchemas } from "./problems.ts";

const text: JsonObject = { type: "string" };
const time: JsonObject = { type: "string", format: "date-time" };
const flag: JsonObject = { type: "boolean" };
const offset: JsonObject = { type: "integer", minimum: 1 };
const head: JsonObject = { type: "integer", minimum: 0 };
const next: JsonObject = { type: ["string", "null"], description: "Of the next page; null at the end." };

export function ref(name: string): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

export function object(properties: JsonObject, optional: readonly string[] = []): JsonObject {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", required, properties };
}

export function list(items: JsonObject): JsonObject {
  return { type: "array", items };
}

export function schemas(): JsonObject {
  return {
    ...envelope(),
    CursorInput: cursorInput(),
    SecretInput: secretInput(),
    ...answers(),
    ...builtins(),
    ...problemSchemas(),
  };
}

function envelope(): JsonObject {
  const type = { type: "string", minLength: 1, maxLength: typeCharactersMax, pattern: "\\S" };
  const payload = { description: "Any JSON value; `{}` when it is left out. Strict for built-in types." };
  const metadata = { type: "object" };
  const idempotencyKey = { type: "string", minLength: 1, maxLength: idempotencyKeyCharactersMax };
  const sent = object({ type, payload, metadata, idempotencyKey, offset }, [
    "payload",
    "metadata",
    "idempotencyKey",
    "offset",
  ]);
  const cause = object({ streamPath: text, offset });
  const kind = { enum: ["processor", "schedule", "transformer", "subscription", "server", "remote"] };
  return {
    EventInput: { ...sent, additionalProperties: false, description: "What a client sends." },
    BuiltinEvent: {
      description: "A built-in event that a client may send: its payload is strict.",
      anyOf: contracts.filter(({ serverOnly }) => !serverOnly).map(({ name }) => ref(eventName(name))),
    },
    EventSource: {
      ...object({ kind, slug: text, cause, depth: head }, ["slug", "cause"]),
      description: "Who wrote it.",
    },
    Event: {
      ...object(
        {
          streamPath: text,
          offset,
          type,
          payload,
          metadata,
          idempotencyKey,
          createdAt: time,
          source: ref("EventSource"),
        },
        ["metadata", "idempotencyKey", "source"],
      ),
      description: "What is stored.",
    },
  };
}

const kept: JsonObject = {
  offset: { ...head, description: "It has acted on everything up to here." },
  epoch: { type: "string", minLength: 1, maxLength: cursorEpochCharactersMax },
  runtimeId: { type: "string", pattern: runtimeIdPattern.source },
  interrupted: { description: "What had begun when it was last heard." },
  progress: { type: "object", description: "Whatever else it needs to go on." },
};

function cursorInput(): JsonObject {
  const replaces = {
    type: ["integer", "null"],
    minimum: 0,
    description: "The offset that is stored now; null for none.",
  };
  const release = { type: "boolean", description: "It is given back with this: any runtime may take it at once." };
  const sent = object({ ...kept, replaces, release }, ["interrupted", "progress", "release"]);
  return { ...sent, additionalProperties: false, description: "How far a remote processor has come." };
}

function secretInput(): JsonObject {
  const host = {
    type: "string",
    maxLength: secretHostCharactersMax,
    pattern: "^(?:https?://)?(?:\\*\\.)?[^/\\\\?#@\\s*]+$",
    description:
      "`api.example.com`, `*.example.com`, `api.example.com:8443`, or with `http://` where clear text will do.",
  };
  const sent = object(
    {
      name: { type: "string", pattern: secretNamePattern.source },
      value: { type: "string", minLength: 1, maxLength: defaultLimits.secretBytes },
      hosts: { type: "array", items: host, minItems: 1, maxItems: secretHostsMax },
      description: { type: "string", maxLength: secretDescriptionCharactersMax },
    },
    ["description"],
  );
  return { ...sent, additionalProperties: false, description: "A value, and where it may be sent." };
}

/** Component schemas `event.<name>`, with dots for slashes: a built-in type with its payload. */
function builtins(): JsonObject {
  return Object.fromEntries(
    contracts.map((contract) => {
      const { type, name, summary, planned, serverOnly, example } = contract;
      const notes = `${planned ? " Planned: nothing acts on it yet." : ""}${serverOnly ? " Only the server writes it." : ""}`;
      const schema = {
        ...object({ type: { const: type }, payload: payloadSchema(contract) }),
        description: summary + notes,
      };
      return [eventName(name), { ...schema, examples: [{ type, payload: example }] }];
    }),
  );
}

function eventName(name: string): string {
  return `event.${name.replaceAll("/", ".")}`;
}

function answers(): JsonObject {
  const streamList = list(ref("StreamSummary"));
  const pause = object({ offset, since: time, reason: text, cause: {} }, ["reason", "cause"]);
  const halted = object({ offset: head, message: text, at: head });
  const consumer = object(
    {
      kind: text,
      cursor: head,
      lag: head,
      lastError: text,
      nextAttemptAt: time,
      halted,
      inheritedFrom: text,
      work: list(text),
    },
    ["lastError", "nextAttemptAt", "halted", "inheritedFrom", "work"],
  );
  const schedule = object(
    {
      schedule: { type: "object" },
      missed: { enum: ["fire-once", "skip"] },
      offset,
      nextAt: time,
      lastAt: time,
      ticks: head,
    },
    ["nextAt", "lastAt"],
  );
  const deleted = list(object({ path: text, head: offset }));
  const secret = object({ name: text, hosts: list(text), description: text, createdAt: time, updatedAt: time }, [
    "description",
  ]);
  const released = { const: true, description: "Its holder gave it back: nobody holds it." };
  const cursor = object({ slug: text, path: text, ...kept, released, updatedAt: time, silentMs: head }, [
    "interrupted",
    "progress",
    "released",
  ]);
  const brief = { type: text, summary: text, planned: flag };
  return {
    Appended: object({ event: ref("Event") }),
    AppendedBatch: object({ events: list(ref("Event")) }),
    Page: object({ events: list(ref("Event")), next }),
    StreamSummary: object({ path: text, head: offset, createdAt: time, lastEventAt: time, paused: flag }),
    StreamList: object({ streams: streamList, next }),
    ChildList: object({ children: streamList, next }),
    ProjectList: object({ projects: list(object({ slug: text })), next }),
    Deleted: object({ deleted, count: head }),
    StreamState: object(
      {
        projectSlug: text,
        path: text,
        streamId: text,
        head: offset,
        createdAt: time,
        lastEventAt: time,
        paused: flag,
        pause,
        metadata: { type: "object" },
        consumers: { type: "object", additionalProperties: consumer },
        schedules: { type: "object", additionalProperties: schedule },
      },
      ["pause", "schedules"],
    ),
    ProcessorState: object({ state: {}, offset: head, version: text }),
    Contract: object({
      ...brief,
      documentation: text,
      example: object({ type: text, payload: {} }),
      aliases: list(text),
      serverOnly: flag,
      whilePaused: flag,
      payload: { type: "object", description: "JSON Schema of the payload." },
    }),
    ContractList: object({ events: list(object({ ...brief, path: text })) }),
    CursorAnswer: object({ cursor }),
    CursorDeleted: object({ deleted: { const: true }, slug: text, path: text }),
    Secret: secret,
    SecretSet: object({ secret: ref("Secret") }),
    SecretList: object({ secrets: list(ref("Secret")) }),
    SecretRemoved: object({ deleted: { const: true }, name: text }),
    Healthy: object({ status: { const: "ok" } }),
    Ready: object(
      {
        status: { const: "ready" },
        openStreams: head,
        readers: head,
        sandbox: object({ holds: text, missing: list(text) }),
      },
      ["sandbox"],
    ),
  };
}
