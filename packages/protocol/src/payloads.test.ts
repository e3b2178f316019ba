/**
 * The types of built-in payloads agree with the schemas. The compiler holds each sample to its type (`whole` has every
 * key that the type knows, `least` only those it asks for), the tests hold it to its schema.
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { contractFor, contracts } from "./contracts.ts";
import type { JsonObject, JsonValue } from "./json.ts";
import { payloadSchema } from "./json-schema.ts";
import type { BuiltinEvent, BuiltinPayloads, BuiltinPayloadsByName } from "./payloads.ts";

type Name = keyof BuiltinPayloadsByName;
type Whole<T> = JsonValue extends T
  ? T
  : T extends (infer Item)[]
    ? Whole<Item>[]
    : T extends object
      ? string extends keyof T
        ? T
        : { [Key in keyof T]-?: Whole<T[Key]> }
      : T;
type Least<T> = { [Key in keyof T as Record<never, never> extends Pick<T, Key> ? never : Key]: T[Key] };
type Samples<T> = { least: Least<T>; whole: [Whole<T>, ...T[]] };

const slug = "s";
const removal: Samples<{ slug: string }> = { least: { slug }, whole: [{ slug }] };
const halt: Samples<BuiltinPayloadsByName["subscription/halted"]> = {
  least: { slug, offset: 7, message: "m" },
  whole: [{ slug, offset: 7, message: "m", attempts: 3, howToResume: "h", startedBy: 3 }],
};
const resumption: Samples<BuiltinPayloadsByName["subscription/resumed"]> = {
  least: { slug },
  whole: [
    { slug, from: "cursor" },
    { slug, from: "head" },
    { slug, from: 7 },
  ],
};

const samples: { [Each in Name]: Samples<BuiltinPayloadsByName[Each]> } = {
  initialized: {
    least: { projectSlug: "p", path: "/a", streamId: "i" },
    whole: [{ projectSlug: "p", path: "/a", streamId: "i" }],
  },
  "child-stream-created": {
    least: { childPath: "/a" },
    whole: [{ childPath: "/a", createdBy: { streamPath: "/b", offset: 1 } }],
  },
  "child-stream-deleted": { least: { childPath: "/a", head: 2 }, whole: [{ childPath: "/a", head: 2 }] },
  "metadata-updated": { least: { metadata: {} }, whole: [{ metadata: { a: [null, 1, "x", true] } }] },
  "invalid-event-appended": {
    least: { rawInput: null, error: "e" },
    whole: [{ rawInput: "x", error: "e", contentType: "text/plain" }],
  },
  "error-occurred": {
    least: { message: "m" },
    whole: [{ message: "m", about: { kind: "processor", slug, offset: 1 }, error: { name: "E" } }],
  },
  paused: {
    least: {},
    whole: [
      {
        reason: "r",
        cause: { kind: "rate", chain: [{ streamPath: "/a", offset: 1 }], limit: 100, observed: 101 },
      },
      { cause: { kind: "depth" } },
      { cause: { kind: "budget" } },
      { cause: { kind: "person" } },
    ],
  },
  resumed: { least: {}, whole: [{ reason: "r" }] },
  "circuit-breaker-configured": {
    least: { burstCapacity: 0, refillRatePerMinute: 1 },
    whole: [{ burstCapacity: 0, refillRatePerMinute: 1, maxDepth: 1 }],
  },
  "append-scheduled": {
    least: { slug, append: { type: "t" }, schedule: { kind: "every", intervalSeconds: 5 } },
    whole: [
      {
        slug,
        append: { type: "t", payload: 1, metadata: { a: 1 } },
        schedule: { kind: "cron", cron: "@daily", timezone: "Europe/Berlin" },
        missed: "skip",
      },
      { slug, append: { type: "t" }, schedule: { kind: "once-in", delaySeconds: 5 }, missed: "fire-once" },
      { slug, append: { type: "t" }, schedule: { kind: "once-at", at: "2026-11-21T04:28:34Z" } },
      { slug, append: { type: "t" }, schedule: { kind: "every", intervalSeconds: 5 } },
    ],
  },
  "schedule-cancelled": removal,
  "schedule-finished": {
    least: { slug, outcome: "failed" },
    whole: [
      { slug, outcome: "succeeded" },
      { slug, outcome: "failed" },
      { slug, outcome: "skipped" },
    ],
  },
  "jsonata-transformer-configured": {
    least: { slug, matcher: "true", transform: "{}" },
    whole: [{ slug, matcher: "true", transform: "{}" }],
  },
  "jsonata-transformer-removed": removal,
  "jsonata-transformer-halted": halt,
  "jsonata-transformer-resumed": resumption,
  "subscription/configured": {
    least: { slug, type: "webhook" },
    whole: [
      {
        slug,
        type: "webhook",
        callbackUrl: "https://example.com",
        path: "/a",
        jsonataFilter: "true",
        jsonataTransform: "$",
        headers: { "x-a": "b" },
        signingSecret: "{{secret:NAME}}",
        timeoutSeconds: 5,
        startFrom: "start",
      },
      { slug, type: "websocket", startFrom: "end" },
      { slug, type: "stream", startFrom: 7 },
    ],
  },
  "subscription/removed": { least: { slug }, whole: [{ slug, reason: "r" }] },
  "subscription/halted": halt,
  "subscription/resumed": resumption,
  "subscription/event-parked": {
    least: { slug, offset: 1, message: "m" },
    whole: [{ slug, offset: 1, status: 422, message: "m", attempts: 3 }],
  },
  "subscription/event-replay-requested": { least: { slug, offset: 1 }, whole: [{ slug, offset: 1 }] },
  "dynamic-worker/configured": {
    least: { slug },
    whole: [
      {
        slug,
        script: "export default {}",
        modules: { "a.ts": "" },
        main: "a.ts",
        env: { A: "b" },
        startFrom: "start",
        includeChildren: true,
        limits: { cpuMs: 1, memoryMb: 16, timeoutMs: 1 },
        compatibilityDate: "2026-02-05",
        compatibilityFlags: ["f"],
        outboundGateway: {
          entrypoint: "DynamicWorkerEgressGateway",
          props: { secretHeaderName: "a", secretHeaderValue: "b" },
        },
      },
      { slug, startFrom: "end" },
      { slug, startFrom: 7 },
    ],
  },
  "dynamic-worker/source-configured": {
    least: { slug, files: { "processor.ts": "" } },
    whole: [
      {
        slug,
        files: { "a.ts": "export default {}" },
        packageJson: { dependencies: { nanoid: "^5.0.0" } },
        main: "a.ts",
        env: { A: "b" },
        startFrom: "start",
        includeChildren: true,
        limits: { cpuMs: 1, memoryMb: 16, timeoutMs: 1 },
        compatibilityDate: "2026-02-05",
        compatibilityFlags: ["f"],
        outboundGateway: {
          entrypoint: "DynamicWorkerEgressGateway",
          props: { secretHeaderName: "a", secretHeaderValue: "b" },
        },
      },
      { slug, files: { "a.ts": "" }, startFrom: "end" },
      { slug, files: { "a.ts": "" }, startFrom: 7 },
    ],
  },
  "dynamic-worker/env-var-set": { least: { key: "A", value: "b" }, whole: [{ key: "A", value: "b" }] },
  "dynamic-worker/removed": removal,
  "dynamic-worker/halted": {
    least: halt.least,
    whole: [{ ...halt.whole[0], configuration: { streamPath: "/a", offset: 2 } }],
  },
  "dynamic-worker/resumed": resumption,
  "webhook-response-configured": {
    least: { slug, matcher: "true", response: "1" },
    whole: [{ slug, matcher: "true", response: "1" }],
  },
  "html-renderer-configured": {
    least: { slug, matcher: "true", template: "t" },
    whole: [{ slug, matcher: "true", template: "t" }],
  },
};

test("every built-in type has a payload type", () => {
  expect(Object.keys(samples)).toEqual(contracts.map(({ name }) => name));
});

describe.each(contracts.map((contract) => [contract.name, contract] as const))("%s", (name, contract) => {
  const { least, whole } = samples[name as Name];
  const schema = payloadSchema(contract);
  const validate = new Ajv2020({ formats: { "date-time": true, date: true } }).compile(schema);

  test("the schema knows everything that the type knows", () => {
    for (const sample of [least, ...whole, contract.example]) {
      expect(validate(sample), JSON.stringify(validate.errors)).toBe(true);
    }
  });

  test("the type knows everything that the schema knows", () => {
    const { names, values } = toldBy(schema);
    const text = JSON.stringify(whole);
    for (const key of names) expect(text).toContain(`"${key}":`);
    for (const value of values) expect(text).toContain(JSON.stringify(value));
  });

  test("both ask for the same keys", () => {
    expect(Object.keys(least)).toEqual(schema.required ?? []);
  });
});

/** All names of properties in a schema, and all values that it lists. */
function toldBy(schema: JsonValue): { names: string[]; values: JsonValue[] } {
  if (typeof schema !== "object" || schema === null) return { names: [], values: [] };
  const { properties = {}, enum: listed = [], const: only } = schema as { [key: string]: JsonValue };
  const below = Object.values(schema as JsonObject).map(toldBy);
  return {
    names: [...Object.keys(properties as JsonObject), ...below.flatMap(({ names }) => names)],
    values: [
      ...(listed as JsonValue[]),
      ...(only === undefined ? [] : [only]),
      ...below.flatMap(({ values }) => values),
    ],
  };
}

test("a payload is known where the type of its event was looked at", () => {
  const type = "https://events.iterate.com/events/stream/paused";
  const payload: BuiltinPayloads[typeof type] = { reason: "lunch" };
  const event: BuiltinEvent = { streamPath: "/a", offset: 2, type, payload, createdAt: "2026-11-21T04:28:34.282Z" };
  const reasonOf = (builtin: BuiltinEvent): string | undefined => {
    switch (builtin.type) {
      case type:
        return builtin.payload.reason;
      case "https://events.iterate.com/events/stream/child-stream-deleted":
        return `${builtin.payload.childPath} at ${builtin.payload.head.toFixed()}`;
      default:
        return undefined;
    }
  };
  expect(reasonOf(event)).toBe("lunch");
  expect(contractFor(event.type)?.payload.safeParse(event.payload).success).toBe(true);
});
