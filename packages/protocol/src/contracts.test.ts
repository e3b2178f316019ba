import { describe, expect, test } from "vitest";
import { z } from "zod";
import { builtinPrefix } from "./contract.ts";
import { canonicalType, contractFor, contracts, isUnderPrefix } from "./contracts.ts";
import { defaultLimits } from "./limits.ts";
import { parseEventInput } from "./parse-event.ts";

const server = { serverOnly: true, whilePaused: false };
const ender = { serverOnly: false, whilePaused: true };
const plain = { serverOnly: false, whilePaused: false };

const expected = {
  initialized: server,
  "child-stream-created": server,
  "child-stream-deleted": server,
  "metadata-updated": plain,
  "invalid-event-appended": plain,
  "error-occurred": plain,
  paused: plain,
  resumed: ender,
  "circuit-breaker-configured": ender,
  "append-scheduled": plain,
  "schedule-cancelled": ender,
  "schedule-finished": server,
  "jsonata-transformer-configured": plain,
  "jsonata-transformer-removed": ender,
  "jsonata-transformer-halted": server,
  "jsonata-transformer-resumed": plain,
  "subscription/configured": plain,
  "subscription/removed": ender,
  "subscription/halted": server,
  "subscription/resumed": plain,
  "subscription/event-parked": server,
  "subscription/event-replay-requested": plain,
  "dynamic-worker/configured": ender,
  "dynamic-worker/source-configured": ender,
  "dynamic-worker/env-var-set": plain,
  "dynamic-worker/removed": ender,
  "dynamic-worker/halted": server,
  "dynamic-worker/resumed": plain,
  "webhook-response-configured": plain,
  "html-renderer-configured": plain,
};

const talk = "https://events.iterate.com/";

test("the registry holds every built-in type, and says who may write it when", () => {
  const actual = contracts.map(({ name, serverOnly, whilePaused }) => [name, { serverOnly, whilePaused }]);
  expect(Object.fromEntries(actual)).toEqual(expected);
  expect(contracts).toHaveLength(Object.keys(expected).length);
});

describe.each(contracts.map((contract) => [contract.name, contract] as const))("%s", (name, contract) => {
  test("has an example that is a valid event, unchanged by being read", () => {
    const options = { jsonDepth: defaultLimits.jsonDepth, fromServer: true };
    const before = structuredClone(contract.example);
    const parsed = parseEventInput({ type: contract.type, payload: contract.example }, options);
    expect(parsed).toEqual({ ok: true, event: { type: contract.type, payload: before } });
  });

  test("is strict", () => {
    const payload = { ...(contract.example as object), hogwash: 1 };
    const parsed = parseEventInput({ type: contract.type, payload }, { jsonDepth: 64, fromServer: true });
    expect(parsed).toMatchObject({ ok: false, error: expect.stringContaining("payload.hogwash: unknown key; ") });
  });

  test("is documented", () => {
    expect(contract.type).toBe(builtinPrefix + name);
    expect(contract.summary).toMatch(/^[A-Z].{10,}\.$/);
    expect(contract.documentation).toMatch(/^\S.{40,}\.$/);
    expect(contract.documentation).not.toMatch(/ {2}/);
  });

  test("has a JSON Schema", () => {
    expect(z.toJSONSchema(contract.payload)).toMatchObject({ type: "object", additionalProperties: false });
  });

  test("is found by its type, and by every alias once that is canonical", () => {
    expect(contractFor(contract.type)).toBe(contract);
    expect(canonicalType(contract.type)).toBe(contract.type);
    expect(contract.aliases).toContain(talk + name.replaceAll("/", "-"));
    for (const alias of contract.aliases) expect(canonicalType(alias)).toBe(contract.type);
  });
});

test("no alias is ambiguous", () => {
  const names = contracts.flatMap(({ type, aliases }) => [type, ...aliases]);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test.each([
  ["initialized", "initialized"],
  ["stream-initialized", "initialized"],
  ["stream-metadata-updated", "metadata-updated"],
  ["child-stream-created", "child-stream-created"],
  ["error-occurred", "error-occurred"],
  ["invalid-event-appended", "invalid-event-appended"],
  ["stream-append-scheduled", "append-scheduled"],
  ["schedule-cancelled", "schedule-cancelled"],
  ["jsonata-transformer-configured", "jsonata-transformer-configured"],
  ["html-renderer-configured", "html-renderer-configured"],
  ["stream-subscription-configured", "subscription/configured"],
  ["subscription-configured", "subscription/configured"],
  ["subscription-event-parked", "subscription/event-parked"],
  ["dynamic-worker-configured", "dynamic-worker/configured"],
  ["dynamic-worker-source-configured", "dynamic-worker/source-configured"],
  ["dynamic-worker-env-var-set", "dynamic-worker/env-var-set"],
  ["circuit-breaker-configured", "circuit-breaker-configured"],
  ["stream-paused", "paused"],
  ["stream-resumed", "resumed"],
])(`${talk}%s is %s`, (alias, name) => {
  expect(canonicalType(talk + alias)).toBe(builtinPrefix + name);
});

test.each([
  "",
  "hello-world",
  "stream-paused",
  "dynamic-worker-configured",
  "https://example.com/stream-paused",
  "https://events.iterate.com",
  "https://events.iterate.com/",
  "https://events.iterate.com/manual-event-appended",
  "https://events.iterate.com/stream-paused/",
  "https://events.iterate.com/STREAM-PAUSED",
  "https://events.iterate.com/events/stream/",
  "https://events.iterate.com/events/stream/unheard-of",
  "constructor",
  "https://events.iterate.com/constructor",
])("any other type stays what it is: %j", (type) => {
  expect(canonicalType(type)).toBe(type);
  expect(contractFor(type)).toBeUndefined();
});

test.each([
  ["https://events.iterate.com/events/stream/paused", true],
  ["https://events.iterate.com/events/stream/unheard-of", true],
  ["https://events.iterate.com/events/stream", false],
  ["https://events.iterate.com/stream-paused", false],
  ["paused", false],
])("%s stands under the prefix: %s", (type, under) => {
  expect(isUnderPrefix(type)).toBe(under);
});
