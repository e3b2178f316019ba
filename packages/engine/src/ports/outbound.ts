/**
 * The way out: requests to hosts that a stream names. Where they may lead is the adapter's rule, looked at before every
 * request and again once the name is resolved; whoever asks need not know it.
 */
export interface OutboundRequest {
  /** http or https. */
  url: string;
  method: "POST";
  headers: Readonly<Record<string, string>>;
  body: string;
  /** From the call to the end of the answer, or of what is read of it. */
  timeoutMs: number;
  /** What comes behind this is not read; the answer counts all the same. */
  responseBytesMax: number;
  signal: AbortSignal;
}

export interface OutboundResponse {
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  /** As much as was read, as text. */
  body: string;
}

/** A WebSocket to be opened: the request that is to be upgraded. */
export interface SocketRequest extends Pick<OutboundRequest, "url" | "headers" | "signal"> {
  /** From the call until it is open. */
  timeoutMs: number;
  /** A longer message closes it, before it is read. */
  messageBytesMax: number;
  /** Each message of the other side, in order. */
  onMessage(text: string): void;
}

export interface OutboundSocket {
  /**
   * One message after the other. Resolves when there is room for more, rejects with OutboundError when it is closed, and
   * closes it where the other side does not read what it is sent.
   */
  send(text: string): Promise<void>;
  /**
   * With 1000, or 4000 to 4999, which are a program's own. The other side has a moment to answer, then it is cut. Again,
   * or after the end, it does nothing.
   */
  close(code: number, reason: string): void;
  /** Resolves at its end, however that came: the code and the reason that were given, 1006 where none was. */
  readonly closed: Promise<{ code: number; reason: string }>;
}

export interface Outbound {
  /** Sends once: no redirect is followed, nothing is repeated. Rejects with OutboundError. */
  send(request: OutboundRequest): Promise<OutboundResponse>;
  /** Opens a socket, once, by the same rule; the signal cuts it only until it is open. Rejects with OutboundError. */
  connect(request: SocketRequest): Promise<OutboundSocket>;
  /** Cuts what is under way. */
  close(): Promise<void>;
}

/**
 * "refused": it may not be sent there. "unreachable": no whole answer came. "timeout": not in time. "aborted": by its
 * signal. Recognised by name. A message never holds a header's value.
 */
export class OutboundError extends Error {
  override readonly name = "OutboundError";
  readonly reason: "refused" | "unreachable" | "timeout" | "aborted";

  constructor(reason: OutboundError["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

export function isOutboundError(error: unknown): error is OutboundError {
  return error instanceof Error && error.name === "OutboundError";
}
