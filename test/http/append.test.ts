/** What a POST means: the text that is sent on the left, what is stored on the right. Nothing that is sent is lost. */
import { expect, test } from "vitest";
import {
  append,
  asSent,
  builtin,
  errorOf,
  form,
  freshPath,
  json,
  ndjson,
  post,
  readAll,
  refused,
  storedIn,
} from "./calls.ts";
import { describeEach } from "./servers.ts";

const invalidType = builtin("invalid-event-appended");

const events: [sent: string, stored: object][] = [
  ['{"type":"hello-world"}', { type: "hello-world", payload: {} }],
  ['{"event":{"type":"hello-world"}}', { type: "hello-world", payload: {} }],
  ['\n { "type" : "  hello world\\n" } \n', { type: "hello world", payload: {} }],
  [
    '{"type":"https://example.com/ordered","payload":{"id":7}}',
    { type: "https://example.com/ordered", payload: { id: 7 } },
  ],
  ['{"type":"a","payload":"text"}', { type: "a", payload: "text" }],
  ['{"type":"a","payload":null}', { type: "a", payload: null }],
  ['{"type":"a","payload":[1,[2]]}', { type: "a", payload: [1, [2]] }],
  ['{"type":"a","payload":9007199254740991}', { type: "a", payload: 9007199254740991 }],
  ['{"type":"a","payload":1.5,"metadata":{"by":"me"}}', { type: "a", payload: 1.5, metadata: { by: "me" } }],
  ['{"type":"a","idempotencyKey":"k"}', { type: "a", payload: {}, idempotencyKey: "k" }],
  ['{"type":"a","offset":2}', { type: "a", payload: {} }],
  ['{"type":"a","payload":{"event":{"type":"b"}}}', { type: "a", payload: { event: { type: "b" } } }],
  ['{"type":"ünï \\u0000 \\u2028 \\ud83d\\ude00"}', { type: "ünï \u0000 \u2028 😀", payload: {} }],
  [`{"type":"${"t".repeat(2_048)}"}`, { type: "t".repeat(2_048), payload: {} }],
];

const noEvents: [sent: string, rawInput: unknown, error: string][] = [
  ['{"hogwash":"yes!"}', { hogwash: "yes!" }, "type: expected a string, got nothing; hogwash: unknown key"],
  ['{"type":""}', { type: "" }, "type: expected 1 to 2048 characters, got 0"],
  ['{"type":7}', { type: 7 }, "type: expected a string, got a number"],
  [`{"type":"${"t".repeat(2_049)}"}`, { type: "t".repeat(2_049) }, "type: expected 1 to 2048 characters, got 2049"],
  ['{"type":"a","colour":"red"}', { type: "a", colour: "red" }, "colour: unknown key"],
  ['{"type":"a","metadata":[]}', { type: "a", metadata: [] }, "metadata: expected an object, got an array"],
  ['{"type":"a","idempotencyKey":7}', { type: "a", idempotencyKey: 7 }, "idempotencyKey: expected a string"],
  ['{"type":"a","offset":0}', { type: "a", offset: 0 }, "offset: expected a positive integer, got 0"],
  ['{"type":"a","offset":"2"}', { type: "a", offset: "2" }, "offset: expected a positive integer, got a string"],
  ['{"event":{"type":"a"},"token":"t"}', { event: { type: "a" }, token: "t" }, "type: expected a string, got nothing"],
  ['{"event":null}', null, "expected an object, got null"],
  ['{"event":[{"type":"a"}]}', [{ type: "a" }], "expected an object, got an array"],
  ['{"events":{"type":"a"}}', { events: { type: "a" } }, "type: expected a string, got nothing; events: unknown key"],
  ['"just text"', "just text", "expected an object, got a string"],
  ["7", 7, "expected an object, got a number"],
  ["null", null, "expected an object, got null"],
  ["{}", {}, "type: expected a string, got nothing"],
  ['{"type":"a"', '{"type":"a"', "the body is not JSON"],
  ["hello there", "hello there", "the body is not JSON"],
  ["", "", "the body is empty"],
  ['{"type":"a"}{"type":"b"}', '{"type":"a"}{"type":"b"}', "the body is not JSON"],
  // What JSON cannot hold exactly is kept as the text that was sent.
  ["12345678901234567890", "12345678901234567890", "expected an object, got a number"],
  [
    '{"type":"a","payload":12345678901234567890}',
    '{"type":"a","payload":12345678901234567890}',
    "payload: a number beyond 2^53",
  ],
  ['{"type":"a","payload":{"n":1e400}}', '{"type":"a","payload":{"n":1e400}}', "payload: a number beyond 2^53"],
  ['{"type":"a","metadata":{"n":-1e400}}', '{"type":"a","metadata":{"n":-1e400}}', "metadata: a number beyond 2^53"],
  ['{"type":"a","offset":1e400}', '{"type":"a","offset":1e400}', "offset: expected a positive integer"],
  [nestedEvent(200), nestedEvent(200), "payload: nested deeper than the limit"],
  [nestedEvent(64), nestedEvent(64), "payload: nested deeper than the limit"],
];

