/**
 * Requests over `node:http`, for programs that append much or live short: Node's own `fetch` costs a multiple of it for
 * each request, and its first use compiles a parser, which takes as long as starting Node. Connections are kept by the
 * global agents. Redirects are not followed.
 */
import { setMaxListeners } from "node:events";
import { type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { Answer, Transport } from "../transport.ts";

/** An address behind which nobody answers at all would otherwise take the system's two minutes. */
const connectMs = 10_000;

export const httpTransport: Transport = (url, { method, headers, body, signal }) => {
  const start = url.startsWith("https:") ? requestHttps : requestHttp;
  const outgoing = start(url, { method, headers: { "user-agent": "millrace", ...headers } });
  const abort = () => outgoing.destroy(toError(signal?.reason));
  return new Promise<Answer>((resolve, reject) => {
    outgoing.on("response", (incoming: IncomingMessage) => resolve(toAnswer(url, incoming)));
    outgoing.on("error", (error) => reject(signal?.aborted ? signal.reason : named(error)));
    outgoing.on("close", () => signal?.removeEventListener("abort", abort));
    outgoing.on("socket", (socket) => socket.connecting && limitConnecting(socket, outgoing));
    if (signal !== undefined) {
      // Many requests may end by the same signal; Node would take that for a leak, and say so.
      setMaxListeners(0, signal);
      signal.addEventListener("abort", abort);
      if (signal.aborted) abort();
    }
    // Of a body that comes with the end, Node says the length by itself.
    outgoing.end(body);
  });
};

function limitConnecting(socket: Socket, outgoing: ClientRequest): void {
  const late = setTimeout(() => outgoing.destroy(new Error(`no connection within ${connectMs} ms`)), connectMs);
  for (const settled of ["connect", "close"]) socket.once(settled, () => clearTimeout(late));
}

function toAnswer(url: string, incoming: IncomingMessage): Answer {
  let body: ReadableStream<Uint8Array> | undefined;
  return {
    url,
    status: incoming.statusCode as number,
    headers: {
      get: (name) => incoming.headersDistinct[name]?.join(", ") ?? null,
      has: (name) => incoming.headersDistinct[name] !== undefined,
    },
    text: () => textOf(incoming),
    get body() {
      body ??= Readable.toWeb(incoming) as ReadableStream<Uint8Array>;
      return body;
    },
  };
}

function textOf(incoming: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => resolve(Buffer.concat(chunks).toString()));
    incoming.on("error", reject);
    if (incoming.destroyed) reject(new Error("the answer broke off"));
  });
}

/** A signal is aborted with whatever its owner likes. */
function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** A name with several addresses fails with an error that has no message, only the code. */
function named(error: NodeJS.ErrnoException): Error {
  return error.message === "" ? new Error(error.code ?? error.name, { cause: error.cause }) : error;
}
