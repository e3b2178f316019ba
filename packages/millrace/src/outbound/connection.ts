/** One connection, or what will be one with the first request: one request at a time, closed when it lies idle. */
import type { Socket } from "node:net";
import { Client } from "undici";
import type { DestinationRule } from "./destination.ts";
import { type Lookup, openSocket } from "./open-socket.ts";

export interface Connection {
  readonly client: Client;
  readonly openedAtMs: number;
  /** Once it is being opened. */
  readonly socket: Socket | undefined;
  /** Cuts it, also while it is being opened. */
  destroy(): Promise<void>;
}

export interface ConnectionOptions {
  lookup: Lookup;
  rule: DestinationRule;
  idleMs: number;
  headerBytesMax: number;
  /** Of one message, where it becomes a WebSocket. */
  messageBytesMax?: number;
  /** The other side closed it, or it lay idle for too long. */
  onClosed(connection: Connection): void;
}

export function openConnection(destination: URL, options: ConnectionOptions): Connection {
  const { lookup, rule, idleMs, headerBytesMax, messageBytesMax = 0, onClosed } = options;
  // undici does not give up a socket that is still connecting, so it is kept here.
  let socket: Socket | undefined;

  const client = new Client(destination.origin, {
    pipelining: 1,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: idleMs,
    maxHeaderSize: headerBytesMax,
    webSocket: { maxPayloadSize: messageBytesMax },
    // One deadline covers everything; whoever sends keeps it.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect(_options, callback) {
      const opening = openSocket(destination, lookup, rule);
      socket = opening;
      let answered = false;
      opening.once(destination.protocol === "https:" ? "secureConnect" : "connect", () => {
        answered = true;
        callback(null, opening);
      });
      opening.on("error", (error) => {
        if (!answered) callback(error, null);
        answered = true;
      });
    },
  });

  const connection: Connection = {
    client,
    openedAtMs: performance.now(),
    get socket() {
      return socket;
    },
    async destroy() {
      const destroyed = client.destroy();
      socket?.destroy();
      await destroyed;
    },
  };
  client.on("disconnect", () => onClosed(connection));
  return connection;
}
