import { describe, expect, test } from "vitest";
import { builtinPrefix } from "./contract.ts";
import { parseEventInput } from "./parse-event.ts";

const options = { jsonDepth: 64 };
const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);

/** The text as it came over the wire, and what became of it: the event, or its error. */
function parse(text: string): unknown {
  const parsed = parseEventInput(JSON.parse(text), options);
  return parsed.ok ? parsed.event : parsed.error;
}

describe("an event", () => {
  test.each([
    ['{"type":"ping"}', { type: "ping", payload: {} }],
    ['{"type":"  ping\\n"}', { type: "ping", payload: {} }],
    ['{"type":"https://example.com/order-placed"}', { type: "https://example.com/order-placed", payload: {} }],
    ['{"type":"ping","payload":{}}', { type: "ping", payload: {} }],
    ['{"type":"ping","payload":null}', { type: "ping", payload: null }],
    ['{"type":"ping","payload":"text"}', { type: "ping", payload: "text" }],
    ['{"type":"ping","payload":0}', { type: "ping", payload: 0 }],
    ['{"type":"ping","payload":false}', { type: "ping", payload: false }],
    ['{"type":"ping","payload":["a",{"b":1}]}', { type: "ping", payload: ["a", { b: 1 }] }],
    ['{"type":"ping","metadata":{}}', { type: "ping", payload: {}, metadata: {} }],
    ['{"type":"ping","metadata":{"a":[1]}}', { type: "ping", payload: {}, metadata: { a: [1] } }],
    ['{"type":"ping","idempotencyKey":" k "}', { type: "ping", payload: {}, idempotencyKey: " k " }],
    ['{"type":"ping","offset":3}', { type: "ping", payload: {}, offset: 3 }],
    ['{"offset":9007199254740991,"type":"ping"}', { type: "ping", payload: {}, offset: 9007199254740991 }],
  ])("%s is accepted", (text, event) => {
    expect(parse(text)).toStrictEqual(event);
  });

  test.each([
    ["null", "expected an object, got null"],
    ["[]", "expected an object, got an array"],
    ['["weird",{"type":"ping"}]', "expected an object, got an array"],
    ['"ping"', "expected an object, got a string"],
    ["1", "expected an object, got a number"],
    ["true", "expected an object, got a boolean"],
    ["{}", "type: expected a string, got nothing"],
    ['{"type":null}', "type: expected a string, got null"],
    ['{"type":1}', "type: expected a string, got a number"],
    ['{"type":["ping"]}', "type: expected a string, got an array"],
    ['{"type":{}}', "type: expected a string, got an object"],
    ['{"type":""}', "type: expected 1 to 2048 characters, got 0"],
    ['{"type":" \\n "}', "type: expected 1 to 2048 characters, got 0"],
    [
      '{"type":"ping","hogwash":1}',
      "hogwash: unknown key; an event has type, payload, metadata, idempotencyKey and off",
    ],
    ['{"hogwash":"yes!"}', "type: expected a string, got nothing; hogwash: unknown key"],
    ['{"event":{"type":"ping"}}', "event: unknown key"],
    ['{"type":"ping","Payload":{}}', "Payload: unknown key"],
    ['{"type":"ping","streamPath":"/a"}', "streamPath: unknown key"],
    ['{"type":"ping","createdAt":"2026-01-01T00:00:00.000Z"}', "createdAt: unknown key"],
    ['{"type":"ping","source":{"kind":"server","depth":0}}', "source: unknown key"],
    ['{"type":"ping","__proto__":{"offset":1}}', "__proto__: unknown key"],
    ['{"type":"ping","constructor":1}', "constructor: unknown key"],
    ['{"type":"ping","":1}', '[""]: unknown key'],
    ['{"type":"ping","a\\nb":1}', '["a\\nb"]: unknown key'],
    ['{"type":"ping","metadata":null}', "metadata: expected an object, got null"],
    ['{"type":"ping","metadata":[]}', "metadata: expected an object, got an array"],
    ['{"type":"ping","metadata":"a"}', "metadata: expected an object, got a string"],
    ['{"type":"ping","idempotencyKey":""}', "idempotencyKey: expected 1 to 255 characters, got 0"],
    ['{"type":"ping","idempotencyKey":1}', "idempotencyKey: expected a string, got a number"],
    ['{"type":"ping","idempotencyKey":null}', "idempotencyKey: expected a string, got null"],
    ['{"type":"ping","offset":0}', "offset: expected a positive integer, got 0"],
    ['{"type":"ping","offset":-1}', "offset: expected a positive integer, got -1"],
    ['{"type":"ping","offset":1.5}', "offset: expected a positive integer, got 1.5"],
    ['{"type":"ping","offset":9007199254740992}', "offset: expected a positive integer"],
    ['{"type":"ping","offset":"3"}', "offset: expected a positive integer, got a string"],
    ['{"type":"ping","offset":"abc"}', "offset: expected a positive integer, got a string"],
    ['{"type":"ping","offset":null}', "offset: expected a positive integer, got null"],
    ['{"type":"ping","payload":{"id":9007199254740993}}', "payload: a number beyond 2^53"],
    ['{"type":"ping","payload":1e400}', "payload: a number beyond 2^53"],
    ['{"type":"ping","metadata":{"id":[12345678901234567890]}}', "metadata: a number beyond 2^53"],
    [`{"type":"https://events.iterate.com/events/stream/unheard-of"}`, "type: the server knows no built-in type"],
    [`{"type":"https://events.iterate.com/events/stream/"}`, "type: the server knows no built-in type"],
  ])("%s is none", (text, error) => {
    expect(parse(text)).toContain(error);
    expect(parse(text)).toMatch(/^.{1,400}$/);
  });

  test("has a type of at most 2048 characters, counted after trimming", () => {
    const type = "t".repeat(2_048);
    expect(parse(JSON.stringify({ type: ` ${type} ` }))).toEqual({ type, payload: {} });
    expect(parse(JSON.stringify({ type: `${type}t` }))).toBe("type: expected 1 to 2048 characters, got 2049");
  });

  test("has an idempotency key of at most 255 characters", () => {
    const idempotencyKey = "k".repeat(255);
    expect(parse(JSON.stringify({ type: "ping", idempotencyKey }))).toMatchObject({ idempotencyKey });
    const tooLong = JSON.stringify({ type: "ping", idempotencyKey: `${idempotencyKey}k` });
    expect(parse(tooLong)).toBe("idempotencyKey: expected 1 to 255 characters, got 256");
  });

  test("has at most 64 levels, itself included", () => {
    expect(parse(`{"type":"ping","payload":${nested(63)}}`)).toMatchObject({ type: "ping" });
    expect(parse(`{"type":"ping","payload":${nested(64)}}`)).toBe("payload: nested deeper than the limit");
    expect(parse(`{"type":"ping","metadata":{"a":${nested(62)}}}`)).toMatchObject({ type: "ping" });
    expect(parse(`{"type":"ping","metadata":{"a":${nested(63)}}}`)).toBe("metadata: nested deeper than the limit");
    expect(parse(`{"type":"ping","payload":${nested(100_000)}}`)).toBe("payload: nested deeper than the limit");
  });

  test("keeps a __proto__ in its payload and metadata, as data", () => {
    const text = '{"type":"ping","payload":{"__proto__":{"admin":true}},"metadata":{"__proto__":1}}';
    expect(JSON.stringify(parse(text))).toBe(text);
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
  });

  test("treats a key that is there but undefined as absent", () => {
    const value = {
      type: "ping",
      payload: undefined,
      metadata: undefined,
      idempotencyKey: undefined,
      offset: undefined,
    };
    expect(parseEventInput(value, options)).toStrictEqual({ ok: true, event: { type: "ping", payload: {} } });
  });

  test("names an unknown key shortly, however long it is", () => {
    expect(parse(JSON.stringify({ type: "ping", ["x".repeat(5_000)]: 1 }))).toMatch(/^\["x{57}\.\.\."\]: unknown key/);
  });
});

