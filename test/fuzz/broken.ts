/** Connections that break: bytes that were hit, halves of requests, senders and readers that leave. */
import type { StreamEvent } from "@millrace/protocol";
import type { SeededRandom } from "@millrace/testing";
import { type Connection, open } from "../serve/sockets.ts";
import { answerAt, eventsOf } from "./answers.ts";
import type { Ledger } from "./ledger.ts";
import { count, type Figures } from "./talk.ts";
import { encode, type WireRequest } from "./wire-request.ts";

export interface RubbishWorld {
  port: number;
  ledger: Ledger;
  figures: Figures;
  /** Half a request was sent on these, and nothing since. */
  silent: { connection: Connection; since: number }[];
}

/** What is drawn for a request: most of these use only a part of it. */
export interface Sample {
  body: string | Uint8Array;
  headers: Record<string, string | undefined>;
  query: string;
}

/**
 * Bytes of a request that were hit by something. What follows is such that whatever could be a request is over, so the
 * server has to close; only where it was made to wait for a long body it does not, and then nothing was whole.
 */
export async function mangle(
  { port, ledger, figures }: RubbishWorld,
  random: SeededRandom,
  one: Sample,
): Promise<void> {
  figures.conversations.mangled++;
  const framing = random.pick<[string, string][]>([
    [],
    [["Content-Length", String(random.integer(300))]],
    [["Content-Length", random.pick(["-1", "1e3", "0x10", "99999999999999999999", "+5"])]],
    [["Transfer-Encoding", random.pick(["chunked", "gzip", "identity", "chunked, chunked", "xchunked"])]],
    [["Transfer-Encoding ", "chunked"]],
  ]);
  const own: [string, string][] = [["Host", "localhost"], ...framing];
  const request: WireRequest = { method: "POST", target: `/mangled/${random.integer(20)}`, headers: own };
  const bytes = hit(encode({ ...request, body: bytesOf(one.body), chunked: random.integer(3) === 0 }, random), random);
  const connection = await open(port);
  connection.socket.write(Buffer.concat([bytes, Buffer.from(`\r\n\r\n\0${"\0rubbish".repeat(20_000)}\r\n\r\n`)]));
  figures.sent++;
  const waiting = setTimeout(() => connection.socket.destroy(), 10_000);
  const text = await connection.closed;
  clearTimeout(waiting);
  connection.socket.destroy();
  for (let found = answerAt(text, 0, "POST"); found !== undefined; found = answerAt(text, found.end, "POST")) {
    const { answer } = found;
    if (answer.status === 100) continue;
    count(answer, "POST", figures);
    if (answer.status === 200) ledger.acknowledge("public", eventsOf(answer.body) as StreamEvent[]);
  }
}

function hit(bytes: Buffer, random: SeededRandom): Buffer {
  let all = bytes;
  for (let hits = random.integer(4); hits > 0; hits--) {
    const at = random.integer(all.length);
    const put = Buffer.from(Array.from({ length: random.integer(3) }, () => random.integer(256)));
    all = Buffer.concat([all.subarray(0, at), put, all.subarray(at + random.integer(3))]);
  }
  return all;
}

/** Half a request, and then an end, a reset, or silence. */
export async function half({ port, silent, figures }: RubbishWorld, random: SeededRandom, one: Sample): Promise<void> {
  const request: WireRequest = { method: "POST", target: "/half", headers: [["Host", "localhost"]] };
  const bytes = encode({ ...request, body: Buffer.concat([Buffer.from("x"), bytesOf(one.body)]) }, random);
  const connection = await open(port);
  const part = bytes.subarray(0, 1 + random.integer(bytes.length - 1));
  await new Promise((resolve) => connection.socket.write(part, resolve));
  switch (random.integer(3)) {
    case 0:
      figures.conversations.cut++;
      connection.socket.end();
      await connection.closed;
      return;
    case 1:
      figures.conversations.reset++;
      connection.socket.destroy();
      return;
    default:
      figures.conversations.silent++;
      silent.push({ connection, since: performance.now() });
  }
}

/** A batch whose sender does not wait for the answer. */
export async function leave(
  { port, ledger, figures }: RubbishWorld,
  random: SeededRandom,
  marker: string,
): Promise<void> {
  figures.conversations.left++;
  const count = 1 + random.integer(30);
  ledger.left(marker, count);
  const batch = Buffer.from(JSON.stringify(Array(count).fill({ type: "left", payload: marker })));
  const target = `/left/${random.integer(20)}`;
  const bytes = encode({ method: "POST", target, headers: [["Host", "localhost"]], body: batch }, random);
  const connection = await open(port);
  figures.sent++;
  if (random.integer(2) === 0) connection.socket.write(bytes, () => connection.socket.destroy());
  else connection.socket.end(bytes);
  await connection.closed;
  connection.socket.destroy();
}

/** A live read of whatever kind, left when it has begun. */
export async function peek({ port, figures }: RubbishWorld, one: Sample): Promise<void> {
  figures.conversations.peek++;
  const connection = await open(port);
  connection.socket.write(
    `GET /r/1?live=true&${latin1(one.query).slice(1)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    "latin1",
  );
  figures.sent++;
  await connection.until((text, ended) => text.includes("\r\n\r\n") || ended);
  if (/^HTTP\/1\.1 5/.test(connection.received())) throw new Error(connection.received());
  connection.socket.destroy();
}

export function bytesOf(sent: string | Uint8Array): Buffer {
  return Buffer.from(sent);
}

export function latin1(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}
