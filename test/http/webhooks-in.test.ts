/** Webhooks and web forms of others, as they send them: whole in the stream, and checkable from what is stored. */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { StreamEvent } from "@millrace/protocol";
import { expect, test } from "vitest";
import { builtin, form, freshPath, json, post, readAll, storedIn } from "./calls.ts";
import { describeEach } from "./servers.ts";

const secret = "It's a Secret to Everybody";

interface KeptRequest {
  headers?: Record<string, string>;
  raw?: string;
}

/** As somebody would who has nothing but the stored event and the secret. */
function isSigned(event: StreamEvent | undefined): boolean {
  const { headers = {}, raw = "" } = (event?.metadata?.request ?? {}) as KeptRequest;
  const expected = `sha256=${createHmac("sha256", secret).update(raw).digest("hex")}`;
  const given = headers["x-hub-signature-256"] ?? "";
  return given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected));
}

const gitHubHeaders = (body: string | Uint8Array) => ({
  "x-github-event": "issues",
  "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
  "x-hub-signature-256": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`,
  "user-agent": "GitHub-Hookshot/044aadd",
});

describeEach("webhooks and forms of others", (server) => {
  const gitHub = "?type=github-webhook&raw=true";

  test.each<[says: string, body: string, payload: unknown]>([
    ["odd spacing", '{ "action" :\t"opened",\r\n\r\n  "n" : 1.50e1 }\n', { action: "opened", n: 15 }],
    ["unicode and escapes", '{"title":"Zoë \\u2603 ☃ \\/ 🦦","é":"e\u0301"}', { title: "Zoë ☃ ☃ / 🦦", é: "e\u0301" }],
    ["an escaped NUL and line separators", '{"a":"\\u0000\u2028\u2029\\ud83e\\udda6"}', { a: "\0\u2028\u2029🦦" }],
    ["a key twice, of which JSON keeps the last", '{"a":1,"a":2}', { a: 2 }],
    ["a byte order mark", '\uFEFF{"a":1}', '\uFEFF{"a":1}'],
    ["a number that JSON cannot keep", '{"id":12345678901234567890}', '{"id":12345678901234567890}'],
    ["an envelope that looks like ours", '{"event":{"type":"a"}}', { event: { type: "a" } }],
    ["a list", '[{"type":"a"},{"type":"b"}]', [{ type: "a" }, { type: "b" }]],
  ])("GitHub, %s: its signature can be checked from the stored event alone", async (_says, body, payload) => {
    const bytes = new TextEncoder().encode(body);
    const path = freshPath();
    const headers = gitHubHeaders(bytes);
    await storedIn(await post(server(), path, bytes, { contentType: json, headers, query: gitHub }));
    const [, event] = await readAll(server(), path);
    expect(event).toMatchObject({ type: "github-webhook", payload });
    expect(isSigned(event)).toBe(true);
    expect(event?.metadata?.request).toMatchObject({
      contentType: json,
      userAgent: "GitHub-Hookshot/044aadd",
      headers: { "x-github-event": "issues", "x-github-delivery": headers["x-github-delivery"] },
    });
  });

  test("GitHub, sent as a form: the signature is over the form", async () => {
    const body = `payload=${encodeURIComponent('{"action":"opened","title":"Zoë + 1"}')}`;
    const path = freshPath();
    await post(server(), path, body, { contentType: form, headers: gitHubHeaders(body), query: gitHub });
    const [, event] = await readAll(server(), path);
    expect(event?.payload).toEqual({ payload: '{"action":"opened","title":"Zoë + 1"}' });
    expect(isSigned(event)).toBe(true);
  });

  test("a body that somebody changed on the way is found out", async () => {
    const path = freshPath();
    const headers = gitHubHeaders('{"a":1}');
    await post(server(), path, '{"a": 1}', { contentType: json, headers, query: gitHub });
    const [, event] = await readAll(server(), path);
    expect(event?.payload).toEqual({ a: 1 });
    expect(isSigned(event)).toBe(false);
  });

  test("the signature can be checked of a body that is no event and has no ?type=, too", async () => {
    const body = '{ "zen" : "Zoë ☃" }';
    const path = freshPath();
    await post(server(), path, body, { contentType: json, headers: gitHubHeaders(body), query: "?raw=true" });
    const [, event] = await readAll(server(), path);
    expect(event).toMatchObject({
      type: builtin("invalid-event-appended"),
      payload: { rawInput: { zen: "Zoë ☃" } },
    });
    expect(isSigned(event)).toBe(true);
  });

  const slackEvents = [
    {
      says: "an event",
      body: {
        token: "z26uFbvR1xHJEdHE1OQiO6t8",
        team_id: "T123ABC456",
        type: "event_callback",
        event: { type: "reaction_added", user: "U123ABC456", item: { type: "message", ts: "1464196127.000002" } },
        event_id: "Ev123ABC456",
        event_time: 1234567890,
      },
    },
    { says: "no more than its event", body: { token: "z26uFbvR1xHJEdHE1OQiO6t8", event: { type: "reaction_added" } } },
  ];
  test.each(slackEvents)(
    "Slack, $says: the envelope is stored whole, and its event is not unwrapped",
    async ({ body }) => {
      const path = freshPath();
      const headers = { "x-slack-signature": "v0=a2114d57", "x-slack-request-timestamp": "1531420618" };
      await storedIn(await post(server(), path, JSON.stringify(body), { contentType: json, headers }));
      const [, event, ...more] = await readAll(server(), path);
      expect(event).toMatchObject({
        type: builtin("invalid-event-appended"),
        payload: { rawInput: body, contentType: json },
        metadata: { request: { contentType: json, headers } },
      });
      expect(more).toEqual([]);
    },
  );

  test("Slack, with ?type=: the envelope is the payload", async () => {
    const body = slackEvents[0]?.body;
    const posting = { contentType: json, query: "?type=slack-event" };
    const [event] = await storedIn(await post(server(), freshPath(), JSON.stringify(body), posting));
    expect(event).toMatchObject({ type: "slack-event", payload: slackEvents[0]?.body });
  });

  test("Slack's challenge is kept", async () => {
    const body = { token: "Jhj5dZrVaK7ZwHHjRyZWjbDl", challenge: "3eZbrw1aBm2rZgRNFdxV", type: "url_verification" };
    const [event] = await storedIn(await post(server(), freshPath(), JSON.stringify(body), { contentType: json }));
    expect(event).toMatchObject({ type: builtin("invalid-event-appended"), payload: { rawInput: body } });
  });

  const urlencoded = "name=Zo%C3%AB+%26+Co&color=green&color=blue&note=a%0D%0Ab&empty=&type=hello";
  // As a browser makes one: Node's parser looks for it also inside of lines, where a short one is easily found.
  const boundary = "----WebKitFormBoundaryAbCdEf0123456789";
  const multipart = [
    `--${boundary}\r\nContent-Disposition: form-data; name="name"\r\n\r\nZoë & Co\r\n`,
    `--${boundary}\r\nContent-Disposition: form-data; name="type"\r\n\r\nhello\r\n`,
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="ä.txt"\r\nContent-Type: text/plain\r\n\r\na\r\nb\r\n`,
    `--${boundary}--\r\n`,
  ].join("");
  const forms = [
    {
      says: "urlencoded",
      contentType: form,
      body: urlencoded,
      payload: { name: "Zoë & Co", color: ["green", "blue"], note: "a\r\nb", empty: "", type: "hello" },
    },
    {
      says: "multipart",
      contentType: `multipart/form-data; boundary=${boundary}`,
      body: multipart,
      payload: {
        name: "Zoë & Co",
        type: "hello",
        file: {
          filename: "ä.txt",
          contentType: "text/plain",
          base64: Buffer.from("a\r\nb").toString("base64"),
        },
      },
    },
  ];

  test.each(forms)("a web form, $says, without ?type=: its text, whole", async ({ contentType, body }) => {
    const path = freshPath();
    await storedIn(await post(server(), path, body, { contentType }));
    const [, event, ...more] = await readAll(server(), path);
    expect(event).toMatchObject({
      type: builtin("invalid-event-appended"),
      payload: { rawInput: body, contentType },
      metadata: { request: { contentType } },
    });
    expect(more).toEqual([]);
  });

  test.each(forms)("a web form, $says, with ?type=: its fields, and with raw its text", async (each) => {
    const { contentType, body, payload } = each;
    const posting = { contentType, query: "?type=form-sent&raw=true" };
    const [event] = await storedIn(await post(server(), freshPath(), body, posting));
    expect(event).toMatchObject({ type: "form-sent", metadata: { request: { contentType, raw: body } } });
    expect(event?.payload).toEqual(payload);
  });
});
