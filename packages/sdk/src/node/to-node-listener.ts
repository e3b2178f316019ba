/**
 * A fetch handler, such as that of a webhook, behind `createServer` of node:http: for whoever has no framework that
 * speaks `Request` and `Response`. Bodies are small here, so both are held whole.
 */
import type { IncomingMessage, ServerResponse } from "node:http";

export interface NodeListenerOptions {
  /** A longer body is refused with 413; 8 MiB without it, which is more than any event has. */
  bodyBytesMax?: number;
}

/** Whatever the handler throws is answered with 500, and told to `console.error`. */
export function toNodeListener(
  handler: (request: Request) => Response | Promise<Response>,
  { bodyBytesMax = 8 * 1024 * 1024 }: NodeListenerOptions = {},
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (incoming, outgoing) => {
    const leaving = new AbortController();
    outgoing.once("close", () => outgoing.writableFinished || leaving.abort());
    try {
      const body = await bodyOf(incoming, bodyBytesMax);
      if (body === undefined) {
        // Who is cut off in mid-sentence does not read the refusal; what it still says is dropped.
        incoming.resume();
        return refuse(outgoing, 413, `A body has at most ${bodyBytesMax} bytes here.`);
      }
      const request = requestOf(incoming, body, leaving.signal);
      if (request === undefined) return refuse(outgoing, 400, "This is no request that could be passed on.");
      await send(await handler(request), incoming, outgoing);
    } catch (error) {
      // Who has gone hears of nothing, and that is no failure.
      if (leaving.signal.aborted || incoming.socket.destroyed) return;
      console.error(error);
      refuse(outgoing, 500, "The handler failed.");
    }
  };
}

/** Undefined when it is too long: what comes behind that is never in memory. */
async function bodyOf(incoming: IncomingMessage, bytesMax: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) return undefined;
    chunks.push(chunk);
  }
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body;
}

/** Undefined where its URL, method or headers are none that a `Request` can have. */
function requestOf(
  { headers, method = "GET", socket, url = "/" }: IncomingMessage,
  body: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Request | undefined {
  const entries = Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? ""]).map((one): [string, string] => [name, one]),
  );
  const hasBody = method !== "GET" && method !== "HEAD";
  const origin = `${"encrypted" in socket ? "https" : "http"}://${headers.host ?? "localhost"}`;
  try {
    return new Request(url.startsWith("/") ? origin + url : url, {
      method,
      headers: entries,
      signal,
      ...(hasBody && { body }),
    });
  } catch {
    return undefined;
  }
}

async function send(response: Response, { method }: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const body = new Uint8Array(await response.arrayBuffer());
  outgoing.statusCode = response.status;
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
  outgoing.end(method === "HEAD" ? undefined : body);
}

function refuse(outgoing: ServerResponse, status: number, message: string): void {
  if (outgoing.headersSent) return void outgoing.destroy();
  outgoing.statusCode = status;
  outgoing.setHeader("content-type", "text/plain; charset=utf-8");
  outgoing.end(`${message}\n`);
}