/** An event whose payload has this many arrays around nothing. */
function nestedEvent(levels: number): string {
  return `{"type":"deep","payload":${"[".repeat(levels)}${"]".repeat(levels)}}`;
}

describeEach("an append of one event", (server) => {
  test.each(events)("%j", async (sent, stored) => {
    const path = freshPath();
    const response = await post(server(), path, sent, { contentType: json });
    expect(response.headers.get("idempotent-replay")).toBe(null);
    const [event] = await storedIn(response);
    expect(event).toMatchObject({ streamPath: path, offset: 2 });
    expect(event?.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(asSent(event as never)).toEqual(stored);
    expect((await readAll(server(), path))[1]).toEqual(event);
  });

  test.each(noEvents)("%j is kept in an invalid event", async (sent, rawInput, error) => {
    const path = freshPath();
    const [event] = await storedIn(await post(server(), path, sent, { contentType: json }));
    expect(event).toMatchObject({ streamPath: path, offset: 2, type: invalidType });
    expect(event?.payload).toEqual({ rawInput, error: expect.stringContaining(error), contentType: json });
    expect(errorOf(event).indexOf(error)).toBe(0);
    expect((await readAll(server(), path))[1]).toEqual(event);
  });

  test("the content type does not decide what is an event", async () => {
    for (const contentType of [undefined, "text/plain", form, "application/octet-stream", "nonsense"]) {
      const posting = contentType === undefined ? {} : { contentType };
      const [event] = await storedIn(await post(server(), freshPath(), '{"type":"a"}', posting));
      expect(event?.type, contentType).toBe("a");
    }
  });

  test("the first event of a stream is its birth, and names it", async () => {
    const path = freshPath();
    await append(server(), path, { type: "a" });
    const [birth] = await readAll(server(), path);
    expect(asSent(birth as never)).toEqual({
      type: builtin("initialized"),
      payload: { projectSlug: "public", path, streamId: expect.stringMatching(/^[\w-]{8,64}$/) },
    });
  });

  test("63 levels of arrays in a payload are within the limit of 64", async () => {
    const [event] = await storedIn(await post(server(), freshPath(), nestedEvent(63), { contentType: json }));
    expect(event?.type).toBe("deep");
  });

  test("__proto__ is an ordinary key of a payload, and an unknown one of an event", async () => {
    const path = freshPath();
    const payload = '{"__proto__":{"admin":true},"constructor":{"prototype":1}}';
    const kept = await post(server(), path, `{"type":"a","payload":${payload}}`, { contentType: json });
    expect(await kept.text()).toContain(`"payload":${payload}`);
    const refusedKey = '{"type":"a","__proto__":{"admin":true}}';
    const [event] = await storedIn(await post(server(), path, refusedKey, { contentType: json }));
    expect(event).toMatchObject({
      type: invalidType,
      payload: { error: expect.stringMatching(/^__proto__: unknown key/) },
    });
    const read = await server().send(`/api/streams${path}?format=ndjson`);
    expect(await read.text()).toContain(`"rawInput":${refusedKey}`);
  });

  test("a body that is no UTF-8 is kept as base64", async () => {
    const bytes = new Uint8Array([0xff, 0xfe, 0x00, 0x7b, 0xc3, 0x28]);
    const [event] = await storedIn(await post(server(), freshPath(), bytes, { contentType: "application/pdf" }));
    expect(event).toMatchObject({
      type: invalidType,
      payload: { rawInput: Buffer.from(bytes).toString("base64"), contentType: "application/pdf" },
    });
    expect(errorOf(event)).toContain("base64");
  });

  test("plain text, a form and multipart are kept as they came", async () => {
    const boundary = '--b\r\nContent-Disposition: form-data; name="n"\r\n\r\nAda\r\n--b--\r\n';
    for (const [contentType, body] of [
      ["text/plain", "Hello, *world*"],
      [form, "name=Ada&name=Grace&note=a+b%20c"],
      ["multipart/form-data; boundary=b", boundary],
    ] as const) {
      const [event] = await storedIn(await post(server(), freshPath(), body, { contentType }));
      expect(event).toMatchObject({ type: invalidType, payload: { rawInput: body, contentType } });
    }
  });

  test("a Slack envelope, which has an `event` of its own among other keys, is kept whole", async () => {
    const envelope = {
      token: "XXYYZZ",
      team_id: "T123",
      api_app_id: "A123",
      event: { type: "app_mention", user: "U1", text: "<@U0> hi" },
      type: "event_callback",
      event_id: "Ev123",
    };
    const posting = { contentType: json, headers: { "x-slack-signature": "v0=abc", "x-slack-request-timestamp": "1" } };
    const [event] = await storedIn(await post(server(), freshPath(), JSON.stringify(envelope), posting));
    expect(event).toMatchObject({
      type: invalidType,
      payload: { rawInput: envelope },
      metadata: { request: { headers: { "x-slack-signature": "v0=abc", "x-slack-request-timestamp": "1" } } },
    });
  });

  test("an event of more than 1 MiB is refused, whatever it is", async () => {
    const twoMebibytes = "x".repeat(2 * 1024 * 1024);
    for (const body of [
      JSON.stringify({ type: "a", payload: twoMebibytes }),
      twoMebibytes,
      JSON.stringify([{ type: "b" }, { type: "a", payload: twoMebibytes }]),
      `{"type":"b"}\n${JSON.stringify({ type: "a", payload: twoMebibytes })}\n`,
    ]) {
      const path = freshPath();
      const contentType = body.startsWith('{"type":"b"}\n') ? ndjson : json;
      const problem = await refused(await post(server(), path, body, { contentType }), "too_large");
      expect(problem).toMatchObject({ limit: 1_048_576, unit: "bytes" });
      expect(await readAll(server(), path)).toEqual([]);
    }
    const fits = JSON.stringify({ type: "a", payload: "x".repeat(1_048_000) });
    expect(await storedIn(await post(server(), freshPath(), fits, { contentType: json }))).toHaveLength(1);
  });

  test("deployed code may have 6 MiB, alone or in a batch", async () => {
    const script = `export default {};//${"x".repeat(2 * 1024 * 1024)}`;
    const event = JSON.stringify({ type: builtin("dynamic-worker/configured"), payload: { slug: "a", script } });
    for (const [body, contentType] of [
      [event, json],
      [`[${event}]`, json],
      [`${event}\n`, ndjson],
    ] as const) {
      const [stored] = await storedIn(await post(server(), freshPath(), body, { contentType }));
      expect(stored?.type).toBe(builtin("dynamic-worker/configured"));
    }
    const tooLong = event.replace("//", `//${"x".repeat(5 * 1024 * 1024)}`);
    await refused(await post(server(), freshPath(), tooLong, { contentType: json }), "too_large");
  });
});

describeEach("an append of a batch", (server) => {
  const types = (list: { type: string }[]) => list.map(({ type }) => type);

  test.each<[sent: string, contentType: string, stored: string[]]>([
    ['[{"type":"a"},{"type":"b"}]', json, ["a", "b"]],
    ['{"events":[{"type":"a"},{"type":"b"}]}', json, ["a", "b"]],
    ['[{"type":"a"}]', json, ["a"]],
    ['{"type":"a"}\n{"type":"b"}', ndjson, ["a", "b"]],
    ['\n{"type":"a"}\r\n\r\n{"type":"b"}\r\n', "application/x-ndjson; charset=utf-8", ["a", "b"]],
    ['{"type":"a"}\n', "application/jsonl", ["a"]],
    ['[{"type":"a"},{"event":{"type":"b"}}]', json, ["a", invalidType]],
    ['{"type":"a"}\nhogwash\n{"type":"c"}', ndjson, ["a", invalidType, "c"]],
    ['{"type":"a"}\n{"type":"b","payl', ndjson, ["a", invalidType]],
    ["[[]]", json, [invalidType]],
    [`${"[".repeat(200)}${"]".repeat(200)}`, json, [invalidType]],
    ['[1,"two",null,{"type":"d"}]', json, [invalidType, invalidType, invalidType, "d"]],
  ])("%j as %s", async (sent, contentType, stored) => {
    const path = freshPath();
    const response = await post(server(), path, sent, { contentType });
    const text = await response.clone().text();
    expect(text.startsWith('{"events":[')).toBe(true);
    const batch = await storedIn(response);
    expect(types(batch)).toEqual(stored);
    expect(batch.map(({ offset }) => offset)).toEqual(stored.map((_, index) => index + 2));
    expect((await readAll(server(), path)).slice(1)).toEqual(batch);
  });

  test.each<[sent: string, contentType: string]>([
    ["[]", json],
    ['{"events":[]}', json],
    ["", ndjson],
    ["\n \r\n", ndjson],
  ])("%j as %s is empty, and refused", async (sent, contentType) => {
    const path = freshPath();
    const problem = await refused(await post(server(), path, sent, { contentType }), "invalid_request");
    expect(problem.field).toBe("events");
    expect(await readAll(server(), path)).toEqual([]);
  });

  test("a broken 500th event is stored at its place, as it was written", async () => {
    const path = freshPath();
    const texts = Array.from({ length: 1_000 }, (_, index) => `{"type":"n","payload":${index}}`);
    texts[499] = '{"type":"n", "payload": [12345678901234567890, "],{"]}';
    const batch = await storedIn(await post(server(), path, `[${texts.join(" , ")}]`, { contentType: json }));
    expect(batch).toHaveLength(1_000);
    expect(batch[499]).toMatchObject({
      offset: 501,
      type: invalidType,
      payload: { rawInput: texts[499], error: expect.stringMatching(/^payload: a number beyond 2\^53/) },
    });
    expect(batch[498]?.payload).toBe(498);
    expect(batch[999]).toMatchObject({ offset: 1_001, type: "n", payload: 999 });
  });

  test("a batch has at most 1,000 events and 8 MiB", async () => {
    const path = freshPath();
    const many = JSON.stringify(Array.from({ length: 1_001 }, () => ({ type: "a" })));
    const tooMany = await refused(await post(server(), path, many, { contentType: json }), "too_large");
    expect(tooMany).toMatchObject({ limit: 1_000, unit: "events" });
    const nine = JSON.stringify(Array.from({ length: 9 }, () => ({ type: "a", payload: "x".repeat(1_000_000) })));
    const tooLong = await refused(await post(server(), path, nine, { contentType: json }), "too_large");
    expect(tooLong).toMatchObject({ limit: 8 * 1_048_576, unit: "bytes" });
    expect(await readAll(server(), path)).toEqual([]);
    const eight = JSON.stringify(Array.from({ length: 8 }, () => ({ type: "a", payload: "x".repeat(1_000_000) })));
    expect(await storedIn(await post(server(), path, eight, { contentType: json }))).toHaveLength(8);
  });
});
