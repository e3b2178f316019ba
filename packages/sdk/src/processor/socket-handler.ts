/**
 * Runs a processor behind a WebSocket that a server opens: takes the events of a WebSocket subscription, and
 * acknowledges each when the processor has acted on it and that is saved. Many come before the first is acknowledged;
 * they are answered in order. For whatever accepts WebSockets: Node with `ws`, Workers, Deno, Bun.
 */
import { Webhook } from "standardwebhooks";
import { createPushedRuns, isStreamEvent, type PushedOptions } from "./pushed-runs.ts";

export interface SocketHandlerOptions extends PushedOptions {
  /** As the first answer to `subscription/configured` showed it, or as it was stored. Without it nobody is believed. */
  signingSecret: string;
}

/** What it needs of an accepted WebSocket. */
export interface AcceptedSocket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  /** Of a Worker's `WebSocketPair`: before that it neither sends nor tells anything. May have been called already. */
  accept?(): void;
  addEventListener(type: "message", listener: (message: { data: unknown }) => void): void;
}

/** Of the request that was upgraded. */
export type UpgradeHeaders =
  | { entries(): Iterable<[string, string]> }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

export interface SocketHandler {
  /** Takes deliveries over it from now on; closes it where the request was not signed. */
  (socket: AcceptedSocket, headers: UpgradeHeaders): void;
  /** Why such a request is not to be upgraded; undefined where it is. */
  refusal(headers: UpgradeHeaders): string | undefined;
  /** Aborts what runs, saves, and closes what is open. */
  stop(): Promise<void>;
}

const normal = 1000;
/** "Unauthorized" among the codes that a program may use. */
const unauthorized = 4401;
/** As many bytes as the reason of a close may have. */
const reasonCharactersMax = 40;

export function createSocketHandler(options: SocketHandlerOptions): SocketHandler {
  const verifier = new Webhook(options.signingSecret);
  const runs = createPushedRuns(options);
  const sockets = new Set<AcceptedSocket>();

  function refusal(headers: UpgradeHeaders): string | undefined {
    try {
      verifier.verify("", recordOf(headers));
      return undefined;
    } catch (error) {
      return `The signature does not hold: ${(error as Error).message}.`;
    }
  }

  function accept(socket: AcceptedSocket, headers: UpgradeHeaders): void {
    const refused = refusal(headers);
    if (refused === undefined) listen(socket, headers);
    socket.accept?.();
    if (refused !== undefined) socket.close(unauthorized, refused.slice(0, reasonCharactersMax));
  }

  function listen(socket: AcceptedSocket, headers: UpgradeHeaders): void {
    const [streamId = ""] = (recordOf(headers)["webhook-id"] ?? "").split(".");
    let answered: Promise<unknown> = Promise.resolve();
    sockets.add(socket);
    socket.addEventListener("message", ({ data }) => {
      answered = hear(data, streamId, answered).then((answer) => {
        if (answer !== undefined) send(socket, answer);
      });
    });
    // An accepted socket of any host has it, in types of its own.
    const closing = socket as { addEventListener(type: string, listener: () => void): void };
    closing.addEventListener("close", () => {
      sockets.delete(socket);
      // Hosts answer a close by themselves; that of a Worker leaves it to its program.
      close(socket);
    });
  }

  async function hear(data: unknown, streamId: string, front: Promise<unknown>): Promise<object | undefined> {
    const frame = frameOf(data);
    // What it does not know is not for it: answers to appends, refusals.
    if (frame?.type !== "event") return undefined;
    const { event, after, offset } = frame;
    if (!isStreamEvent(event) || !Number.isSafeInteger(after)) {
      return error(offset, "This is no event: a subscription that delivers to a processor has no jsonataTransform.");
    }
    const refused = runs.refusal(event.streamPath);
    if (refused !== undefined) return error(offset, refused);
    try {
      await runs.take({ event, streamId, after: after as number }, front);
      return { type: "ack", offset: event.offset };
    } catch (failure) {
      return error(event.offset, (failure as Error).message);
    }
  }

  return Object.assign(accept, {
    refusal,
    async stop() {
      await runs.stop();
      for (const socket of sockets) close(socket, normal, "The processor was stopped.");
    },
  });
}

function send(socket: AcceptedSocket, frame: object): void {
  try {
    socket.send(JSON.stringify(frame));
  } catch {
    // It was closed meanwhile; the event comes again over another one.
  }
}

function close(socket: AcceptedSocket, code?: number, reason?: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It is closed.
  }
}

function error(offset: unknown, message: string): object {
  return { type: "error", ...(Number.isSafeInteger(offset) ? { offset } : {}), code: "failed", message };
}

function frameOf(data: unknown): Record<string, unknown> | undefined {
  try {
    const frame: unknown = typeof data === "string" ? JSON.parse(data) : undefined;
    return typeof frame === "object" && frame !== null ? (frame as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function recordOf(headers: UpgradeHeaders): Record<string, string> {
  const entries = typeof headers.entries === "function" ? [...headers.entries()] : Object.entries(headers);
  return Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), String(value)]));
}
