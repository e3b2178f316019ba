/**
 * The way out for code that is not the server's own: any request, streamed both ways, and WebSockets, by the same rule
 * of destinations as everything else (see Outbound). Whoever uses it judges what may be sent; it judges where to.
 */

/** In order; a name may come more than once. Values are Latin letters, a byte each, as HTTP has them. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

export interface StreamRequest {
  /** http or https. */
  url: string;
  /** Any but CONNECT. */
  method: string;
  /** In whose name: no connection serves two, should one of them lead a host astray about where its request ends. */
  owner?: string;
  /** Without those of the connection: where the message ends and whose it is, the adapter says itself. */
  headers: HeaderList;
  /**
   * Sent as it comes, and no quicker than the other side takes it; the head may wait for its first byte. `length` where
   * it is known, in bytes.
   */
  body?: { stream: ReadableStream<Uint8Array>; length?: number };
  /** From the call until the request is on its way: a free connection, the name, the connection, TLS. */
  connectMs: number;
  /** From then on until the head of the answer. What follows has no limit but the signal. */
  answerMs: number;
  /** Cuts it at any time, also while the body of the answer is read. */
  signal: AbortSignal;
}

export interface StreamAnswer {
  status: number;
  /** Names in lower case. Without what belongs to the connection only; packed bodies stay packed. */
  headers: HeaderList;
  /**
   * No more is taken from the other side than is read here. Fails with OutboundError when it is cut before its end; to
   * cancel it cuts the connection. It has to be read to its end or cancelled.
   */
  body: ReadableStream<Uint8Array>;
}

/** A request that is to become a WebSocket; its `sec-websocket-` headers are those of whoever speaks it. */
export type UpgradeRequest = Omit<StreamRequest, "method" | "body">;

export type UpgradeAnswer =
  | ({ is: "answered" } & StreamAnswer)
  /** Status 101: from here on bytes, both ways, which nobody here reads. Either end closes both. */
  | {
      is: "open";
      headers: HeaderList;
      readable: ReadableStream<Uint8Array>;
      writable: WritableStream<Uint8Array>;
    };

export interface OutboundStreams {
  /** Sends once: no redirect is followed, nothing is repeated. Resolves with the head of the answer; rejects with OutboundError. */
  exchange(request: StreamRequest): Promise<StreamAnswer>;
  /** The same for a WebSocket. */
  upgrade(request: UpgradeRequest): Promise<UpgradeAnswer>;
}
