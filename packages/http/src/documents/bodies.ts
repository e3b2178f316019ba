/** What an append takes and what a read gives, in the OpenAPI document, with examples. */
import { contracts, type JsonObject, type JsonValue } from "@millrace/protocol";
import { ref } from "./schemas.ts";

const stored = {
  streamPath: "/me/hello",
  offset: 2,
  type: "hello-world",
  payload: { message: "hi" },
  createdAt: "2026-01-01T00:00:00.000Z",
};
const line = JSON.stringify(stored);

/** Nothing that is sent is lost: whatever is no event is stored as one that holds it, so every body is a good one. */
export function appendBody(): JsonObject {
  const event = { anyOf: [ref("EventInput"), ref("BuiltinEvent")] };
  const batch = { type: "array", minItems: 1, items: {} };
  const none = { type: "array", maxItems: 0 };
  return {
    description:
      "An event, a batch, or anything: what is no event is stored as `invalid-event-appended`. With `?type=` the body is " +
      "the payload, whatever it is.",
    content: {
      "application/json": {
        schema: {
          not: {
            anyOf: [none, { type: "object", required: ["events"], properties: { events: none }, maxProperties: 1 }],
          },
          anyOf: [
            ...event.anyOf,
            { type: "object", required: ["event"], properties: { event }, additionalProperties: false },
            batch,
            { type: "object", required: ["events"], properties: { events: batch }, additionalProperties: false },
            { description: "Anything else is kept as an invalid event." },
          ],
        },
        examples: examples(),
      },
      "application/x-ndjson": { schema: { type: "string" }, example: '{"type":"cup-filled"}\n{"type":"cup-served"}\n' },
      "application/x-www-form-urlencoded": { schema: { type: "object" }, example: { name: "Ada" } },
      "text/plain": { schema: { type: "string" }, example: "just some text" },
    },
  };
}

function examples(): JsonObject {
  const named: [string, string, JsonValue][] = [
    ["event", "One event", { type: "hello-world", payload: { message: "hi" } }],
    ["key", "Safe to send again", { type: "order-placed", payload: { cups: 1 }, idempotencyKey: "order-1" }],
    ["batch", "A batch: all of it or nothing", [{ type: "cup-filled" }, { type: "cup-served" }]],
    ["invalid", "No event: kept all the same", { hogwash: "yes!" }],
  ];
  for (const { name, type, example, serverOnly, planned } of contracts) {
    if (serverOnly || planned) continue;
    named.push([name.replaceAll("/", "."), `Built-in: ${name}`, { type, payload: example }]);
  }
  return Object.fromEntries(named.map(([name, summary, value]) => [name, { summary, value }]));
}

export function appended(): JsonObject {
  return {
    description: "On disk: the stored event, or one for each element of the batch.",
    headers: {
      "idempotent-replay": {
        description: "`true`: the key was known, and nothing was appended.",
        schema: { const: "true" },
      },
    },
    content: {
      "application/json": {
        schema: { oneOf: [ref("Appended"), ref("AppendedBatch")] },
        examples: { event: { value: { event: stored } }, batch: { value: { events: [stored] } } },
      },
    },
  };
}

export function secretBody(): JsonObject {
  const example = { name: "PAYMENTS_TOKEN", value: "not-a-real-one", hosts: ["api.example.com"] };
  return { required: true, content: { "application/json": { schema: ref("SecretInput"), example } } };
}

export function cursorBody(): JsonObject {
  const example = { offset: 2, epoch: "1", runtimeId: "runtime-1", replaces: null };
  return { required: true, content: { "application/json": { schema: ref("CursorInput"), example } } };
}

export function readAnswer(): JsonObject {
  return {
    description: "The events, in the format that was asked for; `text/html` is a page for a browser.",
    headers: {
      "millrace-stream-id": {
        description: "Which life of the path is read, `none` where there is no stream. Not of a subtree.",
        schema: { type: "string" },
      },
    },
    content: {
      "text/event-stream": {
        // No type here and in YAML: whether a schema describes the text or what is in it, tools do not agree on.
        schema: { description: "Frames of `id`, `event` and `data`; the data of a message is an event as JSON." },
        example: `:\nretry: 1000\n\nid: 2\nevent: message\ndata: ${line}\n\n`,
      },
      "application/json": { schema: ref("Page"), example: { events: [stored], next: null } },
      "application/x-ndjson": { schema: { type: "string" }, example: `${line}\n` },
      "application/yaml": {
        schema: { description: "A document for each event." },
        example: "---\nstreamPath: /me/hello\noffset: 2\n",
      },
      "text/html": { schema: { type: "string" } },
    },
  };
}

export function logsAnswer(): JsonObject {
  const said = { level: "info", path: "/me/hello", slug: "greeter", offset: 3, message: "greeted" };
  const example = JSON.stringify({ id: "b2Zm-41", at: "2026-01-01T00:00:00.000Z", ...said });
  return {
    description: "Lines as JSON, oldest first.",
    content: {
      "text/event-stream": {
        schema: { description: "Frames of `id`, `event` and `data`; `event: missed` says how many lines are gone." },
        example: `:\nretry: 1000\n\nid: b2Zm-41\nevent: message\ndata: ${example}\n\n`,
      },
      "application/x-ndjson": { schema: { type: "string" }, example: `${example}\n` },
    },
  };
}

export function jsonAnswer(description: string, schema: JsonObject): JsonObject {
  return { description, content: { "application/json": { schema } } };
}

export function textAnswer(description: string, type: string): JsonObject {
  return { description, content: { [type]: { schema: { type: "string" } } } };
}
