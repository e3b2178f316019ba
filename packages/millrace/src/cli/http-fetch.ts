/**
 * `fetch` over `node:http`, for commands that live as long as one request: the first use of Node's own `fetch` compiles
 * a parser, which costs as much as starting Node. Redirects are not followed.
 */
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Readable } from "node:stream";

/** An address behind which nobody answers at all would otherwise take the system's two minutes. */
const connectMs = 10_000;

export async function httpFetch(request: Request): Promise<Response> {
  const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
  const start = request.url.startsWith("https:") ? (await import("node:https")).request : httpRequest;
  const headers: Record<string, string> = { "user-agent": "millrace", ...Object.fromEntries(request.headers) };
  if (body !== undefined) headers["content-length"] = String(body.byteLength);
  const options: RequestOptions = { method: request.method, headers, signal: request.signal };
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = start(request.url, options, resolve);
    const late = setTimeout(() => outgoing.destroy(new Error(`no connection within ${connectMs} ms`)), connectMs);
    const connected = () => clearTimeout(late);
    outgoing.on("socket", (socket) => (socket.connecting ? socket.once("connect", connected) : connected()));
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      connected();
      reject(named(error));
    });
    outgoing.end(body);
  });
  const answered = new Headers();
  for (const [name, values = []] of Object.entries(incoming.headersDistinct)) {
    for (const value of values) answered.append(name, value);
  }
  const status = incoming.statusCode as number;
  const empty = [204, 205, 304].includes(status);
  if (empty) incoming.resume();
  const stream = empty ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>);
  return new Response(stream, { status, headers: answered });
}

/** A name with several addresses fails with an error that has no message, only the code. */
function named(error: NodeJS.ErrnoException): Error {
  return error.message === "" ? new Error(error.code ?? error.name, { cause: error.cause }) : error;
}
