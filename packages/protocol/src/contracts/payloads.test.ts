import { expect, test } from "vitest";
import { builtinPrefix } from "../contract.ts";
import { parseEventInput } from "../parse-event.ts";

const slug = "s";
const halt = { slug, offset: 3, message: "It failed." };
const about = { kind: "processor", slug, offset: 3 };
const chain = [
  { streamPath: "/a", offset: 3 },
  { streamPath: "/a/b", offset: 1 },
];

/** As the server writes them; who may write which is in contracts.test.ts. */
function judge(name: string, payload: unknown): string {
  const options = { jsonDepth: 64, fromServer: true };
  const parsed = parseEventInput({ type: builtinPrefix + name, payload }, options);
  return parsed.ok ? "accepted" : parsed.error;
}

test.each([
  ["initialized", { projectSlug: "public", path: "/", streamId: "x" }],
  ["child-stream-deleted", { childPath: "/a/b", head: 1 }],
  ["metadata-updated", { metadata: {} }],
  ["metadata-updated", { metadata: { a: [null, { b: 1 }] } }],
  ["invalid-event-appended", { rawInput: null, error: "e" }],
  ["invalid-event-appended", { rawInput: "text", error: "e", contentType: "text/plain" }],
  ["invalid-event-appended", { rawInput: [1, { a: [] }], error: "e" }],
  ["error-occurred", { message: "m" }],
  ["error-occurred", { message: "m", about, error: null }],
  ["error-occurred", { message: "m", error: { stack: ["a"] } }],
  ["paused", {}],
  ["paused", undefined],
  ["paused", { reason: "" }],
  ["paused", { reason: "r", cause: { kind: "person" } }],
  ["paused", { cause: { kind: "rate", limit: 100, observed: 100.5 } }],
  ["paused", { cause: { kind: "depth", limit: 10_000, chain } }],
  ["paused", { cause: { kind: "budget", chain: [] } }],
  ["resumed", {}],
  ["resumed", { reason: "r" }],
  ["circuit-breaker-configured", { burstCapacity: 0, refillRatePerMinute: 0.5 }],
  ["circuit-breaker-configured", { burstCapacity: 500, refillRatePerMinute: 500, maxDepth: 1 }],
  ["schedule-cancelled", { slug }],
  ["schedule-finished", { slug, outcome: "failed" }],
  ["jsonata-transformer-removed", { slug }],
  ["jsonata-transformer-resumed", { slug }],
  ["subscription/removed", { slug }],
  ["subscription/resumed", { slug }],
  ["subscription/resumed", { slug, from: "cursor" }],
  ["subscription/resumed", { slug, from: "head" }],
  ["subscription/resumed", { slug, from: 0 }],
  ["subscription/halted", halt],
  ["subscription/halted", { ...halt, attempts: 15, howToResume: "Append subscription/resumed." }],
  ["subscription/event-parked", halt],
  ["subscription/event-parked", { ...halt, status: 413, attempts: 3 }],
  ["dynamic-worker/resumed", { slug, from: 7 }],
  ["dynamic-worker/removed", { slug }],
  ["dynamic-worker/env-var-set", { key: "KEY", value: "" }],
  ["webhook-response-configured", { slug, matcher: "true", response: "payload.challenge" }],
  ["html-renderer-configured", { slug, matcher: "true", template: "<p></p>" }],
])("%s accepts %j", (name, payload) => {
  expect(judge(name, payload)).toBe("accepted");
});

