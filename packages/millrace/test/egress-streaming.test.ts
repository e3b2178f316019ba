/** Bodies through the gate: as they come, no quicker than they are taken, and cut on both sides when one side goes. */
import { once } from "node:events";
import { mkdtempSync, statSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createEgressGate, createEgressRules } from "millrace";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createEgressWorld, type EgressWorld, textOf } from "./egress-world.ts";

const mebibyte = 1024 * 1024;
/** What lies in the buffers of four sockets, and of the two streams between them. */
const bufferedMax = 24 * mebibyte;

let world: EgressWorld;

beforeEach(async () => {
  world = await createEgressWorld({ limits: { requestsMax: 3 } });
});
afterEach(() => world.close());

/** A server whose requests are handed over one after the other. */
async function listen() {
  const waiting: ((exchange: [IncomingMessage, ServerResponse]) => void)[] = [];
  const came: [IncomingMessage, ServerResponse][] = [];
  const origin = await world.serve((...exchange) => {
    const take = waiting.shift();
    if (take === undefined) came.push(exchange);
    else take(exchange);
  });
  const next = () =>
    new Promise<[IncomingMessage, ServerResponse]>((resolve) => {
      const exchange = came.shift();
      if (exchange === undefined) waiting.push(resolve);
      else resolve(exchange);
    });
  return { origin, next };
}

async function answered(sending: ReturnType<EgressWorld["start"]>): Promise<IncomingMessage> {
  const [incoming] = (await once(sending, "response")) as [IncomingMessage];
  return incoming;
}

async function chunk(incoming: IncomingMessage): Promise<string> {
  const [data] = (await once(incoming, "data")) as [Buffer];
  return String(data);
}

function failureOf(incoming: IncomingMessage): Promise<string> {
  return textOf(incoming).then(
    () => "whole",
    (error: NodeJS.ErrnoException) => String(error.code),
  );
}

describe("piece by piece", () => {
  test("the head of an answer comes before its body, and each piece before the next", async () => {
    const { origin, next } = await listen();
    const sending = world.start(origin).end();
    const [, outgoing] = await next();
    outgoing.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    const incoming = await answered(sending);
    expect(incoming.headers["content-type"]).toBe("text/event-stream");
    for (const piece of ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"]) {
      outgoing.write(piece);
      expect(await chunk(incoming)).toBe(piece);
    }
    outgoing.end();
    await once(incoming, "end");
  });

  test("both ways at the same time", async () => {
    const { origin, next } = await listen();
    const sending = world.start(origin, { method: "POST", headers: { "transfer-encoding": "chunked" } });
    sending.write("one");
    const [received, outgoing] = await next();
    outgoing.flushHeaders();
    const incoming = await answered(sending);
    for (const piece of ["one", "two", "three"]) {
      if (piece !== "one") sending.write(piece);
      expect(await chunk(received)).toBe(piece);
      outgoing.write(piece.toUpperCase());
      expect(await chunk(incoming)).toBe(piece.toUpperCase());
    }
    sending.end();
    outgoing.end();
    await once(incoming, "end");
  });

  test("an answer before the end of a long upload is heard, and the gate goes on", async () => {
    const { origin, next } = await listen();
    const sending = world.start(origin, { method: "PUT", headers: { "content-length": String(64 * mebibyte) } });
    sending.on("error", () => {});
    sending.write(Buffer.alloc(mebibyte));
    const [, outgoing] = await next();
    outgoing.writeHead(413).end("too much");
    const incoming = await answered(sending);
    expect([incoming.statusCode, await textOf(incoming)]).toEqual([413, "too much"]);
    sending.destroy();
    const again = world.ask(origin);
    (await next())[1].end("fine");
    expect((await again).body).toBe("fine");
  });
});