describe("a value that is no event keeps its idempotency key", () => {
  test.each([
    ['{"hogwash":1,"idempotencyKey":"k"}', "k"],
    ['{"type":"ping","offset":"abc","idempotencyKey":" k "}', " k "],
    [`{"type":"${builtinPrefix}paused","payload":{"reason":1},"idempotencyKey":"k"}`, "k"],
    ['{"hogwash":1,"idempotencyKey":""}', undefined],
    ['{"hogwash":1,"idempotencyKey":7}', undefined],
    ['{"hogwash":1}', undefined],
    ['["idempotencyKey"]', undefined],
    ['"k"', undefined],
  ])("%s", (text, idempotencyKey) => {
    const parsed = parseEventInput(JSON.parse(text), options);
    expect(parsed.ok).toBe(false);
    expect(parsed).toStrictEqual(
      idempotencyKey === undefined
        ? { ok: false, error: expect.any(String) }
        : { ok: false, error: expect.any(String), idempotencyKey },
    );
  });
});

describe("a built-in type", () => {
  test.each([
    ["https://events.iterate.com/stream-paused", "paused"],
    ["https://events.iterate.com/paused", "paused"],
    [" https://events.iterate.com/stream-paused ", "paused"],
    ["https://events.iterate.com/events/stream/paused", "paused"],
  ])("%j is stored by its canonical name", (type, name) => {
    expect(parse(JSON.stringify({ type }))).toEqual({ type: builtinPrefix + name, payload: {} });
  });

  test("is judged by its contract under every name", () => {
    const text = '{"type":"https://events.iterate.com/stream-paused","payload":{"reason":1}}';
    expect(parse(text)).toBe("payload.reason: expected a string, got a number");
  });

  test.each([
    "initialized",
    "child-stream-created",
    "schedule-finished",
    "subscription/halted",
    "dynamic-worker/halted",
  ])("%s may be written by the server only", (name) => {
    const error = `type: only the server may write ${builtinPrefix}${name}`;
    expect(parse(JSON.stringify({ type: builtinPrefix + name }))).toBe(error);
    expect(parse(JSON.stringify({ type: `https://events.iterate.com/${name.replace("/", "-")}` }))).toBe(error);
  });

  test("passes from the server, but not with a wrong payload", () => {
    const fromServer = { jsonDepth: 64, fromServer: true };
    const event = { type: `${builtinPrefix}child-stream-created`, payload: { childPath: "/a" } };
    expect(parseEventInput(event, fromServer)).toEqual({ ok: true, event });
    expect(parseEventInput({ ...event, payload: { childPath: "a/" } }, fromServer)).toEqual({
      ok: false,
      error: "payload.childPath: expected a canonical stream path, such as /team/inbox",
    });
  });

  test("keeps its payload exactly as it was sent", () => {
    const payload = { slug: " s ", matcher: "true", transform: "$" };
    const parsed = parseEventInput({ type: `${builtinPrefix}jsonata-transformer-configured`, payload }, options);
    expect(parsed.ok && parsed.event.payload).toBe(payload);
  });
});
