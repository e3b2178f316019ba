/** Every code of the closed set: a request on the left, the whole problem document on the right. */
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { type ErrorCode, errorStatus } from "@millrace/protocol";
import { serve } from "millrace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createWorld, type World } from "./world.ts";

/** Nothing answers these yet: they belong to what is planned. */
const planned = ["stream_deleted"] as const;
type Answered = Exclude<ErrorCode, (typeof planned)[number]>;

const titles: Record<Answered, string> = {
  invalid_request: "Invalid request",
  unauthorized: "Unauthorized",
  forbidden_host: "Forbidden host",
  forbidden_origin: "Forbidden origin",
  not_found: "Not found",
  method_not_allowed: "Method not allowed",
  request_timeout: "Request timeout",
  idempotency_conflict: "Idempotency conflict",
  cursor_conflict: "Cursor conflict",
  offset_conflict: "Offset conflict",
  too_large: "Too large",
  stream_paused: "Stream paused",
  rate_limited: "Rate limited",
  headers_too_large: "Headers too large",
  unavailable: "Unavailable",
};

interface Row {
  /** Which of the servers below is asked. */
  of?: "open" | "guarded" | "full" | "crowded" | "stopped";
  target: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  detail: string;
  data?: object;
  /** Beside the content type. */
  answers?: Record<string, string>;
}

const post = (target: string, body: string, headers: Record<string, string> = {}) => ({
  target,
  method: "POST",
  body,
  headers,
});
const put = (target: string, cursor: object) => ({ target, method: "PUT", body: JSON.stringify(cursor) });
const cursor = { offset: 2, epoch: "1", runtimeId: "one", replaces: null };
const holder = { runtimeId: "one", offset: 1, silentMs: 0 };
const held =
  'one holds the cursor "greeter" at 1. Another runtime may replace it when it was not heard for 30 s, and names the offset that it replaces.';
const invalid = (target: string, field: string, detail: string): Row => ({ target, detail, data: { field } });
const allowed = (method: string, target: string, allow: string): Row => ({
  target,
  method,
  detail: `${method} is not possible here; ${allow} are.`,
  data: { allow },
  answers: { allow },
});

const event = '{"type":"a"}';
const scheduled =
  '{"type":"https://events.iterate.com/append-scheduled","payload":{"slug":"s","append":{"type":"a"},"schedule":{"kind":"every","intervalSeconds":1}}}';
const deployed =
  '{"type":"https://events.iterate.com/dynamic-worker-configured","payload":{"slug":"s","script":"export default {}"}}';
const since = "2026-01-01T00:00:00.000Z";
const howToResume = 'Append {"type":"https://events.iterate.com/events/stream/resumed"} to this stream to go on.';
const head2 = (expected: number) => ({ head: 2, expected });

