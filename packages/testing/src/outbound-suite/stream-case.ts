/** What a case of the OutboundStreams suite is given, and what most of them need. */
import type { HeaderList, OutboundStreams, StreamAnswer, StreamRequest, UpgradeAnswer } from "@millrace/engine";

/** What a receiver got: its body is still to come. */
export interface StreamReceived {
  method: string;
  url: string;
  /** Names in lower case. */
  headers: HeaderList;
  body: ReadableStream<Uint8Array>;
}

/** Bytes both ways. */
export interface OpenStreams {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
}

/** Where the body fails, the connection is cut. */
export type StreamReceiverAnswer =
  | { status: number; headers?: HeaderList; body?: ReadableStream<Uint8Array> }
  | { open(streams: OpenStreams): void; headers?: HeaderList }
  | "never"
  | "closes";

export type StreamReceiver = (received: StreamReceived) => StreamReceiverAnswer | Promise<StreamReceiverAnswer>;

export interface OutboundStreamsFixture {
  outbound: OutboundStreams & { close(): Promise<void> };
  /** A new receiver at a URL of its own. */
  serve(receiver: StreamReceiver): Promise<string>;
  /** A URL where nobody listens. */
  readonly nowhere: string;
  /** Lets time pass until this is settled, where time does not pass by itself. */
  until<Value>(promise: Promise<Value>): Promise<Value>;
  dispose(): Promise<void>;
}

export interface StreamCase {
  name: string;
  run(fixture: OutboundStreamsFixture): Promise<void>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function streamRequest(url: string, given: Partial<StreamRequest> = {}): StreamRequest {
  const { signal } = new AbortController();
  return { url, method: "GET", headers: [], connectMs: 10_000, answerMs: 10_000, signal, ...given };
}

export function exchange(
  { outbound, until }: OutboundStreamsFixture,
  url: string,
  given: Partial<StreamRequest> = {},
): Promise<StreamAnswer> {
  return until(outbound.exchange(streamRequest(url, given)));
}

export function upgrade(
  { outbound, until }: OutboundStreamsFixture,
  url: string,
  given: Partial<StreamRequest> = {},
): Promise<UpgradeAnswer> {
  const headers: HeaderList = [
    ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="],
    ["sec-websocket-version", "13"],
  ];
  return until(outbound.upgrade(streamRequest(url, { headers, ...given })));
}

/** A stream that is written from outside, piece by piece. */
export function createPieces(): {
  stream: ReadableStream<Uint8Array>;
  write(text: string): void;
  end(): void;
  fail(): void;
  /** Resolves when its reader does not want any more. */
  cancelled: Promise<void>;
} {
  let sink: ReadableStreamDefaultController<Uint8Array>;
  let cancel = () => {};
  const cancelled = new Promise<void>((resolve) => {
    cancel = resolve;
  });
  const stream = new ReadableStream<Uint8Array>({
    start(given) {
      sink = given;
    },
    cancel,
  });
  return {
    stream,
    write: (text) => sink.enqueue(encoder.encode(text)),
    end: () => sink.close(),
    fail: () => sink.error(new Error("cut off")),
    cancelled,
  };
}

export function streamOf(text: string): ReadableStream<Uint8Array> {
  const pieces = createPieces();
  pieces.write(text);
  pieces.end();
  return pieces.stream;
}

export async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.getReader();
  let text = "";
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    text += decoder.decode(next.value, { stream: true });
  }
  return text;
}

/** One piece after the other, as text; undefined at the end. */
export function piecesOf(stream: ReadableStream<Uint8Array>): () => Promise<string | undefined> {
  const reader = stream.getReader();
  return async () => {
    const { done, value } = await reader.read();
    return done ? undefined : decoder.decode(value);
  };
}
