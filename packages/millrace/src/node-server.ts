/**
 * A Node HTTP server in front of a handler. Append and read go straight from the Node request to the route; all else
 * goes through `fetch`. Whatever arrives gets an answer or a closed connection (what Node's parser refuses: unparsed.ts).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import type { Handler, Incoming, Outgoing } from "@millrace/http";
import { type ErrorCode, type ErrorData, type Limits, StreamError } from "@millrace/protocol";
import { createUnparsed, type Unparsed } from "./unparsed.ts";

const keepAliveMs = 60_000;
/** How often Node looks for requests that take too long; the sum with `requestMs` stays under 35 s. */
const timeoutCheckMs = 2_000;
/** A sender that was refused may finish its sentence, so that it reads the refusal instead of a reset. */
const lingerMs = 1_000;

export function createNodeServer(handler: Handler, limits: Limits): Server {
  const viaFetch = getRequestListener((request) => handler.fetch(request), {
    overrideGlobalObjects: false,
    hostname: "localhost", // for HTTP/1.0, which need not send a Host
    errorHandler: (error) => refuseRequest(error, handler),
  });
  const unparsed = createUnparsed(handler, limits);
  const options = {
    maxHeaderSize: limits.headerBytes,
    requestTimeout: limits.requestMs,
    headersTimeout: limits.requestMs,
    connectionsCheckingInterval: timeoutCheckMs,
    keepAliveTimeout: keepAliveMs,
    noDelay: true,
    requireHostHeader: false, // asked for below
  };
  const server = createServer(options, (request, response) => {
    if (!unparsed.parsed(request, response)) return;
    if (request.headers.host === undefined && request.httpVersion === "1.1") {
      send(request, response, handler.refuse(noHost()));
      return;
    }
    const answer = handler.hot(new NodeIncoming(request, response));
    if (answer !== undefined) void answer.then((outgoing) => send(request, response, outgoing));
    else if (dotSegment.test(request.url as string)) send(request, response, handler.refuse(dots()));
    else void viaFetch(request, response);
  });
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    // Behind an answer that is under way Node would put it between the headers and the body of this one. Without it Node
    // ends the connection with the answer, but says so only when that is written; what comes behind has to know before.
    if (unparsed.isQuiet(request.socket)) response.writeContinue();
    else response.shouldKeepAlive = false;
    server.emit("request", request, response);
  });
  refuseInsteadOfNode(server, handler, unparsed);
  return server;
}

/** What Node refuses by itself it refuses without a problem document, and some of it before earlier answers are out. */
function refuseInsteadOfNode(server: Server, handler: Handler, unparsed: Unparsed): void {
  server.on("clientError", (error, socket) => unparsed.refuse(error, socket as Socket));
  // Without a listener Node cuts the connection, and with it the answers to what came before.
  server.on("connect", ({ method }: IncomingMessage, socket) => {
    const allow = "GET, HEAD, POST, DELETE, OPTIONS";
    const message = `${method} is not possible here; ${allow} are.`;
    unparsed.refuse(refusal("method_not_allowed", message, { allow }), socket as Socket);
  });
  // Only 100-continue can be met. Node's own answer to anything else would be no problem document.
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    if (!unparsed.parsed(request, response)) return;
    const message = `Only "Expect: 100-continue" can be met; got "${request.headers.expect}".`;
    send(request, response, handler.refuse(refusal("invalid_request", message, { field: "Expect" })));
  });
}

function noHost(): StreamError {
  return refusal("invalid_request", "A request of HTTP/1.1 says in Host whom it asks.", { field: "Host" });
}

/** A `Request` would resolve the dots into another path than the one that was sent. */
const dotSegment = /^[^?]*\/(?:\.|%2e){1,2}(?:[/?]|$)/i;

function dots(): StreamError {
  return refusal("invalid_request", "A path has no segments of dots alone.", { field: "path" });
}

/** A class, because one is made for every request and its methods need not be. */
class NodeIncoming implements Incoming {
  readonly method: string;
  readonly url: string;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #leaving: AbortController | undefined;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.method = request.method as string;
    this.url = originForm(request.url as string);
    this.#request = request;
    this.#response = response;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  headerNames(): Iterable<string> {
    return Object.keys(this.#request.headers);
  }

