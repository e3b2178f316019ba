/**
 * The way out, over undici: each request once, to where the rule lets it, within its time. No redirect is followed,
 * nothing is repeated, no cookie is kept, no proxy of the environment is asked, and HTTP/1.1 is all that is spoken.
 */
import { lookup as lookUp } from "node:dns/promises";
import { setMaxListeners } from "node:events";
import {
  type Outbound,
  OutboundError,
  type OutboundRequest,
  type OutboundResponse,
  type OutboundSocket,
  type OutboundStreams,
  type SocketRequest,
} from "@millrace/engine";
import { type Connection, openConnection } from "./connection.ts";
import { createConnections } from "./connections.ts";
import { toDestination } from "./destination.ts";
import { exchange } from "./exchange.ts";
import { toOutboundError } from "./failure.ts";
import type { Lookup } from "./open-socket.ts";
import { toRequestHeaders } from "./request-headers.ts";
import { createStreams } from "./streams.ts";
import { openWebSocket } from "./web-socket.ts";

export interface OutboundOptions {
  /** Lets requests go to this machine and to private networks too. */
  allowPrivateDestinations?: boolean;
  /** All addresses of a name; the system's own way without it. Asked once for each connection. */
  lookup?: Lookup;
  /** At the same time to one origin. A receiver that hangs holds up no more than these. */
  connectionsPerOrigin?: number;
  /** At the same time to all. */
  connections?: number;
  /** The same for streams, which last for as long as they are used. They take no connection from anybody else. */
  streamsPerOrigin?: number;
  streams?: number;
  /** WebSockets at the same time; one more is "unreachable". */
  sockets?: number;
  /** Requests that wait for a connection; one more is "unreachable". */
  waitingMax?: number;
  /** After which an unused connection is closed. */
  idleMs?: number;
  /** After which a connection is not used again, so that a name that moves is followed. */
  connectionAgeMs?: number;
  /** Of an answer, all headers together. */
  responseHeaderBytesMax?: number;
}

const systemLookup: Lookup = async (hostname) => (await lookUp(hostname, { all: true })).map(({ address }) => address);

export function createOutbound(options: OutboundOptions = {}): Outbound & OutboundStreams {
  const rule = { allowPrivateDestinations: options.allowPrivateDestinations ?? false };
  const connectionOptions = {
    rule,
    lookup: options.lookup ?? systemLookup,
    idleMs: options.idleMs ?? 4_000,
    headerBytesMax: options.responseHeaderBytesMax ?? 16 * 1024,
  };
  const bounded = (perOrigin: number, total: number) =>
    createConnections({
      perOrigin,
      total,
      waitingMax: options.waitingMax ?? 10_000,
      ageMaxMs: options.connectionAgeMs ?? 60_000,
      open: (destination, onClosed) => openConnection(destination, { ...connectionOptions, onClosed }),
    });
  const connections = bounded(options.connectionsPerOrigin ?? 16, options.connections ?? 256);
  const streams = createStreams(rule, bounded(options.streamsPerOrigin ?? 512, options.streams ?? 2_048));
  const underWay = new Set<AbortController>();
  const socketsMax = options.sockets ?? 1_000;
  /** Open, or being opened. */
  const sockets = new Set<Connection>();
  let closed = false;

  async function send(request: OutboundRequest): Promise<OutboundResponse> {
    const destination = toDestination(request.url, rule);
    const headers = toRequestHeaders(request.headers);
    if (closed) throw closing();
    const deadline = startDeadline(request, destination);
    underWay.add(deadline.cut);
    try {
      return await sendOver(request, destination, headers, deadline);
    } catch (error) {
      throw toOutboundError(error, destination);
    } finally {
      underWay.delete(deadline.cut);
      deadline.stop();
    }
  }

  async function sendOver(
    { body, responseBytesMax }: OutboundRequest,
    destination: URL,
    headers: Record<string, string>,
    { cut: { signal }, onStage }: Deadline,
  ): Promise<OutboundResponse> {
    const connection = await connections.acquire(destination, signal);
    let reusable = false;
    try {
      onStage("connection");
      const request = { destination, headers, body, responseBytesMax, signal, onStage };
      const { response, whole } = await exchange(connection.client, request);
      reusable = whole;
      return response;
    } finally {
      connections.release(connection, reusable);
    }
  }

  async function connect(request: SocketRequest): Promise<OutboundSocket> {
    const destination = toDestination(request.url, rule);
    const headers = toRequestHeaders(request.headers);
    if (closed) throw closing();
    if (sockets.size >= socketsMax) {
      throw new OutboundError("unreachable", `${socketsMax} WebSockets are open already; no more may.`);
    }
    const { messageBytesMax, onMessage } = request;
    const connection = openConnection(destination, { ...connectionOptions, messageBytesMax, onClosed: () => {} });
    const leave = () => {
      sockets.delete(connection);
      void connection.destroy();
    };
    sockets.add(connection);
    const deadline = startDeadline(request, destination);
    deadline.onStage("open WebSocket");
    underWay.add(deadline.cut);
    const { signal } = deadline.cut;
    try {
      const socket = await openWebSocket(connection, { destination, headers, signal, onMessage });
      void socket.closed.then(leave);
      return socket;
    } catch (error) {
      leave();
      throw toOutboundError(error, destination);
    } finally {
      underWay.delete(deadline.cut);
      deadline.stop();
    }
  }

  return {
    send,
    connect,
    exchange: streams.exchange,
    upgrade: streams.upgrade,
    async close() {
      closed = true;
      for (const cut of underWay) cut.abort(closing());
      await Promise.all([...sockets].map((connection) => connection.destroy()));
      await Promise.all([connections.close(), streams.close()]);
    },
  };
}

interface Deadline {
  /** Aborted with the OutboundError that the sender gets. */
  cut: AbortController;
  onStage(missing: string): void;
  stop(): void;
}

/** One for the whole of a request: a connection to be free, the name, the connection, TLS, headers, body. */
function startDeadline(
  { timeoutMs, signal }: Pick<OutboundRequest, "timeoutMs" | "signal">,
  { origin }: URL,
): Deadline {
  const cut = new AbortController();
  let missing = "connection was free";
  const timer = setTimeout(() => {
    cut.abort(new OutboundError("timeout", `${origin}: no ${missing} within ${timeoutMs} ms.`));
  }, timeoutMs);
  const abort = () => cut.abort(new OutboundError("aborted", `${origin}: the request was aborted.`));
  // One signal may stand for many requests, such as all of a server that stops; Node would warn of a leak.
  setMaxListeners(0, signal);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return {
    cut,
    onStage(next) {
      missing = next;
    },
    stop() {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    },
  };
}

function closing(): OutboundError {
  return new OutboundError("aborted", "Requests are no longer sent: the way out is closed.");
}
