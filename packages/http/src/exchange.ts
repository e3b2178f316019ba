/**
 * A request and its answer, as plain as both can be. Routes are functions from one to the other, so the same route
 * serves a web-standard `Request` (any host, and every test in process) and a Node request without the cost of
 * building the former, which on the append route is as much as everything else together.
 */
import { tooLarge } from "./refusals.ts";

export interface Incoming {
  method: string;
  /** Path and query as they were sent, still encoded. */
  url: string;
  /** By lower-case name. */
  header(name: string): string | undefined;
  headerNames(): Iterable<string>;
  /** The whole body. @throws StreamError `too_large`, `request_timeout` */
  body(maxBytes: number): Promise<Uint8Array>;
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal;
}

export interface Outgoing {
  status: number;
  headers: Record<string, string>;
  /** Chunks are asked for one by one: a slow receiver is never read ahead for. */
  body: string | Uint8Array | AsyncIterable<string | Uint8Array>;
}

export function toJson(value: unknown): Outgoing {
  const headers = { "content-type": "application/json", "cache-control": "no-cache" };
  return { status: 200, headers, body: `${JSON.stringify(value)}\n` };
}

export function toIncoming(request: Request): Incoming {
  const { pathname, search } = new URL(request.url);
  return {
    method: request.method,
    url: pathname + search,
    header: (name) => request.headers.get(name) ?? (name === "host" ? new URL(request.url).host : undefined),
    headerNames: () => request.headers.keys(),
    body: (maxBytes) => readBody(request, maxBytes),
    signal: request.signal,
  };
}

export function toResponse({ status, headers, body }: Outgoing, incoming: Incoming): Response {
  if (incoming.method === "HEAD" || status === 204) return new Response(null, { status, headers });
  if (typeof body === "string" || body instanceof Uint8Array)
    return new Response(body as BodyInit, { status, headers });
  return new Response(toReadable(body), { status, headers });
}

async function readBody(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (request.body === null) return new Uint8Array();
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

function toReadable(chunks: AsyncIterable<string | Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(typeof value === "string" ? encoder.encode(value) : value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}
