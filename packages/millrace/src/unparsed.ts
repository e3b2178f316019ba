/**
 * The order of things on one connection, where requests come before the answers to earlier ones are out.
 *
 * What Node's parser refuses is answered with the same problem documents as everything else, and the connection ends.
 * It may stand right behind good requests whose answers are still being made. A refusal that overtook them would be
 * read as the answer to the first of them, and an append that is on disk would look refused; so it waits for them. And
 * what comes behind the request that ends a connection is not taken on: nobody could be told what became of it.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Handler } from "@millrace/http";
import { type Limits, StreamError } from "@millrace/protocol";

/** How long the answers to what came before may take: a live read never ends. */
const answeringMs = 10_000;
/** The same behind a request that did not arrive in its 30 s: still under 35 s. */
const answeringLateMs = 2_000;
/** The sender may finish its sentence, so that it reads the refusal instead of a reset. */
const lingerMs = 1_000;

export interface Unparsed {
  /**
   * A request whose headers could be parsed: what cannot be parsed from now on is its body, or stands behind it. False
   * when it must not be taken on, because the connection ends with the answer before.
   */
  parsed(request: IncomingMessage, response: ServerResponse): boolean;
  /** Whether the answers to all that came before on this connection are out. */
  isQuiet(socket: Socket): boolean;
  /** Ends a connection behind the answers that are under way. */
  refuse(error: NodeJS.ErrnoException | StreamError, socket: Socket): void;
}

export function createUnparsed(handler: Handler, limits: Limits): Unparsed {
  const exchanges = new WeakMap<Socket, Exchange>();
  const refused = new WeakSet<Socket>();

  function answer(error: NodeJS.ErrnoException | StreamError, socket: Socket): void {
    if (!socket.writable || (socket.bytesWritten > 0 && error.code === "ECONNRESET")) {
      socket.destroy();
      return;
    }
    const { latest } = exchanges.get(socket) ?? {};
    const answered = latest !== undefined && !latest.request.complete && latest.response.headersSent;
    socket.end(answered ? "" : responseText(handler, error instanceof StreamError ? error : refusalOf(error, limits)));
    setTimeout(() => socket.destroy(), lingerMs).unref();
  }

  return {
    parsed(request, response) {
      const before = exchanges.get(request.socket)?.latest.response;
      if (before?.shouldKeepAlive === false) return false;
      // Behind an upgrade that nobody took up Node's parser keeps silent about what it cannot parse, and waits.
      if (request.headers.upgrade !== undefined) response.shouldKeepAlive = false;
      exchanges.set(request.socket, { latest: { request, response }, before });
      return true;
    },
    isQuiet: (socket) => unfinished(exchanges.get(socket)?.latest.response) === undefined,
    refuse(error, socket) {
      // Every further piece that arrives is one more error of the same parser.
      if (refused.has(socket)) return;
      refused.add(socket);
      const response = unfinishedBefore(exchanges.get(socket));
      if (response === undefined) {
        answer(error, socket);
        return;
      }
      const isLate = "code" in error && error.code === "ERR_HTTP_REQUEST_TIMEOUT";
      const timer = setTimeout(() => socket.destroy(), isLate ? answeringLateMs : answeringMs).unref();
      response.once("close", () => {
        clearTimeout(timer);
        answer(error, socket);
      });
    },
  };
}

/** The last request of a connection, and the response to the one before. Responses go out in order. */
interface Exchange {
  latest: { request: IncomingMessage; response: ServerResponse };
  before: ServerResponse | undefined;
}

/** What has to go out before a refusal may: when it is done, all before it are too. */
function unfinishedBefore(exchange: Exchange | undefined): ServerResponse | undefined {
  if (exchange === undefined) return undefined;
  const { latest, before } = exchange;
  return unfinished(latest.request.complete ? latest.response : before);
}

function unfinished(response: ServerResponse | undefined): ServerResponse | undefined {
  return response === undefined || response.writableFinished || response.destroyed ? undefined : response;
}

function responseText(handler: Handler, error: StreamError): string {
  const { status, headers, body } = handler.refuse(error);
  const all = { ...headers, "content-length": Buffer.byteLength(body as string), connection: "close" };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${reasonOf(status)}\r\n${head.join("")}\r\n${body}`;
}

function refusalOf(error: NodeJS.ErrnoException, limits: Limits): StreamError {
  switch (error.code) {
    case "HPE_HEADER_OVERFLOW": {
      const message = `The headers of a request have at most ${limits.headerBytes} bytes.`;
      return new StreamError("headers_too_large", message, { limit: limits.headerBytes });
    }
    case "ERR_HTTP_REQUEST_TIMEOUT": {
      const message = `A request has to arrive whole within ${limits.requestMs / 1000} s.`;
      return new StreamError("request_timeout", message, { timeoutMs: limits.requestMs });
    }
    default: {
      const message = `This is not an HTTP request that can be understood (${error.message}).`;
      return new StreamError("invalid_request", message, {});
    }
  }
}

function reasonOf(status: number): string {
  return STATUS_CODES[status] ?? "Refused";
}
