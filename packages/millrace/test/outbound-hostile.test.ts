/** Receivers that behave badly: each costs its own request no more than its time, and the process nothing. */
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import type { Outbound } from "@millrace/engine";
import { createSeededRandom } from "@millrace/testing";
import { createOutbound } from "millrace";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failureOf, request } from "./outbound-request.ts";
import { createReceivers, type Receivers } from "./receivers.ts";

let outbound: Outbound;
let receivers: Receivers;

beforeEach(() => {
  outbound = createOutbound({ allowPrivateDestinations: true });
  receivers = createReceivers();
});

afterEach(async () => {
  await outbound.close();
  await receivers.dispose();
});

/** Says this to every request, as it is, and leaves the connection open. */
function says(text: string | Buffer) {
  return receivers.listenRaw((socket) => socket.on("data", () => socket.write(text)));
}

/** Writes the same for as long as somebody takes it. */
function floods(socket: Socket, head: string, piece: Buffer | string, written: { bytes: number }): void {
  socket.once("data", () => {
    socket.write(head);
    pour();
  });
  socket.on("drain", pour);

  function pour(): void {
    while (!socket.destroyed) {
      written.bytes += piece.length;
      if (!socket.write(piece)) return;
    }
  }
}

const gigabyte = 1024 ** 3;

