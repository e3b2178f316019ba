/** Webhooks and forms of third parties, as they come: answered as they expect, stored whole, rewritten into events. */
import { createHmac } from "node:crypto";
import type { StreamEvent } from "@millrace/protocol";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { append, builtin, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer } from "../processes/server-process.ts";
import { patience, transformer } from "./pushing.ts";

const json = "application/json";
/** Slack gives up after three seconds. */
const slackMs = 3_000;
/** All rules together have two seconds; the rest is for a busy machine. */
const usualMs = 3_500;
/** What another stream waits, at the worst, for processes that are busy with being stopped. */
const othersMs = 5_000;

let server: ServerProcess;
let path: string;
let streams = 0;

beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
});
afterAll(async () => {
  expect(await server?.stop("SIGTERM")).toMatchObject({ code: 0, stderr: "" });
});
beforeEach(() => {
  path = `/incoming/${streams++}`;
});

/** As a third party sends it: to the stream's own URL. */
async function send(body: string, contentType: string, more: { query?: string; headers?: object; url?: string } = {}) {
  const { query = "", headers = {}, url = server.url } = more;
  const startedAt = performance.now();
  const response = await fetch(`${url}${path}${query}`, {
    method: "POST",
    body,
    headers: { "content-type": contentType, ...headers },
  });
  const text = await response.text();
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    text,
    ms: performance.now() - startedAt,
  };
}

function configureResponse(slug: string, matcher: string, response: string, url = server.url): Promise<StreamEvent[]> {
  return append(url, path, { type: builtin("webhook-response-configured"), payload: { slug, matcher, response } });
}

const storedIn = ({ text }: { text: string }) => (JSON.parse(text) as { event: StreamEvent }).event;

async function made(type: string): Promise<StreamEvent> {
  const find = async () => (await readAll(server.url, path)).find((event) => event.type === type);
  await expect.poll(find, patience).toBeDefined();
  return (await find()) as StreamEvent;
}

describe("Slack", () => {
  const challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
  const verification = JSON.stringify({ token: "Jhj5dZrVaK7ZwHHjRyZWjbDl", challenge, type: "url_verification" });
  const isVerification = 'payload.rawInput.type = "url_verification"';
  const mention = {
    token: "XXYYZZ",
    team_id: "T123ABC456",
    api_app_id: "A123ABC456",
    event: { type: "app_mention", user: "U061F7AUR", text: "<@U0LAN0Z89> is it everything?", ts: "1515449522.000016" },
    type: "event_callback",
    event_id: "Ev123ABC456",
    event_time: 1515449522000016,
  };

  /**
   * A process has to start for the first expression, which a very busy machine does not do within the second. Then the
   * usual answer comes, Slack says so, and somebody presses its button again.
   */
  async function expectVerified(url: string): Promise<void> {
    let answer = await send(verification, json, { url });
    for (let attempt = 0; attempt < 10 && answer.text !== challenge; attempt++) {
      expect(storedIn(answer).payload).toMatchObject({ rawInput: JSON.parse(verification) });
      expect(answer.ms).toBeLessThan(slackMs);
      answer = await send(verification, json, { url });
    }
    expect(answer).toMatchObject({ status: 200, text: challenge, type: expect.stringMatching(/^text\/plain/) });
    expect(answer.ms).toBeLessThan(slackMs);
  }

  test("gets its challenge back, as plain text", async () => {
    await configureResponse("challenge", isVerification, "payload.rawInput.challenge");
    await expectVerified(server.url);
    const stored = (await readAll(server.url, path)).at(-1);
    expect(stored?.payload).toMatchObject({ rawInput: JSON.parse(verification) });
  });

  test("also where it is the first expression of all", async () => {
    const fresh = await startServer({ data: ":memory:" });
    try {
      await configureResponse("challenge", isVerification, "payload.rawInput.challenge", fresh.url);
      await expectVerified(fresh.url);
    } finally {
      await fresh.stop("SIGTERM");
    }
  });

  test("its envelope is stored whole, and becomes input for an agent", async () => {
    await configureResponse("challenge", isVerification, "payload.rawInput.challenge");
    const transform =
      '{"type": "agent-input-added", "payload": {"role": "user", "content": payload.rawInput.event.text}}';
    await append(server.url, path, transformer("slack", transform, 'payload.rawInput.type = "event_callback"'));
    const body = JSON.stringify(mention);
    const at = "1531420618";
    const signature = `v0=${createHmac("sha256", "slack secret").update(`v0:${at}:${body}`).digest("hex")}`;
    const headers = { "x-slack-request-timestamp": at, "x-slack-signature": signature };
    const stored = storedIn(await send(body, json, { query: "?raw=true", headers }));
    expect(stored).toMatchObject({ type: builtin("invalid-event-appended"), payload: { rawInput: mention } });
    const input = await made("agent-input-added");
    expect(input.payload).toEqual({ role: "user", content: mention.event.text });
    expect(input.source).toMatchObject({ kind: "transformer", cause: { streamPath: path, offset: stored.offset } });
    // Whoever reads the stream can still see that it was Slack.
    const { request } = stored.metadata as { request: { raw: string; headers: Record<string, string> } };
    const { "x-slack-request-timestamp": sentAt, "x-slack-signature": sent } = request.headers;
    expect(`v0=${createHmac("sha256", "slack secret").update(`v0:${sentAt}:${request.raw}`).digest("hex")}`).toBe(sent);
  });
});