  body(maxBytes: number): Promise<Uint8Array> {
    return readBody(this.#request, maxBytes);
  }

  get signal(): AbortSignal {
    if (this.#leaving === undefined) {
      const leaving = new AbortController();
      this.#leaving = leaving;
      this.#response.once("close", () => leaving.abort());
    }
    return this.#leaving.signal;
  }
}

/** Proxies may send the whole URL; what counts is what stands behind the host. */
function originForm(target: string): string {
  if (target.startsWith("/") || !URL.canParse(target)) return target;
  const { pathname, search } = new URL(target);
  return pathname + search;
}

function readBody(request: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) {
      reject(tooLarge(maxBytes));
      return;
    }
    let only: Buffer | undefined;
    let chunks: Buffer[] | undefined;
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) {
        request.removeAllListeners("data");
        chunks = undefined;
        reject(tooLarge(maxBytes));
      } else if (only === undefined) only = chunk;
      else if (chunks === undefined) chunks = [only, chunk];
      else chunks.push(chunk);
    });
    request.on("end", () => resolve(chunks === undefined ? (only ?? Buffer.alloc(0)) : Buffer.concat(chunks)));
    // "close" comes last and always, also after a connection that broke in the middle.
    request.on("close", () => {
      if (!request.complete) reject(cutOff());
    });
    request.on("error", ignore);
  });
}

function send(request: IncomingMessage, response: ServerResponse, outgoing: Outgoing): void {
  const { status, headers, body } = outgoing;
  if (!request.complete) {
    headers.connection = "close";
    response.shouldKeepAlive = false;
  }
  if (request.method === "HEAD" || status === 204) {
    response.writeHead(status, headers);
    response.end();
  } else if (typeof body === "string" || body instanceof Uint8Array) {
    headers["content-length"] = String(Buffer.byteLength(body));
    response.writeHead(status, headers);
    if (request.complete) response.end(body);
    else endAfter(request, response, body);
  } else {
    response.writeHead(status, headers);
    // A live reader wants to know that it is let in, though there may be nothing to send for a long time.
    response.flushHeaders();
    void pump(body, response);
  }
}

/**
 * Refused before the body had arrived: what still comes is thrown away, for a moment. The whole answer is sent first,
 * but the response ends later, because with its end Node closes the connection, and the answer would be lost to a reset.
 */
function endAfter(request: IncomingMessage, response: ServerResponse, body: string | Uint8Array): void {
  response.write(body);
  const timer = setTimeout(() => response.end(), lingerMs).unref();
  request.once("close", () => {
    clearTimeout(timer);
    response.end();
  });
  request.resume();
}

/** One chunk at a time: a receiver that reads nothing holds one chunk and the socket's buffer, nothing more. */
async function pump(chunks: AsyncIterable<string | Uint8Array>, response: ServerResponse): Promise<void> {
  try {
    for await (const chunk of chunks) {
      if (response.destroyed) return;
      if (!response.write(chunk)) await drained(response);
    }
    response.end();
  } catch {
    // The status is sent, so the only honest answer left is a connection that ends too early.
    response.destroy();
  }
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

/** What Node's parser lets through but no `Request` can hold, such as a Host with a space in it. */
function refuseRequest(error: unknown, handler: Handler): Response {
  const message = `This is not an HTTP request that can be understood (${(error as Error).message}).`;
  const { status, headers, body } = handler.refuse(refusal("invalid_request", message, {}));
  return new Response(body as string, { status, headers });
}

function refusal<Code extends ErrorCode>(code: Code, message: string, data: ErrorData[Code]): StreamError {
  return new StreamError(code, message, data) as StreamError;
}

function tooLarge(limit: number): StreamError {
  return refusal("too_large", `A request body has at most ${limit} bytes.`, { limit, unit: "bytes" });
}

function ignore(): void {}

function cutOff(): StreamError {
  return refusal("invalid_request", "The body ended before it was whole.", {});
}