test.each([
  ["initialized", { path: "/", streamId: "x" }, "payload.projectSlug: is missing; expected a string"],
  ["initialized", { projectSlug: "p", path: "a", streamId: "x" }, "payload.path: expected a canonical stream path"],
  ["child-stream-created", {}, "payload.childPath: is missing; expected a string"],
  ["child-stream-deleted", { childPath: "/a", head: 0 }, "payload.head: expected an offset, which is 1 or more"],
  ["child-stream-deleted", { childPath: "/a", head: 1.5 }, "payload.head: expected an integer, got a fraction"],
  ["metadata-updated", {}, "payload.metadata: is missing; expected an object"],
  ["metadata-updated", { metadata: [] }, "payload.metadata: expected an object, got an array"],
  ["metadata-updated", { metadata: null }, "payload.metadata: expected an object, got null"],
  ["metadata-updated", { title: "t" }, "payload.metadata: is missing"],
  ["invalid-event-appended", { error: "e" }, "payload.rawInput: is missing"],
  ["invalid-event-appended", { rawInput: 1 }, "payload.error: is missing; expected a string"],
  ["invalid-event-appended", { rawInput: 1, error: "" }, "payload.error: expected some text"],
  ["error-occurred", {}, "payload.message: is missing; expected a string"],
  ["error-occurred", { message: " " }, "payload.message: expected some text"],
  ["error-occurred", { message: "m", about: { slug } }, "payload.about.kind: is missing"],
  ["error-occurred", { message: "m", about: { ...about, offset: 0 } }, "payload.about.offset: expected an offset"],
  ["error-occurred", { message: "m", about: { ...about, a: 1 } }, "payload.about.a: unknown key"],
  ["paused", { reason: 1 }, "payload.reason: expected a string, got a number"],
  ["paused", { why: "w" }, "payload.why: unknown key; paused has reason, cause"],
  ["paused", "reason", "payload: expected an object, got a string"],
  ["paused", { cause: {} }, 'payload.cause.kind: is missing; expected one of "rate", "depth", "budget", "person"'],
  ["paused", { cause: { kind: "mood" } }, 'payload.cause.kind: expected one of "rate", "depth", "budget", "person"'],
  ["paused", { cause: { kind: "rate", limit: "1" } }, "payload.cause.limit: expected a number, got a string"],
  ["paused", { cause: { kind: "rate", slug } }, "payload.cause.slug: unknown key"],
  [
    "paused",
    { cause: { kind: "depth", chain: [chain[0], { streamPath: "b", offset: 1 }] } },
    "payload.cause.chain[1].streamPath: expected a canonical stream path",
  ],
  ["resumed", { cause: { kind: "person" } }, "payload.cause: unknown key; resumed has reason"],
  ["circuit-breaker-configured", {}, "payload.burstCapacity: is missing; expected a number"],
  ["circuit-breaker-configured", { burstCapacity: -1, refillRatePerMinute: 1 }, "payload.burstCapacity: expected 0"],
  [
    "circuit-breaker-configured",
    { burstCapacity: 1.5, refillRatePerMinute: 1 },
    "payload.burstCapacity: expected an int",
  ],
  [
    "circuit-breaker-configured",
    { burstCapacity: 1, refillRatePerMinute: 0 },
    "refillRatePerMinute: expected a number ab",
  ],
  [
    "circuit-breaker-configured",
    { burstCapacity: 1, refillRatePerMinute: 1, maxDepth: 0 },
    "payload.maxDepth: expected",
  ],
  ["schedule-cancelled", {}, "payload.slug: is missing; expected a string"],
  ["schedule-cancelled", { slug: "" }, "payload.slug: expected 1 to 255 characters"],
  ["schedule-cancelled", { slug: "s".repeat(256) }, "payload.slug: expected 1 to 255 characters"],
  ["schedule-finished", { slug, outcome: "done" }, 'payload.outcome: expected one of "succeeded", "failed", "skipped"'],
  ["jsonata-transformer-configured", { slug, matcher: "type =", transform: "$" }, "payload.matcher: expected JSONata"],
  ["jsonata-transformer-configured", { slug, matcher: "true" }, "payload.transform: is missing; expected a string"],
  ["jsonata-transformer-removed", { slug, from: 1 }, "payload.from: unknown key; jsonata-transformer-removed has slug"],
  [
    "subscription/resumed",
    { slug, from: "start" },
    'payload.from: expected "cursor", "head" or the offset after which',
  ],
  ["subscription/resumed", { slug, from: -1 }, 'payload.from: expected "cursor", "head" or the offset'],
  ["subscription/halted", { slug, offset: 1 }, "payload.message: is missing"],
  ["subscription/halted", { ...halt, attempts: 0 }, "payload.attempts: expected 1 or more"],
  ["subscription/event-parked", { ...halt, status: 42 }, "payload.status: expected an HTTP status"],
  ["dynamic-worker/env-var-set", { key: "", value: "" }, "payload.key: expected 1 to 255 characters"],
  ["dynamic-worker/env-var-set", { key: "K" }, "payload.value: is missing; expected a string"],
  [
    "webhook-response-configured",
    { slug, matcher: "(", response: "1" },
    "payload.matcher: expected JSONata that compiles",
  ],
  [
    "webhook-response-configured",
    { slug, matcher: "1", response: ")" },
    "payload.response: expected JSONata that compil",
  ],
  [
    "html-renderer-configured",
    { slug, matcher: "[", template: "t" },
    "payload.matcher: expected JSONata that compiles",
  ],
  ["html-renderer-configured", { slug, matcher: "1", template: "" }, "payload.template: expected some text"],
])("%s refuses %j: %s", (name, payload, error) => {
  expect(judge(name, payload)).toContain(error);
});
