/**
 * A WebSocket over one connection of its own, by undici's implementation. Nothing is packed (what is packed may unfold
 * to any size), no message is longer than was asked for, and who does not read what it is sent is cut off.
 */
import { once } from "node:events";
import { OutboundError, type OutboundSocket, type SocketRequest } from "@millrace/engine";
import { type Dispatcher, WebSocket } from "undici";
import type { Connection } from "./connection.ts";

export interface Opening extends Pick<SocketRequest, "onMessage"> {
  destination: URL;
  headers: Record<string, string>;
  signal: AbortSignal;
}

/** Sent, and not taken by the system: some of the longest events. */
const unreadBytesMax = 16 * 1024 * 1024;
/** For the other side to say good-bye as well. */
const closingMs = 2_000;
/** "Unsupported data" among the codes that a program may use. */
const unsupportedData = 4003;
const upgraded = 101;
const forbidden = 403;

/** Rejects with the signal's reason, with OutboundError, or with what Node says. */
export async function openWebSocket(connection: Connection, opening: Opening): Promise<OutboundSocket> {
  const { destination, headers, signal, onMessage } = opening;
  const failure: Failure = {};
  signal.throwIfAborted();
  const webSocket = new WebSocket(destination, { headers, dispatcher: upgrading(connection, failure) });
  webSocket.binaryType = "arraybuffer";
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    webSocket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }), { once: true });
  });
  webSocket.addEventListener("message", ({ data }) => {
    if (typeof data === "string") onMessage(data);
    else webSocket.close(unsupportedData, "frames are text");
  });
  // What went wrong is said by the close that follows.
  webSocket.addEventListener("error", () => {});
  await opened(webSocket, closed, signal, () => reasonOf(failure, destination));
  return socketOf(webSocket, closed, connection, destination.origin);
}

function opened(webSocket: WebSocket, closed: Promise<unknown>, signal: AbortSignal, reason: () => unknown) {
  return new Promise<void>((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    webSocket.addEventListener("open", () => {
      signal.removeEventListener("abort", abort);
      resolve();
    });
    void closed.then(() => {
      signal.removeEventListener("abort", abort);
      reject(reason());
    });
  });
}

function socketOf(
  webSocket: WebSocket,
  closed: OutboundSocket["closed"],
  connection: Connection,
  origin: string,
): OutboundSocket {
  let turn: Promise<void> = Promise.resolve();
  let waitingBytes = 0;

  async function write(text: string): Promise<void> {
    if (webSocket.readyState !== WebSocket.OPEN) throw new OutboundError("unreachable", `${origin}: it is closed.`);
    webSocket.send(text);
    const { socket } = connection;
    if (socket?.writableNeedDrain !== true) return;
    await Promise.race([once(socket, "drain").catch(() => {}), closed]);
  }

  return {
    closed,
    send(text) {
      waitingBytes += text.length;
      if (waitingBytes > unreadBytesMax) {
        void connection.destroy();
        return Promise.reject(new OutboundError("unreachable", `${origin}: it does not read what it is sent.`));
      }
      const writing = turn
        .then(() => write(text))
        .finally(() => {
          waitingBytes -= text.length;
        });
      turn = writing.catch(() => {});
      return writing;
    },
    close(code, reason) {
      if (webSocket.readyState !== WebSocket.OPEN) return;
      webSocket.close(code, reason);
      const timer = setTimeout(() => void connection.destroy(), closingMs);
      void closed.then(() => clearTimeout(timer));
    },
  };
}

/** Why it was not opened, which the interface of a WebSocket tells nobody. */
interface Failure {
  status?: number;
  error?: unknown;
}

function reasonOf({ status, error }: Failure, { origin }: URL): unknown {
  if (status !== undefined && status !== upgraded) {
    const redirected = status >= 300 && status < 400 ? " Redirects are not followed." : "";
    return new OutboundError("unreachable", `${origin} answered ${status}, and opened no WebSocket.${redirected}`);
  }
  return error ?? new OutboundError("unreachable", `${origin}: what answered is no WebSocket.`);
}

/** The connection, as a dispatcher that offers no packing and notes how the upgrade went. */
function upgrading({ client }: Connection, failure: Failure): Dispatcher {
  return client.compose((dispatch) => (options, handler) => {
    const headers = Object.entries((options.headers ?? {}) as Record<string, string>);
    const offered = headers.filter(([name]) => name.toLowerCase() !== "sec-websocket-extensions");
    // Not by inheritance: the handlers of undici have private fields.
    const noting: Dispatcher.DispatchHandler = {
      onRequestStart: (...started) => handler.onRequestStart?.(...started),
      onRequestUpgrade: (...given) => handler.onRequestUpgrade?.(...given),
      onResponseStart(controller, status, ...rest) {
        failure.status = status;
        // At 401 and 421 the Fetch standard, by which a WebSocket is opened, asks once more.
        handler.onResponseStart?.(controller, status === upgraded ? status : forbidden, ...rest);
      },
      onResponseData: (...received) => handler.onResponseData?.(...received),
      onResponseEnd: (...ended) => handler.onResponseEnd?.(...ended),
      onResponseError(controller, error) {
        failure.error ??= error;
        handler.onResponseError?.(controller, error);
      },
    };
    return dispatch({ ...options, headers: Object.fromEntries(offered) }, noting);
  });
}
