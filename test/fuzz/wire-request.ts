/** A request as it goes over the wire: nothing is put right, completed or sent in another order. */
import type { SeededRandom } from "@millrace/testing";

export interface WireRequest {
  method: string;
  target: string;
  headers: [name: string, value: string][];
  body?: Uint8Array;
  chunked?: boolean;
}

/** The bytes of a request that is whole. */
export function encode({ method, target, headers, body, chunked }: WireRequest, random: SeededRandom): Buffer {
  const framing: [string, string][] = [];
  if (chunked) framing.push(["Transfer-Encoding", "chunked"]);
  else if (body !== undefined) framing.push(["Content-Length", String(body.length)]);
  const lines = [...headers, ...framing].map(([name, value]) => `${name}: ${value}\r\n`);
  const head = Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`, "latin1");
  if (body === undefined) return chunked ? Buffer.concat([head, lastChunk]) : head;
  return Buffer.concat(chunked ? [head, ...chunksOf(body, random), lastChunk] : [head, body]);
}

const lastChunk = Buffer.from("0\r\n\r\n");

function chunksOf(body: Uint8Array, random: SeededRandom): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    const size = 1 + random.integer(random.pick([3, 100, 100_000]));
    const piece = body.subarray(at, at + size);
    const extension = random.integer(10) === 0 ? ";name=value" : "";
    pieces.push(Buffer.from(`${piece.length.toString(16)}${extension}\r\n`), piece, Buffer.from("\r\n"));
    at += size;
  }
  return pieces;
}

/** Cuts bytes where a network might. */
export function torn(bytes: Buffer, random: SeededRandom): Buffer[] {
  if (random.integer(4) > 0 || bytes.length < 2) return [bytes];
  const cuts = Array.from({ length: 1 + random.integer(3) }, () => random.integer(bytes.length)).sort((a, b) => a - b);
  return [...cuts, bytes.length].map((cut, i) => bytes.subarray(i === 0 ? 0 : cuts[i - 1], cut));
}
