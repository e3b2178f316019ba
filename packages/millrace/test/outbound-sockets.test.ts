/** WebSockets over the way out, on real sockets: the rule of requests, its bounds, and peers that misbehave. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { Outbound, OutboundSocket, SocketRequest } from "@millrace/engine";
import { createOutbound } from "millrace";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { failureOf } from "./outbound-request.ts";
import { createReceivers, type Receivers } from "./receivers.ts";

const kibibyte = 1024;
let receivers: Receivers;
let servers: WebSocketServer[];
let outbound: Outbound;

beforeEach(() => {
  receivers = createReceivers();
  servers = [];
  outbound = createOutbound({ allowPrivateDestinations: true, sockets: 3 });
});
afterEach(async () => {
  await outbound.close();
  for (const server of servers) {
    for (const socket of server.clients) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  }
  await receivers.dispose();
});

async function accept(talk: (socket: WebSocket) => void): Promise<{ url: string; sockets(): Set<WebSocket> }> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: true });
  servers.push(server);
  server.on("connection", (socket) => {
    socket.on("error", () => undefined);
    talk(socket);
  });
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, sockets: () => server.clients };
}

function connect(url: string, given: Partial<SocketRequest> = {}): Promise<OutboundSocket> {
  return outbound.connect({
    url,
    headers: { authorization: "Bearer confidential" },
    timeoutMs: 5_000,
    messageBytesMax: 64 * kibibyte,
    signal: new AbortController().signal,
    onMessage: () => {},
    ...given,
  });
}

test("messages go both ways, in order, and the close is heard", async () => {
  const { url } = await accept((socket) => {
    socket.on("message", (data) => {
      socket.send(`heard ${data}`);
      if (String(data) === "3") socket.close(4001, "enough");
    });
  });
  const heard: string[] = [];
  const socket = await connect(url, { onMessage: (text) => heard.push(text) });
  await Promise.all(["1", "2", "3"].map((text) => socket.send(text)));
  expect(await socket.closed).toEqual({ code: 4001, reason: "enough" });
  expect(heard).toEqual(["heard 1", "heard 2", "heard 3"]);
  expect(await failureOf(socket.send("4"))).toMatchObject({ reason: "unreachable" });
});

describe("what is not opened", () => {
  test.each([
    ["200", undefined, /answered 200, and opened no WebSocket\.$/],
    ["403", undefined, /answered 403, and opened no WebSocket\.$/],
    ["307", { location: "http://127.0.0.1:1/" }, /answered 307, .* Redirects are not followed\.$/],
  ])("where %s is answered", async (status, headers, message) => {
    const receiver = await receivers.listen(() => ({ status: Number(status), ...(headers && { headers }) }));
    const failure = await failureOf(connect(receiver.url));
    expect(failure).toEqual({ reason: "unreachable", message: expect.stringMatching(message) });
    expect(receiver.received).toHaveLength(1);
  });

  test("where the key is not confirmed", async () => {
    const { url } = await receivers.listenRaw((socket) => {
      socket.once("data", () => socket.write(upgraded("somebody else's key")));
    });
    expect(await failureOf(connect(url))).toMatchObject({ reason: "unreachable" });
  });

  test("where nobody answers in time", async () => {
    const { url } = await receivers.listenRaw(() => undefined);
    const failure = await failureOf(connect(url, { timeoutMs: 100 }));
    expect(failure).toEqual({ reason: "timeout", message: expect.stringMatching(/no open WebSocket within 100 ms/) });
  });

  test("where nobody listens, where it was aborted, and where the rule forbids it", async () => {
    expect(await failureOf(connect(await receivers.nowhere()))).toMatchObject({
      reason: "unreachable",
      message: expect.stringMatching(/connection refused/),
    });
    const { url } = await receivers.listenRaw(() => undefined);
    expect(await failureOf(connect(url, { signal: AbortSignal.abort() }))).toMatchObject({ reason: "aborted" });
    const strict = createOutbound({ lookup: async () => ["127.0.0.1"] });
    for (const host of ["127.0.0.1", "[::1]", "inside.example"]) {
      const request = { headers: {}, timeoutMs: 5_000, messageBytesMax: 1, onMessage: () => {} };
      const { signal } = new AbortController();
      const failure = await failureOf(strict.connect({ ...request, signal, url: url.replace("127.0.0.1", host) }));
      expect(failure).toMatchObject({ reason: "refused", message: expect.stringMatching(/not a public address/) });
    }
    await strict.close();
  });

  test("more than there may be; one that ends makes room", async () => {
    const { url, sockets } = await accept(() => undefined);
    const open = await Promise.all([connect(url), connect(url), connect(url)]);
    expect(await failureOf(connect(url))).toEqual({
      reason: "unreachable",
      message: "3 WebSockets are open already; no more may.",
    });
    open[0]?.close(1000, "done");
    expect(await open[0]?.closed).toEqual({ code: 1000, reason: "done" });
    await connect(url);
    expect(sockets().size).toBe(3);
  });
});

describe("a peer that", () => {
  test.each([
    ["sends too long a message", (socket: WebSocket) => socket.send("x".repeat(65 * kibibyte))],
    ["sends too many fragments of one", (socket: WebSocket) => fragments(socket, 65)],
  ])("%s is cut off, and nothing of it is handed over", async (_, talk) => {
    const { url } = await accept(talk);
    const heard: string[] = [];
    const socket = await connect(url, { onMessage: (text) => heard.push(text) });
    expect((await socket.closed).code).toBeGreaterThanOrEqual(1002);
    expect(heard).toEqual([]);
  });

  test("does not read is waited for, and then cut off", async () => {
    const { url } = await accept((socket) => socket.pause());
    const socket = await connect(url);
    const text = "x".repeat(512 * kibibyte);
    const sends = Array.from({ length: 64 }, () => socket.send(text));
    const results = await Promise.allSettled(sends);
    expect(results.at(-1)).toMatchObject({ status: "rejected", reason: { reason: "unreachable" } });
    expect((await socket.closed).code).toBe(1006);
  });

  test("does not answer a close is cut", async () => {
    const { url } = await receivers.listenRaw((socket) => {
      socket.once("data", (request) => socket.write(upgraded(keyOf(request))));
    });
    const socket = await connect(url);
    socket.close(1000, "bye");
    expect((await socket.closed).code).toBe(1006);
  });
});

test("closing the way out cuts what is open", async () => {
  const { url } = await accept(() => undefined);
  const socket = await connect(url);
  await outbound.close();
  expect((await socket.closed).code).toBe(1006);
  expect(await failureOf(connect(url))).toMatchObject({ reason: "aborted" });
});

function fragments(socket: WebSocket, count: number): void {
  for (let i = 0; i < count; i++) socket.send("x".repeat(kibibyte), { fin: false });
}

function keyOf(request: Buffer): string {
  return /sec-websocket-key: (\S+)/i.exec(request.toString())?.[1] ?? "";
}

function upgraded(key: string): string {
  const accepted = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accepted}\r\n\r\n`;
}