/** What the host alone can refuse, because it never becomes a request, stands below the table. */
const table: Record<Exclude<Answered, "request_timeout" | "headers_too_large">, Row[]> = {
  invalid_request: [
    invalid("/a//b", "path", 'Stream path "/a//b" has an empty segment.'),
    invalid("/api/state/a//b", "path", 'Stream path "a//b" has an empty segment.'),
    invalid(
      "/a?project=no%20good",
      "project",
      'A project slug is 1 to 255 characters of A-Z a-z 0-9 . _ ~ @ : + = -; got "no good".',
    ),
    invalid(
      "/two?tpye=a",
      "tpye",
      'Unknown query parameter "tpye". This route knows afterOffset, beforeOffset, offset, after, limit, order, type, live, includeChildren, format, markers, project.',
    ),
    invalid("/two?limit=0", "limit", 'limit is a whole number from 1; got "0".'),
    invalid(
      "/two?format=json&limit=1001",
      "limit",
      "limit is at most 1000 for a page; ask for the next page with after=<next>.",
    ),
    invalid(
      "/two?afterOffset=x",
      "afterOffset",
      'afterOffset is an offset (a whole number), "start" or "end"; got "x".',
    ),
    invalid("/two?order=up", "order", 'order is "asc" or "desc"; got "up".'),
    invalid("/two?format=xml", "format", 'format is sse, json, ndjson or yaml; got "xml".'),
    invalid("/two?live=yes", "live", 'live is "true" or "false"; got "yes".'),
    invalid("/two?live=true&format=json", "format", "A live read is sse, ndjson or yaml; json is one page."),
    invalid("/two?live=true&order=desc", "order", "A live read is in ascending order."),
    invalid("/two?includeChildren=true&order=desc", "order", "A subtree is read in the order of commits."),
    invalid("/api/state/two?at=1", "at", "at goes with processor=<slug>: whose state is meant?"),
    invalid("/api/streams?limit=0", "limit", 'limit is a whole number from 1 to 1000; got "0".'),
    { ...post("/two", "[]"), detail: "A batch has at least one event; this one is empty.", data: { field: "events" } },
    {
      ...post("/two", event, { "idempotency-key": "k".repeat(256) }),
      detail: "An idempotency key has 1 to 255 characters; this one has 256.",
      data: { field: "Idempotency-Key" },
    },
    {
      ...post("/two", '{"type":"a","idempotencyKey":"b"}', { "idempotency-key": "a" }),
      detail:
        'The header Idempotency-Key ("a") and the field idempotencyKey ("b") differ. Send one, or the same twice.',
      data: { field: "Idempotency-Key" },
    },
    {
      ...post("/two", event, { "millrace-cause": "x" }),
      detail: 'Millrace-Cause is <url-encoded path>@<offset>; got "x".',
      data: { field: "Millrace-Cause" },
    },
    {
      ...post("/two", event, { "millrace-depth": "-1" }),
      detail: 'Millrace-Depth is a whole number from 0; got "-1".',
      data: { field: "Millrace-Depth" },
    },
    {
      ...put("/api/cursors/greeter/two", { ...cursor, offset: "2" }),
      detail: "offset is a whole number from 0.",
      data: { field: "offset" },
    },
    {
      ...put("/api/cursors/greeter/two", { ...cursor, more: 1 }),
      detail: "A cursor has offset, epoch, runtimeId, replaces, interrupted, progress, release, and no other keys.",
      data: { field: "more" },
    },
    invalid("/api/cursors//two", "slug", 'The slug of a cursor has 1 to 255 characters, and is not "." or "..".'),
  ],
  unauthorized: [
    {
      of: "guarded",
      target: "/two",
      headers: { authorization: "Bearer another" },
      detail:
        "This server asks for a token: send it as `Authorization: Bearer <token>`, or as ?token=<token> where headers cannot be set.",
      answers: { "www-authenticate": "Bearer" },
    },
  ],
  forbidden_host: [
    {
      target: "/two",
      headers: { host: "evil.example" },
      detail:
        'This server does not answer to the host "evil.example". Start it with --allow-host evil.example if it should.',
      data: { host: "evil.example" },
    },
  ],
  forbidden_origin: [
    {
      target: "/two",
      headers: { origin: "https://evil.example" },
      detail:
        "Pages of https://evil.example may not use this server. Start it with --cors-origin https://evil.example if they should, or with --allow-forms-from for plain web forms.",
      data: { origin: "https://evil.example" },
    },
  ],
  not_found: [
    { target: "/api/nothing", detail: "There is nothing at /api/nothing. Streams are at /api/streams/{path}." },
    {
      target: "/api/state/nothing",
      detail: "There is no stream at /nothing. It comes into being with its first append.",
    },
    { target: "/api/cursors/another/two", detail: 'There is no cursor "another" at /two.' },
    { target: "/api/cursors/another/two", method: "DELETE", detail: 'There is no cursor "another" at /two.' },
    {
      ...put("/api/cursors/another/nothing", cursor),
      detail: "There is no stream at /nothing. It comes into being with its first append.",
    },
    {
      target: "/api/state/two?processor=x",
      detail:
        'This stream has no processor "x"; it has lifecycle, pause, schedules, subscriptions, processors, sources, environment, transformers, webhook-responses, circuit-breaker.',
    },
  ],
  cursor_conflict: [
    {
      ...put("/api/cursors/greeter/two", { ...cursor, runtimeId: "two", replaces: 1 }),
      detail: held,
      data: { holder },
    },
    { ...put("/api/cursors/greeter/two", cursor), detail: held, data: { holder } },
    {
      ...put("/api/cursors/another/two", { ...cursor, replaces: 1 }),
      detail: 'There is no cursor "another" here: replaces is null then.',
      data: { holder: null },
    },
    {
      ...put("/api/cursors/given-back/two", { ...cursor, runtimeId: "two", replaces: 2 }),
      detail: 'The cursor "given-back" is at 1, where one gave it back: replaces is 1 then.',
      data: { holder },
    },
  ],
  method_not_allowed: [
    allowed("DELETE", "/two", "GET, HEAD, POST, OPTIONS"),
    allowed("PUT", "/api/streams/two", "GET, HEAD, POST, DELETE, OPTIONS"),
    allowed("POST", "/api/cursors/greeter/two", "GET, HEAD, PUT, DELETE, OPTIONS"),
    allowed("POST", "/healthz", "GET, HEAD, OPTIONS"),
  ],
  idempotency_conflict: [
    {
      ...post("/keys", '{"type":"b","idempotencyKey":"order-1"}'),
      detail: 'Idempotency key "order-1" was used for event 2 with other content. Use a new key for new content.',
      data: { idempotencyKey: "order-1", offset: 2 },
    },
    {
      ...post("/keys", '[{"type":"x"},{"type":"b","idempotencyKey":"order-1"}]'),
      detail:
        'Element 1 of the batch: Idempotency key "order-1" was used for event 2 with other content. Use a new key for new content. Nothing of it was appended.',
      data: { idempotencyKey: "order-1", offset: 2, element: 1 },
    },
  ],
  offset_conflict: [
    {
      ...post("/two", '{"type":"a","offset":9}'),
      detail: "Expected offset 9, but this event would get 3: the head is 2.",
      data: head2(9),
    },
    {
      ...post("/two", '[{"type":"a"},{"type":"a","offset":3}]'),
      detail:
        "Element 1 of the batch: Expected offset 3, but this event would get 4: the head is 2. Nothing of it was appended.",
      data: { ...head2(3), element: 1 },
    },
    {
      ...put("/api/cursors/greeter/two", { ...cursor, offset: 3, replaces: 1 }),
      detail: "There is no event 3: the head is 2.",
      data: head2(3),
    },
    { target: "/two?afterOffset=3", detail: "There is no event 3: the head is 2.", data: head2(3) },
    { target: "/api/state/two?processor=pause&at=9", detail: "There is no event 9: the head is 2.", data: head2(9) },
  ],
  too_large: [
    {
      ...post("/two", JSON.stringify({ type: "a", payload: "x".repeat(1_048_576) })),
      detail: "The limit is 1048576 bytes. Send it in several requests.",
      data: { limit: 1_048_576, unit: "bytes" },
    },
    {
      ...post("/two", "x".repeat(8 * 1_048_576 + 1)),
      detail: "The limit is 8388608 bytes. Send it in several requests.",
      data: { limit: 8_388_608, unit: "bytes" },
    },
    {
      ...post("/two", JSON.stringify(Array(1_001).fill({ type: "a" }))),
      detail: "The limit is 1000 events. Send it in several requests.",
      data: { limit: 1_000, unit: "events" },
    },
    {
      ...put("/api/cursors/greeter/two", { ...cursor, progress: { a: "x".repeat(65_536) } }),
      detail: "progress and interrupted have at most 65536 bytes together; these have 65544.",
      data: { limit: 65_536, unit: "bytes" },
    },
  ],
  stream_paused: [
    {
      ...post("/paused", event),
      detail: `The stream is paused since ${since}: lunch. ${howToResume}`,
      data: { reason: "lunch", since, howToResume },
    },
    {
      ...post(
        "/paused",
        '[{"type":"https://events.iterate.com/resumed"},{"type":"https://events.iterate.com/paused"},1]',
      ),
      detail: `Element 2 of the batch: The stream is paused since ${since}. ${howToResume} Nothing of it was appended.`,
      data: { since, howToResume, element: 2 },
    },
  ],
  rate_limited: [
    {
      of: "full",
      ...post("/two", event),
      detail: "More than 0 appends wait for this stream. Slow down and retry.",
      data: { limit: 0, unit: "appends" },
      answers: { "retry-after": "1" },
    },
    {
      of: "full",
      target: "/two",
      detail: "There are 0 readers of this server already. Read in pages, or close some.",
      data: { limit: 0, unit: "readers of this server" },
      answers: { "retry-after": "1" },
    },
    {
      of: "crowded",
      ...post("/two", scheduled),
      detail: "This stream has 0 schedules already. Cancel some.",
      data: { limit: 0, unit: "schedules of this stream" },
      answers: { "retry-after": "1" },
    },
    {
      of: "crowded",
      ...post("/two", deployed),
      detail: "This stream has 0 processors already. Remove some.",
      data: { limit: 0, unit: "processors of this stream" },
      answers: { "retry-after": "1" },
    },
    {
      of: "crowded",
      ...put("/api/cursors/greeter/two", cursor),
      detail: "This stream has 0 cursors already. Use one of them.",
      data: { limit: 0, unit: "cursors of this stream" },
      answers: { "retry-after": "1" },
    },
    {
      of: "full",
      target: "/two?live=true",
      detail: "There are 0 live readers of this stream already. Read in pages, or close some.",
      data: { limit: 0, unit: "live readers of this stream" },
      answers: { "retry-after": "1" },
    },
  ],
  unavailable: [
    {
      of: "stopped",
      ...post("/two", event),
      detail: "The server is stopping.",
      data: { retryAfterSeconds: 1 },
      answers: { "retry-after": "1" },
    },
    {
      of: "stopped",
      target: "/readyz",
      detail: "The server is stopping.",
      data: { retryAfterSeconds: 1, troubles: [{ what: "stopping", message: "The server is stopping." }] },
      answers: { "retry-after": "1" },
    },
  ],
};