describe("too much", () => {
  test.each([
    ["with its length", `HTTP/1.1 200 OK\r\ncontent-length: ${gigabyte}\r\n\r\n`, Buffer.alloc(65_536, "x"), "xxxx"],
    ["until the connection ends", "HTTP/1.1 200 OK\r\n\r\n", Buffer.alloc(65_536, "x"), "xxxx"],
    [
      "in chunks without an end",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
      `10000\r\n${"x".repeat(65_536)}\r\n`,
      "xxxx",
    ],
    [
      "in chunks of one byte",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
      "1\r\nx\r\n".repeat(10_000),
      "xxxx",
    ],
  ])("a body of a gigabyte %s: 64 KiB of it are read, and the answer counts", async (_, head, piece, start) => {
    const written = { bytes: 0 };
    let closed = 0;
    const { url } = await receivers.listenRaw((socket) => {
      socket.once("close", () => closed++);
      floods(socket, head, piece, written);
    });
    const before = process.memoryUsage();
    for (let i = 0; i < 10; i++) {
      const { status, body } = await outbound.send(request(url));
      expect([status, body.length, body.slice(0, 4)]).toEqual([200, 65_536, start]);
    }
    const after = process.memoryUsage();
    await outbound.close();
    await waitFor(() => closed === 10);
    expect(written.bytes / 10).toBeLessThan(32 * 1024 ** 2);
    expect(after.external + after.heapUsed - before.external - before.heapUsed).toBeLessThan(128 * 1024 ** 2);
  });

  test("what is packed is neither asked for nor unpacked", async () => {
    const packed = gzipSync(Buffer.alloc(100 * 1024 ** 2));
    expect(packed.length).toBeGreaterThan(64 * 1024);
    let asked = "";
    const { url } = await receivers.listenRaw((socket) => {
      socket.on("data", (data) => {
        asked = data.toString();
        socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${packed.length}\r\n\r\n`);
        socket.write(packed);
      });
    });
    const { status, body } = await outbound.send(request(url, { headers: { "Accept-Encoding": "gzip, br" } }));
    expect(asked.match(/^accept-encoding: .*$/gim)).toEqual(["accept-encoding: identity"]);
    expect([status, body.length <= 65_536]).toEqual([200, true]);
  });

  test.each([
    ["one long header", `HTTP/1.1 200 OK\r\nx: ${"y".repeat(200_000)}\r\n\r\n`],
    ["many headers", `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(20_000)}\r\n`],
    ["one long name", `HTTP/1.1 200 OK\r\n${"x".repeat(200_000)}: y\r\n\r\n`],
    ["long trailers", `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${"x: y\r\n".repeat(20_000)}\r\n`],
  ])("%s", async (_, answer) => {
    const { url } = await says(answer);
    expect(await failureOf(outbound.send(request(url)))).toEqual({
      reason: "unreachable",
      message: `${new URL(url).origin}: the headers of the answer are too long.`,
    });
  });

  test("answers that are only announced, again and again", async () => {
    const written = { bytes: 0 };
    const { url } = await receivers.listenRaw((socket) => floods(socket, "", "HTTP/1.1 103 \r\na: b\r\n\r\n", written));
    expect((await failureOf(outbound.send(request(url, { timeoutMs: 200 })))).reason).toBe("timeout");
  });
});

describe("too late", () => {
  const nothing = () => undefined;
  const cases: [string, (socket: Socket) => void, string][] = [
    ["before the headers", nothing, "answer"],
    ["within the headers", (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-le"), "answer"],
    ["after an announcement", (socket) => socket.write("HTTP/1.1 102 Processing\r\n\r\n"), "answer"],
    [
      "within the body",
      (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"),
      "end of the answer",
    ],
    [
      "between chunks",
      (socket) => socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"),
      "end of the answer",
    ],
    ["drop by drop", drip, "end of the answer"],
  ];

  test.each(cases)("who hangs %s", async (_, talk, missing) => {
    let closed = false;
    const { url } = await receivers.listenRaw((socket) => {
      socket.once("close", () => {
        closed = true;
      });
      socket.once("data", () => talk(socket));
    });
    const started = performance.now();
    expect(await failureOf(outbound.send(request(url, { timeoutMs: 200 })))).toEqual({
      reason: "timeout",
      message: `${new URL(url).origin}: no ${missing} within 200 ms.`,
    });
    expect(performance.now() - started).toBeLessThan(2_000);
    await waitFor(() => closed);
  });

  test("who accepts and does not speak TLS", async () => {
    const { url } = await receivers.listenRaw(nothing);
    const { reason } = await failureOf(outbound.send(request(url.replace("http:", "https:"), { timeoutMs: 200 })));
    expect(reason).toBe("timeout");
  });

  test("who takes nothing of a long request", async () => {
    const { url } = await receivers.listenRaw((socket) => socket.pause());
    const body = "confidential".repeat(2_000_000);
    expect((await failureOf(outbound.send(request(url, { body, timeoutMs: 200 })))).reason).toBe("timeout");
  });

  function drip(socket: Socket): void {
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
    const timer = setInterval(() => socket.write("x"), 10);
    socket.once("close", () => clearInterval(timer));
  }
});

describe("not as it should be", () => {
  const closed = "the connection was closed before the end of the answer";
  const noHttp = "what came back is not HTTP, or not all of it";

  test.each<[string, (socket: Socket) => void, string]>([
    ["closes before it answers", (socket) => socket.end(), closed],
    ["closes within the headers", (socket) => socket.end("HTTP/1.1 200 OK\r\nconte"), closed],
    ["closes within the body", (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), closed],
    [
      "closes between chunks",
      (socket) => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"),
      closed,
    ],
    [
      "closes between the last chunks",
      (socket) => socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"),
      noHttp,
    ],
    ["resets", (socket) => socket.resetAndDestroy(), "the connection was reset"],
    ["speaks something else", (socket) => socket.write("220 mail.example ESMTP\r\n"), noHttp],
    ["speaks nothing known", (socket) => socket.write(Buffer.from([0, 1, 2, 255, 254])), noHttp],
    [
      "answers with a status that is none",
      (socket) => socket.write("HTTP/1.1 000 -\r\ncontent-length: 0\r\n\r\n"),
      noHttp,
    ],
    ["asks for what was not offered", (socket) => socket.write(`HTTP/1.1 100 Continue\r\n\r\n${ok}`), closed],
    ["is in doubt about the length", (socket) => socket.write(twoLengths), "the answer is not as long as it said"],
    ["gives a length that is none", (socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), noHttp],
    ["breaks a line within a header", (socket) => socket.write("HTTP/1.1 200 OK\r\na\rb: c\r\n\r\n"), noHttp],
    ["changes the protocol", (socket) => socket.write(upgrade), closed],
  ])("who %s is unreachable", async (_, talk, said) => {
    const { url } = await receivers.listenRaw((socket) => socket.once("data", () => talk(socket)));
    expect(await failureOf(outbound.send(request(url)))).toEqual({
      reason: "unreachable",
      message: `${new URL(url).origin}: ${said}.`,
    });
  });

  const ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
  const twoLengths = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab";
  const upgrade = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

  test("who does not listen", async () => {
    const url = await receivers.nowhere();
    expect(await failureOf(outbound.send(request(url)))).toEqual({
      reason: "unreachable",
      message: `${new URL(url).origin}: connection refused by ${new URL(url).host}.`,
    });
  });

  test("who announces first answers all the same", async () => {
    const { url } = await says(
      "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    );
    const { status, headers, body } = await outbound.send(request(url));
    expect([status, headers.link, body]).toEqual([200, undefined, "ok"]);
  });

  test("who ends the body with the connection, or has none, has answered", async () => {
    const untilEnd = await receivers.listenRaw((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\nok")),
    );
    expect((await outbound.send(request(untilEnd.url))).body).toBe("ok");
    for (const status of [204, 304]) {
      const none = await says(`HTTP/1.1 ${status} -\r\ncontent-length: 5\r\n\r\n`);
      for (let i = 0; i < 2; i++) expect(await outbound.send(request(none.url))).toMatchObject({ status, body: "" });
    }
  });

  test("who says the same header twice, and what is not UTF-8", async () => {
    const head = "HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\n__proto__: 3\r\ncontent-length: 3\r\n\r\n";
    const { url } = await says(Buffer.concat([Buffer.from(head), Buffer.from([0x61, 0xff, 0x62])]));
    const { headers, body } = await outbound.send(request(url));
    expect([headers["x-a"], Object.keys(headers), body]).toEqual([
      "1, 2",
      ["x-a", "__proto__", "content-length"],
      "a\ufffdb",
    ]);
  });

  test("who answers twice has answered once, and the next request gets its own answer", async () => {
    let connections = 0;
    const { url } = await receivers.listenRaw((socket) => {
      const own = ++connections;
      socket.on("data", () => {
        const answer = `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n${own}a`;
        const smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
        socket.write(`${answer}${smuggled}`);
      });
    });
    for (let i = 1; i <= 3; i++) {
      expect((await outbound.send(request(url))).body).toBe(`${i}a`);
      await delay(20);
    }
  });

  test("no cookie comes back", async () => {
    const { url, received } = await receivers.listen(() => ({ status: 200, headers: { "set-cookie": "a=b" } }));
    for (let i = 0; i < 2; i++) await outbound.send(request(url));
    expect(received.map(({ headers }) => headers.cookie)).toEqual([undefined, undefined]);
  });
});

test("any answer is an answer or a failure with words, and nothing else happens", async () => {
  const random = createSeededRandom(5);
  const wide = createOutbound({ allowPrivateDestinations: true, connectionsPerOrigin: 64 });
  const parts = [
    "HTTP/1.1 ",
    "200",
    "099",
    "100",
    "101",
    "204",
    "999",
    " OK",
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\0",
    ":",
    " ",
  ];
  const headers = ["content-length: 3", "content-length: 0", "transfer-encoding: chunked", "connection: close", "a: b"];
  const bodies = [
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "abc",
    "ffffffffffffffff\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "\u00ff\u0000",
  ];
  const all = [...parts, ...headers, ...bodies];
  const outcomes = new Map<string, number>();
  const { url } = await receivers.listenRaw((socket) => {
    socket.on("data", () => {
      let answer = random.integer(3) === 0 ? "" : `HTTP/1.1 ${random.pick(["200", "204", "103", "500", "000"])} OK\r\n`;
      for (let i = random.integer(8); i > 0; i--) answer += `${random.pick(all)}${random.pick(["", "\r\n"])}`;
      socket.write(answer);
      if (random.integer(4) > 0) socket.end();
    });
  });
  for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 50 }, sendOne));
  await wide.close();
  expect([...outcomes.keys()].sort()).toEqual(["answer", "timeout", "unreachable"]);

  async function sendOne(): Promise<void> {
    const sent = wide.send(request(url, { timeoutMs: 200, responseBytesMax: random.integer(5) }));
    const outcome = await sent.then(
      ({ status }) => (status >= 200 ? "answer" : `status ${status}`),
      () => failureOf(sent).then(({ reason }) => reason),
    );
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
});

/** Until the other side has heard of it. */
async function waitFor(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !condition(); i++) await delay(10);
  expect(condition()).toBe(true);
}
