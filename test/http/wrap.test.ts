/** `?type=`: a third party's webhook or a web form becomes the payload of an event, with what was around it. */
import { expect, test } from "vitest";
import { asSent, builtin, form, freshPath, json, ndjson, post, readAll, storedIn } from "./calls.ts";
import { describeEach } from "./servers.ts";

const multipart = [
  "--b\r\n",
  'Content-Disposition: form-data; name="title"\r\n\r\nHällo\r\n--b\r\n',
  'Content-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\n',
  new Uint8Array([0x89, 0x50, 0xff, 0x00]),
  "\r\n--b--\r\n",
].map((part) => (typeof part === "string" ? Buffer.from(part) : part));

describeEach("?type= wraps a body", (server) => {
  test.each<[sent: string, contentType: string, payload: unknown]>([
    ['{"id":1,"type":"charge.succeeded"}', json, { id: 1, type: "charge.succeeded" }],
    ['{"type":"a","payload":1}', json, { type: "a", payload: 1 }],
    ["[1,2]", json, [1, 2]],
    ["null", json, null],
    ["hello", "text/plain", "hello"],
    ["", "text/plain", ""],
    ["a=1&b=two+words&b=3&c=%C3%A4", form, { a: "1", b: ["two words", "3"], c: "ä" }],
    ["a=1", "Application/X-WWW-Form-Urlencoded; charset=utf-8", { a: "1" }],
    [
      '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n',
      "Multipart/Form-Data; boundary=b",
      { a: "1" },
    ],
    ["__proto__=x&a=1", form, JSON.parse('{"__proto__":"x","a":"1"}')],
    ["{not json", json, "{not json"],
    ['{"type":"a"}\n{"type":"b"}\n', ndjson, '{"type":"a"}\n{"type":"b"}\n'],
    // Kept as text, because JSON would not hold it.
    ['{"n":12345678901234567890}', json, '{"n":12345678901234567890}'],
    [`${"[".repeat(200)}${"]".repeat(200)}`, json, `${"[".repeat(200)}${"]".repeat(200)}`],
    ["--x\r\nnot multipart", "multipart/form-data; boundary=b", "--x\r\nnot multipart"],
  ])("%j as %s", async (sent, contentType, payload) => {
    const posting = { contentType, query: "?type=https%3A%2F%2Fexample.com%2Fhook" };
    const [event] = await storedIn(await post(server(), freshPath(), sent, posting));
    expect(asSent(event as never)).toEqual({
      type: "https://example.com/hook",
      payload,
      metadata: { request: { contentType } },
    });
  });

  test("a multipart form becomes its fields, files as base64", async () => {
    const posting = { contentType: "multipart/form-data; boundary=b", query: "?type=upload" };
    const [event] = await storedIn(await post(server(), freshPath(), Buffer.concat(multipart), posting));
    expect(event?.payload).toEqual({
      title: "Hällo",
      file: {
        filename: "a.bin",
        contentType: "image/png",
        base64: Buffer.from([0x89, 0x50, 0xff, 0]).toString("base64"),
      },
    });
  });

  test("bytes that are no UTF-8 become base64", async () => {
    const bytes = new Uint8Array([0xff, 0x00, 0xd8]);
    const [event] = await storedIn(await post(server(), freshPath(), bytes, { query: "?type=photo" }));
    expect(asSent(event as never)).toEqual({
      type: "photo",
      payload: Buffer.from(bytes).toString("base64"),
      metadata: { request: {} },
    });
  });

  test("a Slack slash command, the way Slack sends it", async () => {
    const body =
      "token=gIkuvaNzQIHg97ATvDxqgjtO&team_id=T0001&command=%2Fweather&text=94070&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F1234%2F5678";
    const headers = {
      "user-agent": "Slackbot 1.0",
      "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    };
    const query = "?type=slack-command&raw=true&project=public";
    const [event] = await storedIn(await post(server(), freshPath(), body, { contentType: form, headers, query }));
    expect(asSent(event as never)).toEqual({
      type: "slack-command",
      payload: {
        token: "gIkuvaNzQIHg97ATvDxqgjtO",
        team_id: "T0001",
        command: "/weather",
        text: "94070",
        response_url: "https://hooks.slack.com/commands/1234/5678",
      },
      metadata: {
        request: {
          contentType: form,
          userAgent: "Slackbot 1.0",
          headers: { "x-slack-signature": headers["x-slack-signature"] },
          raw: body,
        },
      },
    });
  });

  test("the request's metadata: query and webhook headers, never credentials", async () => {
    const kept = {
      "webhook-id": "msg_1",
      "webhook-timestamp": "1",
      "webhook-signature": "v1,abc",
      "svix-id": "msg_2",
      "stripe-signature": "t=1,v1=abc",
      "x-hub-signature": "sha1=abc",
      "x-hub-signature-256": "sha256=abc",
      "x-github-event": "push",
      "x-github-delivery": "72d3162e",
      "x-slack-retry-num": "1",
    };
    const left = { authorization: "Bearer secret-1", cookie: "session=secret-2", "x-forwarded-for": "10.0.0.1" };
    const query = "?type=t&challenge=1&challenge=2&mode=subscribe&token=secret-3&raw=true&project=public";
    const headers = { ...kept, ...left };
    const response = await post(server(), freshPath(), '{ "a" : 1 }', { contentType: json, headers, query });
    const text = await response.clone().text();
    const [event] = await storedIn(response);
    expect(text).not.toContain("secret-");
    expect(event?.metadata).toEqual({
      request: {
        contentType: json,
        query: { challenge: ["1", "2"], mode: "subscribe" },
        headers: kept,
        raw: '{ "a" : 1 }',
      },
    });
  });

  test("a body that is no event keeps what was around it too; raw=true keeps its text", async () => {
    const headers = { "x-github-event": "push", cookie: "session=secret-2" };
    const query = "?challenge=1&token=secret-3&raw=true";
    const body = '{ "ref" : "main" }';
    const [event] = await storedIn(await post(server(), freshPath(), body, { contentType: json, headers, query }));
    expect(event).toMatchObject({ type: builtin("invalid-event-appended"), payload: { rawInput: { ref: "main" } } });
    expect(event?.metadata).toEqual({
      request: { contentType: json, query: { challenge: "1" }, headers: { "x-github-event": "push" }, raw: body },
    });
  });

  test("an event that is one gets no metadata, and an unknown parameter does not refuse a webhook", async () => {
    const posting = { contentType: json, query: "?utm_source=somewhere&hub.mode=subscribe" };
    const [event] = await storedIn(await post(server(), freshPath(), '{"type":"a"}', posting));
    expect(asSent(event as never)).toEqual({ type: "a", payload: {} });
  });

  test("a type that does not fit leaves an invalid event with the body in it", async () => {
    for (const [type, error] of [
      ["", "type: expected 1 to 2048 characters"],
      [encodeURIComponent(builtin("initialized")), "type: only the server may write"],
      [encodeURIComponent(builtin("no-such-type")), "type: the server knows no built-in type"],
      [encodeURIComponent(builtin("metadata-updated")), "payload"],
    ]) {
      const path = freshPath();
      const posting = { contentType: "text/plain", query: `?type=${type}` };
      await storedIn(await post(server(), path, "the body", posting));
      const [, event] = await readAll(server(), path);
      expect(event).toMatchObject({
        type: builtin("invalid-event-appended"),
        payload: { rawInput: "the body", error: expect.stringContaining(error as string), contentType: "text/plain" },
      });
    }
  });

  test("a built-in type is wrapped when its payload fits", async () => {
    const query = `?type=${encodeURIComponent("https://events.iterate.com/stream-metadata-updated")}`;
    const [event] = await storedIn(
      await post(server(), freshPath(), '{"metadata":{"title":"Inbox"}}', { contentType: json, query }),
    );
    expect(event).toMatchObject({ type: builtin("metadata-updated"), payload: { metadata: { title: "Inbox" } } });
  });
});
