/**
 * Bytes between the sandbox and the other side, as they come and no quicker than they are taken. Who goes away takes
 * the other end with it.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Duplex, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import {
  type HeaderList,
  OutboundError,
  type OutboundStreams,
  type StreamRequest,
  type UpgradeRequest,
} from "@millrace/engine";
import { toReadable, toWebStreams } from "../../outbound/web-streams.ts";
import type { OwnAnswer } from "./refusal.ts";
import { answerHeaders } from "./request-head.ts";

/** Of an answer to a request for a WebSocket that is no WebSocket. */
const refusedBodyBytesMax = 64 * 1024;
/** For the second direction, once the first one is at its end. */
const closingMs = 5_000;

/** Rejects where nothing was answered yet; later both ends are cut. */
export async function relayExchange(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  request: Omit<UpgradeRequest, "signal">,
  outbound: OutboundStreams,
): Promise<void> {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  const answer = await outbound.exchange({
    ...request,
    method: incoming.method ?? "GET",
    ...bodyOf(incoming),
    signal: gone.signal,
  });
  try {
    outgoing.writeHead(answer.status, answerHeaders(answer.headers).flat());
  } catch {
    await answer.body.cancel();
    throw new OutboundError("unreachable", "The answer has headers that no answer may have.");
  }
  // Sends the head at once. Node's own way to do that would encode it as UTF-8.
  outgoing.write(Buffer.alloc(0));
  // Both are cut when one fails; there is nobody left to tell.
  await pipeline(Readable.fromWeb(answer.body as NodeReadableStream), outgoing).catch(() => {});
}

/** Resolves when both directions are at their end. */
export async function relayUpgrade(
  socket: Duplex,
  request: Omit<UpgradeRequest, "signal">,
  outbound: OutboundStreams,
): Promise<void> {
  const gone = new AbortController();
  socket.once("close", () => gone.abort());
  const answer = await outbound.upgrade({ ...request, signal: gone.signal });
  if (answer.is === "answered") {
    const { status, headers } = answer;
    return writeWhole(socket, { status, headers: withoutLength(headers), body: await beginningOf(answer.body) });
  }
  const { readable, writable } = answer;
  const head = [["connection", "Upgrade"], ["upgrade", "websocket"], ...answerHeaders(answer.headers)];
  socket.write(headText("101 Switching Protocols", head), "latin1");
  const near = toWebStreams(socket);
  await bothWays(readable.pipeTo(near.writable), near.readable.pipeTo(writable), () => {
    gone.abort();
    socket.destroy();
  });
}

/** The whole answer at once; what comes behind it is not read any more. */
export function writeWhole(socket: Duplex, { status, headers, body }: OwnAnswer): void {
  const head = [...headers, ["content-length", String(body.length)], ["connection", "close"]];
  socket.write(headText(String(status), head), "latin1");
  socket.end(body);
  socket.resume();
}

async function bothWays(there: Promise<void>, back: Promise<void>, cut: () => void): Promise<void> {
  const all = Promise.allSettled([there, back]);
  await Promise.race([there, back]).catch(cut);
  const timer = setTimeout(cut, closingMs);
  await all;
  clearTimeout(timer);
  cut();
}

function bodyOf(incoming: IncomingMessage): { body?: NonNullable<StreamRequest["body"]> } {
  const { "content-length": length, "transfer-encoding": encoding } = incoming.headers;
  if (encoding !== undefined) return { body: { stream: streamOf(incoming) } };
  if (length === undefined || Number(length) === 0) return {};
  return { body: { stream: streamOf(incoming), length: Number(length) } };
}

/** To destroy it would destroy the connection, over which the answer is still to go: what is not wanted is thrown away. */
function streamOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  return toReadable(incoming, () => void incoming.resume());
}

async function beginningOf(body: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = body.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      chunks.push(next.value);
      length += next.value.length;
      if (length >= refusedBodyBytesMax) break;
    }
    await reader.cancel();
  } catch {
    // As much as there was.
  }
  return Buffer.concat(chunks).subarray(0, refusedBodyBytesMax);
}

function withoutLength(headers: HeaderList): [string, string][] {
  return answerHeaders(headers)
    .filter(([name]) => name !== "content-length")
    .map(([name, value]) => [name, value]);
}

function headText(status: string, headers: readonly (readonly string[])[]): string {
  return [`HTTP/1.1 ${status}`, ...headers.map(([name, value]) => `${name}: ${value}`), "", ""].join("\r\n");
}