test("a long upload that is refused is answered, the rest of it is thrown away, and the connection goes on", async () => {
  const length = 64 * mebibyte;
  const socket = await world.connect();
  let heard = "";
  socket.on("data", (data) => {
    heard += data;
  });
  socket.write(`PUT ftp://example.com/ HTTP/1.1\r\ncontent-length: ${length}\r\n\r\n`);
  for (let sent = 0; sent < length; sent += mebibyte) {
    if (!socket.write(Buffer.alloc(mebibyte))) await once(socket, "drain");
  }
  socket.write("GET ftp://example.com/ HTTP/1.1\r\nconnection: close\r\n\r\n");
  await once(socket, "close");
  expect(heard.match(/^HTTP\/1\.1 400 /gm)).toHaveLength(2);
});

describe("who goes away takes the other side along", () => {
  test.each([
    ["of unknown length", {}],
    ["of known length", { "content-length": "1000" }],
  ])("the server, within an answer %s", async (_, headers) => {
    const { origin, next } = await listen();
    const sending = world.start(origin).end();
    const [, outgoing] = await next();
    outgoing.writeHead(200, headers).write("some");
    const incoming = await answered(sending);
    expect(await chunk(incoming)).toBe("some");
    outgoing.destroy();
    expect(await failureOf(incoming)).toBe("ECONNRESET");
    expect(world.gate.underWay).toBe(0);
  });

  test("the server, before its answer", async () => {
    const { origin, next } = await listen();
    const asking = world.ask(origin, { method: "POST", body: "some" });
    (await next())[1].destroy();
    expect(await asking).toMatchObject({ status: 502, headers: { "x-millrace-egress": "unreachable" } });
  });

  test("the code, before an answer", async () => {
    const { origin, next } = await listen();
    const sending = world.start(origin).end();
    sending.on("error", () => {});
    const [, outgoing] = await next();
    sending.destroy();
    await once(outgoing, "close");
  });

  test("the code, within an answer", async () => {
    const { origin, next } = await listen();
    const sending = world.start(origin).end();
    const [, outgoing] = await next();
    outgoing.write("some");
    (await answered(sending)).destroy();
    await once(outgoing, "close");
  });

  test("the code, within its own body", async () => {
    const { origin, next } = await listen();
    const sending = world.start(origin, { method: "POST", headers: { "content-length": "1000" } });
    sending.on("error", () => {});
    sending.write("some");
    const [received] = await next();
    expect(await chunk(received)).toBe("some");
    sending.destroy();
    expect(await failureOf(received)).toBe("ECONNRESET");
  });
});

describe("nobody has to hold what nobody reads", () => {
  /** Writes for as long as it is taken. */
  async function writeUntilFull(sink: NodeJS.WritableStream): Promise<number> {
    const piece = Buffer.alloc(256 * 1024);
    let written = 0;
    for (;;) {
      written += piece.length;
      if (written > 4 * bufferedMax) return written;
      if (sink.write(piece)) continue;
      const drained = await Promise.race([once(sink, "drain"), delay(500, "full")]);
      if (drained === "full") return written;
    }
  }

  test("an answer waits for its reader", async () => {
    const { origin, next } = await listen();
    const sending = world.start(origin).end();
    const [, outgoing] = await next();
    outgoing.flushHeaders();
    const incoming = await answered(sending);
    const written = await writeUntilFull(outgoing);
    expect(written).toBeLessThan(bufferedMax);
    outgoing.end();
    let read = 0;
    for await (const data of incoming) read += (data as Buffer).length;
    expect(read).toBe(written);
  });

  test("an upload waits for its receiver", async () => {
    const { origin, next } = await listen();
    const sending = world.start(origin, { method: "POST", headers: { "transfer-encoding": "chunked" } });
    const filling = writeUntilFull(sending);
    const [received, outgoing] = await next();
    received.pause();
    const written = await filling;
    expect(written).toBeLessThan(bufferedMax);
    sending.end();
    let read = 0;
    for await (const data of received) read += (data as Buffer).length;
    outgoing.end("thanks");
    expect([read, await textOf(await answered(sending))]).toEqual([written, "thanks"]);
  });

  test("a long answer and a long upload pass through little memory", async () => {
    const length = (process.env.MILLRACE_LONG === "1" ? 1024 : 192) * mebibyte;
    const piece = Buffer.alloc(mebibyte);
    const before = process.memoryUsage();
    let most = 0;
    async function* pieces() {
      for (let sent = 0; sent < length; sent += piece.length) {
        const { arrayBuffers, heapUsed } = process.memoryUsage();
        most = Math.max(most, arrayBuffers + heapUsed - before.arrayBuffers - before.heapUsed);
        yield piece;
      }
    }
    const origin = await world.serve(async (incoming, outgoing) => {
      let read = 0;
      for await (const data of incoming) read += (data as Buffer).length;
      outgoing.writeHead(200, { "content-length": String(length), "x-read": String(read) });
      for await (const part of pieces()) if (!outgoing.write(part)) await once(outgoing, "drain");
      outgoing.end();
    });
    const sending = world.start(origin, { method: "POST", headers: { "transfer-encoding": "chunked" } });
    for await (const part of pieces()) if (!sending.write(part)) await once(sending, "drain");
    sending.end();
    const incoming = await answered(sending);
    let read = 0;
    for await (const data of incoming) read += (data as Buffer).length;
    expect([incoming.headers["x-read"], read]).toEqual([String(length), length]);
    expect(most).toBeLessThan(128 * mebibyte);
  });
});

