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

export interface Outbound {
  /** Sends once: no redirect is followed, nothing is repeated. Rejects with OutboundError. */
  send(request: OutboundRequest): Promise<OutboundResponse>;
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
