/** The accepting side of a WebSocket subscription: whom it believes, what it takes, and how it says no. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createEventsClient, createSocketHandler, type StreamEvent } from "@millrace/sdk/processor";
import { type RunningServer, serve } from "millrace";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

const signingSecret = "whsec_c2lnbmluZyBrZXkgb2YgdGhlIHRlc3Q=";
let server: RunningServer;
let receiver: WebSocketServer;
let handler: ReturnType<typeof createSocketHandler>;
let acted: number[];

beforeAll(async () => {
  const onFatal = (message: string) => {
    throw new Error(message);
  };
  server = await serve({ port: 0, host: "127.0.0.1", data: ":memory:", onFatal });
});
afterAll(() => server.close());

beforeEach(async () => {
  acted = [];
  const processor = {
    slug: "heard",
    initialState: null,
    reduce: () => undefined,
    afterAppend({ event }: { event: StreamEvent }) {
      acted.push(event.offset);
    },
  };
  const client = createEventsClient({ baseUrl: server.url });
  handler = createSocketHandler({ client, processor, path: "/heard", signingSecret });
  receiver = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  receiver.on("connection", (socket, request) => handler(socket, request.headers));
  await once(receiver, "listening");
});
afterEach(async () => {
  await handler.stop();
  for (const socket of receiver.clients) socket.terminate();
  receiver.close();
});

function headersOf(secret: string, at = new Date()): Record<string, string> {
  const id = "life.heard";
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": new Webhook(secret).sign(id, at, ""),
  };
}

/** A connection as the server would open it, and what comes back over it. */
async function call(headers: Record<string, string>) {
  const { port } = receiver.address() as AddressInfo;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers });
  const frames: object[] = [];
  socket.on("message", (data) => frames.push(JSON.parse(String(data))));
  await once(socket, "open");
  const answered = async (sent: object | string) => {
    const before = frames.length;
    socket.send(typeof sent === "string" ? sent : JSON.stringify(sent));
    await expect.poll(() => frames.length, { timeout: 10_000 }).toBe(before + 1);
    return frames.at(-1);
  };
  return { socket, frames, answered };
}

const eventAt = (offset: number, streamPath = "/heard") => ({
  type: "event",
  offset,
  after: offset - 1,
  event: { streamPath, offset, type: "n", payload: null, createdAt: new Date().toISOString() },
});

test("what it has acted on it acknowledges, also when it comes again, and acts on it once", async () => {
  const client = createEventsClient({ baseUrl: server.url });
  const first = (await client.append("/heard", { type: "n" })).event;
  const second = (await client.append("/heard", { type: "n" })).event;
  const { answered } = await call(headersOf(signingSecret));
  for (const event of [first, second, second]) {
    const { offset } = event;
    expect(await answered({ type: "event", offset, after: offset - 1, event })).toEqual({ type: "ack", offset });
  }
  expect(acted).toEqual([first.offset, second.offset]);
});

test.each([
  ["by another secret", () => headersOf("whsec_YW5vdGhlciBrZXkgb2YgdGhlIHRlc3Q=")],
  ["an hour ago", () => headersOf(signingSecret, new Date(Date.now() - 3_600_000))],
  ["by nobody", () => ({})],
])("who was signed %s is closed, and may be refused before", async (_, headers) => {
  expect(handler.refusal(headers())).toMatch(/^The signature does not hold: /);
  expect(handler.refusal(new Headers(headers()))).toMatch(/^The signature does not hold: /);
  const { socket } = await call(headers());
  const [code] = await once(socket, "close");
  expect(code).toBe(4401);
  expect(handler.refusal(new Headers(headersOf(signingSecret)))).toBeUndefined();
});

test("an event of another stream, and what is no event, are errors that name the offset", async () => {
  const { answered } = await call(headersOf(signingSecret));
  const error = (message: RegExp) => ({
    type: "error",
    offset: 7,
    code: "failed",
    message: expect.stringMatching(message),
  });
  expect(await answered(eventAt(7, "/elsewhere"))).toEqual(error(/takes deliveries of \/heard, not of \/elsewhere/));
  expect(await answered({ ...eventAt(7), event: { made: "up" } })).toEqual(error(/This is no event/));
  expect(acted).toEqual([]);
});

test("what is no frame, and frames that are not for it, are passed over", async () => {
  const { socket, frames, answered } = await call(headersOf(signingSecret));
  for (const text of ["", "{", "null", "7", '{"type":"appended","id":"a"}', '{"type":"error","message":"x"}']) {
    socket.send(text);
  }
  socket.send(Buffer.from("{}"));
  expect(await answered(eventAt(8))).toEqual({ type: "ack", offset: 8 });
  expect(frames).toHaveLength(1);
});

test("it closes what is open when it is stopped", async () => {
  const { socket } = await call(headersOf(signingSecret));
  const closed = once(socket, "close");
  await handler.stop();
  expect((await closed)[0]).toBe(1000);
});
