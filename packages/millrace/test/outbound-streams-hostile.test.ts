/** Receivers that behave badly, and streams: each costs its own request, and the process nothing. */
import type { Outbound, OutboundStreams, StreamAnswer } from "@millrace/engine";
import { createOutbound } from "millrace";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failureOf } from "./outbound-request.ts";
import { createReceivers, type Receivers } from "./receivers.ts";

let outbound: Outbound & OutboundStreams;
let receivers: Receivers;

beforeEach(() => {
  outbound = createOutbound({ allowPrivateDestinations: true, streamsPerOrigin: 2 });
  receivers = createReceivers();
});

afterEach(async () => {
  await outbound.close();
  await receivers.dispose();
});

/** Says this to every request, as it is; closes the connection behind it where it ends with an end. */
function says(text: string, closes = false) {
  return receivers.listenRaw((socket) => socket.on("data", () => (closes ? socket.end(text) : socket.write(text))));
}

function get(url: string, signal: AbortSignal = new AbortController().signal): Promise<StreamAnswer> {
  return outbound.exchange({ url, method: "GET", headers: [], connectMs: 5_000, answerMs: 500, signal });
}

async function textOf({ body }: StreamAnswer): Promise<string> {
  return new Response(body).text();
}

describe("no answer", () => {
  test.each([
    ["no HTTP", "220 mail.example ESMTP\r\n", "unreachable", /not HTTP/],
    ["a status that is none", "HTTP/1.1 42 Odd\r\n\r\n", "unreachable", /not HTTP/],
    ["a line feed within a header", "HTTP/1.1 200 OK\r\nx-a: b\n\rc: d\r\n\r\n", "unreachable", /not HTTP/],
    [
      "two lengths",
      "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
      "unreachable",
      /not as long as it said/,
    ],
    ["too long headers", `HTTP/1.1 200 OK\r\nx-a: ${"x".repeat(20_000)}\r\n\r\n`, "unreachable", /too long/],
    [
      "a protocol that nobody asked for",
      "HTTP/1.1 101 Now\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      "unreachable",
      /./,
    ],
    ["that it is still thinking", "HTTP/1.1 103 Early Hints\r\n\r\n", "timeout", /no answer within 500 ms/],
    ["half of a head", "HTTP/1.1 200 OK\r\nx-a", "timeout", /no answer within 500 ms/],
  ])("%s", async (_, text, reason, message) => {
    const { url } = await says(text);
    expect(await failureOf(get(url))).toEqual({ reason, message: expect.stringMatching(message) });
  });
});

describe("half an answer", () => {
  test.each([
    ["shorter than it says", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nsome"],
    ["with no last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n"],
    ["with a chunk that is none", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\nzz\r\n"],
  ])("%s fails while it is read", async (_, text) => {
    const { url } = await says(text, true);
    const answer = await get(url);
    expect(answer.status).toBe(200);
    expect((await failureOf(textOf(answer))).reason).toBe("unreachable");
  });
});

test("an early hint is passed over, and nobody takes it for the answer", async () => {
  const { url } = await says("HTTP/1.1 103 Early\r\nx-a: 1\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine");
  const answer = await get(url);
  expect([answer.status, await textOf(answer)]).toEqual([200, "fine"]);
});

test.each([204, 304])("%d with a length ends with its head", async (status) => {
  const { url } = await says(`HTTP/1.1 ${status} No\r\ncontent-length: 10\r\n\r\n`);
  const answer = await get(url);
  expect([answer.status, await textOf(answer)]).toEqual([status, ""]);
});

test("what is said behind an answer is not taken for the next one", async () => {
  const answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";
  const { url } = await says(`${answer}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged`);
  for (let i = 0; i < 3; i++) {
    const text = await get(url).then(textOf, (error) => error.reason);
    expect(["fine", "unreachable"]).toContain(text);
  }
});

test("connections that are held are bounded for an origin; who gives up waiting leaves, and one that ends makes room", async () => {
  const { url } = await says("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nsome");
  const [first] = await Promise.all([get(url), get(url)]);
  const abort = new AbortController();
  const waiting = failureOf(get(url, abort.signal));
  const next = get(url);
  abort.abort();
  expect((await waiting).reason).toBe("aborted");
  await first?.body.cancel();
  expect((await next).status).toBe(200);
});

test("a connection is used again, and never for somebody else", async () => {
  const receiver = await receivers.listen(() => ({ status: 200, body: "fine" }));
  const ask = async (owner?: string) => {
    const { signal } = new AbortController();
    const asked = { url: receiver.url, method: "GET", headers: [], connectMs: 5_000, answerMs: 5_000, signal };
    expect(await textOf(await outbound.exchange({ ...asked, ...(owner === undefined ? {} : { owner }) }))).toBe("fine");
  };
  for (const owner of ["a", "a", "b", undefined, "a", "b", undefined]) await ask(owner);
  expect([receiver.received.length, receiver.connections()]).toEqual([7, 3]);
});