function documentOf(code: Answered, detail: string, data: object = {}): string {
  const status = errorStatus[code];
  const document = { type: `urn:millrace:error:${code}`, title: titles[code], status, code, detail, ...data };
  return `${JSON.stringify(document)}\n`;
}

const worlds = {} as Record<NonNullable<Row["of"]>, World>;

beforeAll(async () => {
  worlds.open = createWorld();
  worlds.guarded = createWorld({ access: { token: "of-sixteen-letters" } });
  worlds.full = createWorld({ limits: { waitingAppends: 0, readersPerProcess: 0, readersPerStream: 0 } });
  worlds.crowded = createWorld({ limits: { schedulesPerStream: 0, processorsPerStream: 0, cursorsPerStream: 0 } });
  worlds.stopped = createWorld();
  await worlds.open.append("/two", { type: "a" });
  await worlds.open.append("/keys", { type: "a", idempotencyKey: "order-1" });
  await worlds.open.append("/paused", { type: "https://events.iterate.com/paused", payload: { reason: "lunch" } });
  await worlds.open.engine.putCursor("public", "/two", "greeter", { ...cursor, offset: 1 });
  await worlds.open.engine.putCursor("public", "/two", "given-back", { ...cursor, offset: 1, release: true });
  await worlds.crowded.append("/two", { type: "a" });
  await worlds.stopped.engine.close();
});
afterAll(async () => {
  for (const { engine } of [worlds.open, worlds.guarded, worlds.full, worlds.crowded]) await engine.close();
});