test("GitHub's signature can be checked from the stored event, however the body was written", async () => {
  const secret = "It's a Secret to Everybody";
  const body = '{ "zen": "Keep it \\u006cogically awesome.",\n  "hook_id": 1,  "hook": {"b": 1, "a": 1.0} }';
  const sign = (text: string) => `sha256=${createHmac("sha256", secret).update(text).digest("hex")}`;
  const headers = { "x-github-event": "ping", "x-github-delivery": "72d3162e", "x-hub-signature-256": sign(body) };
  await send(body, json, { query: "?type=github-webhook&raw=true", headers });
  const stored = await made("github-webhook");
  expect(stored.payload).toEqual(JSON.parse(body));
  const { request } = stored.metadata as { request: { raw: string; headers: Record<string, string> } };
  expect(request.headers).toEqual(headers);
  expect(sign(request.raw)).toBe(request.headers["x-hub-signature-256"]);
  expect(sign(JSON.stringify(stored.payload))).not.toBe(request.headers["x-hub-signature-256"]);
});

test("a web form becomes an event", async () => {
  const transform = '{"type": "question-asked", "payload": {"by": payload.name, "topics": payload.topic}}';
  await append(server.url, path, transformer("form", transform, 'type = "form-sent"'));
  const form = new URLSearchParams([
    ["name", "Zoë & Søn"],
    ["topic", "a"],
    ["topic", "b"],
  ]);
  await send(form.toString(), "application/x-www-form-urlencoded", { query: "?type=form-sent" });
  const asked = await made("question-asked");
  expect(asked.payload).toEqual({ by: "Zoë & Søn", topics: ["a", "b"] });
});

describe("a response that", () => {
  const bad: [what: string, matcher: string, response: string][] = [
    ["never ends", "true", "($f := function($n){ $f($n + 1) }; $f(0))"],
    ["has a matcher that never ends", "($f := function($n){ $f($n + 1) }; $f(0))", "'never'"],
    ["asks for all memory", "true", "$pad('', 536000000, 'x') & 'y'"],
    ["fails", "true", "$error('no such thing')"],
    ["has no result", "true", "payload.nothing"],
    ["does not match", "type = 'another'", "'another'"],
  ];

  test.each(bad)("%s: the usual answer, in time", async (_, matcher, response) => {
    await configureResponse("bad", matcher, response);
    const answer = await send('{"type":"hello"}', json);
    expect(storedIn(answer)).toMatchObject({ type: "hello", offset: 3 });
    expect(answer).toMatchObject({ status: 200, type: json });
    expect(answer.ms).toBeLessThan(usualMs);
  });

  test("never ends, in ten rules and to twenty senders at once, keeps none for longer than two seconds", async () => {
    for (let n = 0; n < 10; n++) await configureResponse(`bad-${n}`, bad[1]?.[1] as string, "'never'");
    const answers = await Promise.all(Array.from({ length: 20 }, () => send('{"type":"hello"}', json)));
    const offsets = answers.map((answer) => storedIn(answer).offset).sort((a, b) => a - b);
    expect(offsets).toEqual(Array.from({ length: 20 }, (_, index) => 12 + index));
    expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(usualMs);
  });

  test("never ends, and a hundred senders ask for it: other streams go on", async () => {
    const elsewhere = `${path}/elsewhere`;
    await append(server.url, elsewhere, transformer("fine", '{"type": "made"}'));
    await configureResponse("bad", "true", bad[0]?.[2] as string);
    const answers = Promise.all(Array.from({ length: 90 }, () => send('{"type":"hello"}', json)));
    const startedAt = performance.now();
    await append(server.url, elsewhere, { type: "n" });
    const isMade = async () => (await readAll(server.url, elsewhere)).some(({ type }) => type === "made");
    await expect.poll(isMade, patience).toBe(true);
    expect(performance.now() - startedAt).toBeLessThan(othersMs);
    await answers;
    // Whoever gave up waiting left nothing behind.
    await append(server.url, elsewhere, { type: "n" });
    await expect.poll(isMade, { ...patience, timeout: othersMs }).toBe(true);
  });
});
