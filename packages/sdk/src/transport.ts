/** How a request gets to the server and its answer back: `fetch`, or what a host has that costs less. */

export interface Sending {
  method: string;
  headers: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
}

/** What the client reads of a `Response`: either `text()` or `body`, and that once. */
export interface Answer extends Pick<Response, "url" | "status" | "text"> {
  headers: Pick<Headers, "get" | "has">;
  body: ReadableStream<Uint8Array> | null;
}

/**
 * Resolves when status and headers are there; rejects when no answer comes, or with the signal's reason.
 * @throws TypeError at once for what can never be sent, such as a header of two lines
 */
export type Transport = (url: string, request: Sending) => Promise<Answer>;

export function fetchTransport(handle?: (request: Request) => Promise<Response>): Transport {
  // Looked up at each call: who replaces the global `fetch` later, a test or a tracer, is heard as well.
  const send = handle ?? ((request: Request) => fetch(request));
  return (url, request) => send(new Request(url, request));
}