const seen = new Set<string>();

describe.each(Object.entries(table) as [keyof typeof table, Row[]][])("%s", (code, rows) => {
  test.each(rows)(
    "$method $target: $detail",
    async ({ of = "open", target, method, headers, body, detail, data, answers }) => {
      const response = await worlds[of].send(target, {
        method: method ?? "GET",
        headers: headers ?? {},
        ...(body === undefined ? {} : { body }),
      });
      expect(await response.text()).toBe(documentOf(code, detail, data));
      expect(response.status).toBe(errorStatus[code]);
      const { "content-type": type, "x-request-id": requestId, ...further } = Object.fromEntries(response.headers);
      expect(type).toBe("application/problem+json");
      expect(requestId).toBeTruthy();
      expect(further).toEqual(answers ?? {});
      seen.add(code);
    },
  );
});

describe("what the host refuses, because it never became a request", () => {
  const start = () =>
    serve({
      port: 0,
      host: "127.0.0.1",
      data: ":memory:",
      limits: { requestMs: 200, headerBytes: 1_024 },
      onFatal: (message) => expect.fail(message),
    });

  test("request_timeout", async () => {
    const server = await start();
    const request = httpRequest(`${server.url}/two`, { method: "POST", headers: { "content-length": "9" } });
    request.write("{");
    const answer = await new Promise<string>((resolve, reject) => {
      request.on("error", reject).on("response", async (response) => {
        expect(response.statusCode).toBe(408);
        resolve((await response.setEncoding("utf8").toArray()).join(""));
      });
    });
    const detail = "A request has to arrive whole within 0.2 s.";
    expect(answer).toBe(documentOf("request_timeout", detail, { timeoutMs: 200 }));
    seen.add("request_timeout");
    await server.close();
  });

  test.each<[code: Answered, bytes: string, detail: string, data: object]>([
    [
      "headers_too_large",
      `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(2_000)}\r\n\r\n`,
      "The headers of a request have at most 1024 bytes.",
      { limit: 1_024 },
    ],
    [
      "invalid_request",
      "hello\r\n\r\n",
      "This is not an HTTP request that can be understood (Parse Error: Invalid method encountered).",
      {},
    ],
  ])("%s", async (code, bytes, detail, data) => {
    const server = await start();
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1", () => socket.write(bytes));
    const [head, body] = (await socket.setEncoding("utf8").toArray()).join("").split("\r\n\r\n") as [string, string];
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${errorStatus[code]} .*content-type: application/problem\\+json`, "s"));
    expect(body).toBe(documentOf(code, detail, data));
    seen.add(code);
    await server.close();
  });
});

test("that was the whole closed set", () => {
  expect([...seen, ...planned].sort()).toEqual(Object.keys(errorStatus).sort());
});
