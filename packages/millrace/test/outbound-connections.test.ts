/** The connections behind the way out: how many, how long, who waits, and that none is left. */
import { spawn } from "node:child_process";
import diagnostics from "node:diagnostics_channel";
import { getEventListeners, once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createOutbound, type OutboundOptions } from "millrace";
import { afterEach, beforeEach, expect, test } from "vitest";
import { failureOf, request } from "./outbound-request.ts";
import { createReceivers, type Receivers } from "./receivers.ts";

let receivers: Receivers;
const closing: (() => Promise<void>)[] = [];

beforeEach(() => {
  receivers = createReceivers();
});

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await receivers.dispose();
});

function open(options: OutboundOptions) {
  const outbound = createOutbound({ allowPrivateDestinations: true, ...options });
  closing.push(() => outbound.close());
  return outbound;
}

/** Connections that are open at the other side, and how many were at most. */
async function counting(answerAfterMs: number) {
  let now = 0;
  const seen = { most: 0, open: () => now };
  const { url, connections } = await receivers.listenRaw((socket) => {
    seen.most = Math.max(seen.most, ++now);
    socket.once("close", () => now--);
    socket.on("data", async () => {
      await delay(answerAfterMs);
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    });
  });
  return Object.assign(seen, { url, connections });
}

test("one after the other use one connection, and it closes when it lies idle", async () => {
  const outbound = open({ idleMs: 100 });
  const receiver = await counting(0);
  for (let i = 0; i < 20; i++) await outbound.send(request(receiver.url));
  expect([receiver.connections(), receiver.open()]).toEqual([1, 1]);
  await until(() => receiver.open() === 0);
  await outbound.send(request(receiver.url));
  expect(receiver.connections()).toBe(2);
});

test("to one origin there are so many connections and no more; the rest waits, and all are sent", async () => {
  const outbound = open({ connectionsPerOrigin: 4 });
  const receiver = await counting(5);
  const sent = await Promise.all(Array.from({ length: 60 }, () => outbound.send(request(receiver.url))));
  expect([sent.length, receiver.most, receiver.connections()]).toEqual([60, 4, 4]);
});

test("and so many to all; idle ones make room", async () => {
  const outbound = open({ connectionsPerOrigin: 4, connections: 6, idleMs: 60_000 });
  const many = await Promise.all(Array.from({ length: 10 }, () => counting(5)));
  const urls = Array.from({ length: 5 }, () => many.map(({ url }) => url)).flat();
  await Promise.all(urls.map((url) => outbound.send(request(url))));
  await until(() => many.reduce((sum, { open: isOpen }) => sum + isOpen(), 0) <= 6);
  expect(many.every(({ connections }) => connections() > 0)).toBe(true);
  await outbound.close();
  await until(() => many.every(({ open: isOpen }) => isOpen() === 0));
});

test("who hangs holds up others of its origin until their time is over, and no other origin", async () => {
  const outbound = open({ connectionsPerOrigin: 2 });
  const hanging = await receivers.listenRaw(() => undefined);
  const receiver = await counting(0);
  const abort = new AbortController();
  const hang = [1, 2].map(() => failureOf(outbound.send(request(hanging.url, { signal: abort.signal }))));
  const third = failureOf(outbound.send(request(hanging.url, { timeoutMs: 100 })));
  expect((await outbound.send(request(receiver.url))).status).toBe(200);
  expect(await third).toEqual({
    reason: "timeout",
    message: `${new URL(hanging.url).origin}: no connection was free within 100 ms.`,
  });
  abort.abort();
  expect((await Promise.all(hang)).map(({ reason }) => reason)).toEqual(["aborted", "aborted"]);
  expect(hanging.connections()).toBe(2);
});

test("who waits can be aborted, and so many may wait", async () => {
  const outbound = open({ connectionsPerOrigin: 1, waitingMax: 2 });
  const hanging = await receivers.listenRaw(() => undefined);
  const abort = new AbortController();
  const send = () => failureOf(outbound.send(request(hanging.url, { signal: abort.signal })));
  const three = [send(), send(), send()];
  expect(await send()).toEqual({
    reason: "unreachable",
    message: "2 requests wait for a connection; no more may.",
  });
  abort.abort();
  expect((await Promise.all(three)).map(({ reason }) => reason)).toEqual(["aborted", "aborted", "aborted"]);
});

test("nothing stays at a signal that outlives its requests, and nobody warns of it", async () => {
  const warnings: string[] = [];
  const warned = ({ name }: Error) => void warnings.push(name);
  process.on("warning", warned);
  const outbound = open({ connectionsPerOrigin: 2 });
  const receiver = await counting(0);
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 20 }, () => outbound.send(request(receiver.url, { signal }))));
  await failureOf(outbound.send(request(await receivers.nowhere(), { signal })));
  process.off("warning", warned);
  expect([getEventListeners(signal, "abort"), warnings]).toEqual([[], []]);
});

test("a connection is not used for ever", async () => {
  const outbound = open({ connectionAgeMs: 0 });
  const receiver = await counting(0);
  for (let i = 0; i < 3; i++) await outbound.send(request(receiver.url));
  expect(receiver.connections()).toBe(3);
});

test("a receiver that closes after each answer is connected to each time", async () => {
  const outbound = open({});
  const receiver = await receivers.listenRaw((socket) =>
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")),
  );
  for (let i = 0; i < 5; i++) expect((await outbound.send(request(receiver.url))).body).toBe("ok");
  expect(receiver.connections()).toBe(5);
});

test("who does not even take the connection costs its time, and no socket stays", async () => {
  // Stopped, so that nobody takes connections from its queue; once that is full, others stay halfway.
  const child = spawn(process.execPath, [
    "-e",
    'require("net").createServer().listen({port:0,host:"127.0.0.1",backlog:1},function(){console.log(this.address().port)})',
  ]);
  closing.push(async () => void child.kill("SIGKILL"));
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const port = Number(line);
  child.kill("SIGSTOP");
  const fillers = Array.from({ length: 6 }, () => connect(port, "127.0.0.1").on("error", () => undefined));
  await delay(100);
  const sockets: Socket[] = [];
  const watch = (message: unknown) => void sockets.push((message as { socket: Socket }).socket);
  diagnostics.subscribe("net.client.socket", watch);
  const outbound = open({});
  const url = `http://127.0.0.1:${port}/`;
  expect(await failureOf(outbound.send(request(url, { timeoutMs: 200 })))).toEqual({
    reason: "timeout",
    message: `http://127.0.0.1:${port}: no connection within 200 ms.`,
  });
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true]);
  diagnostics.unsubscribe("net.client.socket", watch);
  for (const socket of fillers) socket.destroy();
});

/** Until the other side has heard of it. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await delay(10);
  expect(condition()).toBe(true);
}
