/** The accepting side of a WebSocket subscription: whom it believes, what it takes, and how it says no. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createEventsClient, createSocketHandler, type StreamEvent } from "@millrace/sdk/processor";
import { createManualClock, type ManualClock } from "@millrace/testing";
import { type RunningServer, serve } from "millrace";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { gate } from "../../packages/engine/test/processors.ts";
import { createWebSocketPair } from "./web-socket-pair.ts";

const signingSecret = "whsec_c2lnbmluZyBrZXkgb2YgdGhlIHRlc3Q=";
let server: RunningServer;
let receiver: WebSocketServer;
let handler: ReturnType<typeof createSocketHandler>;
let acted: number[];
let clock: ManualClock;
/** What the hook waits for. */
let mayAct: (offset: number) => Promise<void>;

beforeAll(async () => {
  const onFatal = (message: string) => {
    throw new Error(message);
  };
  server = await serve({ port: 0, host: "127.0.0.1", data: ":memory:", onFatal });
  const breakerOff = {
    type: "https://events.iterate.com/events/stream/circuit-breaker-configured",
    payload: { burstCapacity: 0, refillRatePerMinute: 1 },
  };
  await createEventsClient({ baseUrl: server.url }).append("/heard", breakerOff);
});
afterAll(() => server.close());

beforeEach(async () => {
  acted = [];
  clock = createManualClock();
  mayAct = async () => {};
  const processor = {
    slug: "heard",
    initialState: null,
    reduce: () => undefined,
    async afterAppend({ event }: { event: StreamEvent }) {
      await mayAct(event.offset);
      acted.push(event.offset);
    },
  };
  const client = createEventsClient({ baseUrl: server.url });
  handler = createSocketHandler({ client, processor, path: "/heard", signingSecret, clock });
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

/** New events of the stream, as the server would send them, each behind the one before. */
async function framesOf(count: number): Promise<{ offset: number; frame: object }[]> {
  const client = createEventsClient({ baseUrl: server.url });
  const frames: { offset: number; frame: object }[] = [];
  for (let i = 0; i < count; i++) {
    const { event } = await client.append("/heard", { type: "n" });
    const { offset } = event;
    frames.push({ offset, frame: { type: "event", offset, after: offset - 1, event } });
  }
  return frames;
}

test("of many that come at once it acts on one after the other, and acknowledges them in order", async () => {
  const deliveries = await framesOf(100);
  const { socket, frames } = await call(headersOf(signingSecret));
  const { opened, open } = gate();
  mayAct = () => opened;
  for (const { frame } of deliveries) socket.send(JSON.stringify(frame));
  // An answer to what it refuses at once shows that all before it were heard.
  socket.send(JSON.stringify(eventAt(1, "/elsewhere")));
  await expect.poll(() => frames.length).toBe(1);
  expect([frames[0], acted]).toEqual([expect.objectContaining({ type: "error", offset: 1 }), []]);
  open();
  await expect.poll(() => frames.length, { timeout: 10_000 }).toBe(101);
  const offsets = deliveries.map(({ offset }) => offset);
  expect(frames.slice(1)).toEqual(offsets.map((offset) => ({ type: "ack", offset })));
  expect(acted).toEqual(offsets);
});

test("those that wait behind others are given their time from when they stand first", async () => {
  const deliveries = await framesOf(4);
  const { socket, frames } = await call(headersOf(signingSecret));
  const gates = new Map(deliveries.map(({ offset }) => [offset, gate()]));
  const begun: number[] = [];
  mayAct = async (offset) => {
    begun.push(offset);
    await gates.get(offset)?.opened;
  };
  for (const { frame } of deliveries) socket.send(JSON.stringify(frame));
  for (const [index, { offset }] of deliveries.entries()) {
    await expect.poll(() => begun).toContain(offset);
    clock.advance(8_000);
    gates.get(offset)?.open();
    await expect.poll(() => frames.length).toBe(index + 1);
  }
  expect(frames).toEqual(deliveries.map(({ offset }) => ({ type: "ack", offset })));
});

test("over another connection it passes over what it has seen, and reads what it has not", async () => {
  const [first, second, lost, third] = await framesOf(4);
  const before = await call(headersOf(signingSecret));
  const { opened, open } = gate();
  mayAct = () => opened;
  before.socket.send(JSON.stringify(first?.frame));
  before.socket.send(JSON.stringify(second?.frame));
  before.socket.terminate();
  open();
  const { socket, frames } = await call(headersOf(signingSecret));
  // The third one says that the one before it was sent, which never came here.
  for (const delivery of [first, second, third]) socket.send(JSON.stringify(delivery?.frame));
  await expect.poll(() => frames.length, { timeout: 10_000 }).toBe(3);
  expect(frames).toEqual([first, second, third].map((sent) => ({ type: "ack", offset: sent?.offset })));
  expect(acted).toEqual([first, second, lost, third].map((sent) => sent?.offset));
});

test("in a Worker it accepts the socket, hears what came before that, and answers a close", async () => {
  const deliveries = await framesOf(20);
  const [theirs, ours] = createWebSocketPair();
  const heard: object[] = [];
  const ended = new Promise<unknown>((resolve) => theirs.addEventListener("close", resolve));
  theirs.addEventListener("message", ({ data }) => heard.push(JSON.parse(String(data))));
  theirs.accept();
  for (const { frame } of deliveries) theirs.send(JSON.stringify(frame));
  handler(ours, new Headers(headersOf(signingSecret)));
  await expect.poll(() => heard.length, { timeout: 10_000 }).toBe(20);
  expect(heard).toEqual(deliveries.map(({ offset }) => ({ type: "ack", offset })));
  theirs.close(1000, "idle");
  await ended;
});

test("in a Worker, too, who is not signed is closed", async () => {
  const [theirs, ours] = createWebSocketPair();
  const ended = new Promise<{ code?: number }>((resolve) => theirs.addEventListener("close", resolve as never));
  theirs.accept();
  handler(ours, new Headers());
  expect((await ended).code).toBe(4401);
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
