/** A connection to the runner of a sandbox process, over its unix socket. It ends once. */
import { WebSocket } from "ws";
import { heardOf } from "./heard.ts";
import { encodeMessage, type FromRunner, messageBytesMax, type ToRunner } from "./messages.ts";

export interface Line {
  /** @param body the JSON text that belongs to it */
  send(message: ToRunner, body?: string): void;
  close(): void;
  /** Resolves at its end, however that came. */
  readonly closed: Promise<void>;
}

/** A process that listens and says nothing: longer than one that is only busy keeps anybody waiting. */
const openMs = 30_000;

/** Rejects when the process is not there. */
export async function openLine(socketPath: string, hear: (message: FromRunner, body: string) => void): Promise<Line> {
  const bounds = { maxPayload: messageBytesMax, handshakeTimeout: openMs };
  const socket = new WebSocket(`ws+unix:${socketPath}:/`, { perMessageDeflate: false, ...bounds });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("message", (data) => {
    const heard = heardOf(String(data));
    if (heard !== undefined) hear(heard.message, heard.body);
    // What cannot be read was not written by the runner: nothing of it is believed any more.
    else socket.terminate();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  // What it says once it is open is told by its end.
  socket.on("error", () => {});
  return {
    send(message, body) {
      if (socket.readyState === WebSocket.OPEN) socket.send(encodeMessage(message, body));
    },
    close: () => socket.terminate(),
    closed,
  };
}