test("one request more than there may be is refused and told; one that ends makes room", async () => {
  const { origin, next } = await listen();
  const open = [1, 2, 3].map(() => world.start(origin).end());
  const held = [await next(), await next(), await next()];
  const refused = await world.ask(origin, { headers: { "x-millrace-call": "c4" } });
  expect(refused).toMatchObject({ status: 503, headers: { "x-millrace-egress": "busy", "retry-after": "1" } });
  expect(world.refusals).toMatchObject([{ call: "c4", message: expect.stringMatching(/3 requests of this project/) }]);
  const ended = answered(open[0] as (typeof open)[0]);
  held[0]?.[1].end("fine");
  expect(await textOf(await ended)).toBe("fine");
  const again = world.ask(origin);
  (await next())[1].end("room");
  expect((await again).body).toBe("room");
  for (const sending of open) sending.on("error", () => {}).destroy();
});

describe("no answer in time", () => {
  test("is a 504, and nothing is left", async () => {
    await world.close();
    world = await createEgressWorld({ limits: { answerMs: 100 } });
    const { origin, next } = await listen();
    const asking = world.ask(origin);
    const [, outgoing] = await next();
    const answer = await asking;
    expect(answer).toMatchObject({ status: 504, headers: { "x-millrace-egress": "timeout" } });
    expect(answer.body).toContain("no answer within 100 ms");
    if (!outgoing.closed) await once(outgoing, "close");
  });

  test("is no matter of the body that follows", async () => {
    await world.close();
    world = await createEgressWorld({ limits: { answerMs: 50 } });
    const origin = await world.serve(async (_, outgoing) => {
      outgoing.write("slow ");
      await delay(150);
      outgoing.end("but whole");
    });
    expect((await world.ask(origin)).body).toBe("slow but whole");
  });
});

describe("the socket", () => {
  test("is for its owner alone, is gone after the end, and what is open is cut", async () => {
    const { origin, next } = await listen();
    const { socketPath } = world.gate;
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
    const sending = world.start(origin).end();
    const [, outgoing] = await next();
    const failed = once(sending, "error");
    await world.gate.close();
    await failed;
    if (!outgoing.closed) await once(outgoing, "close");
    expect(statSync(socketPath, { throwIfNoEntry: false })).toBeUndefined();
  });

  test("takes the place of one that was left behind, and of nothing else", async () => {
    const { socketPath } = world.gate;
    const options = {
      project: "demo",
      outbound: {} as never,
      secrets: world.secrets,
      allowed: createEgressRules()("demo"),
      attribution: { cause: () => undefined, refused: () => {} },
    };
    const other = await createEgressGate({ ...options, socketPath, socketMode: 0o666 });
    expect(statSync(socketPath).mode & 0o777).toBe(0o666);
    await other.close();
    const file = path.join(mkdtempSync(path.join(tmpdir(), "millrace-egress-")), "notes.txt");
    writeFileSync(file, "mine");
    await expect(createEgressGate({ ...options, socketPath: file })).rejects.toThrow(/EADDRINUSE/);
    expect(statSync(file).size).toBe(4);
  });
});
