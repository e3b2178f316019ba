/** One connection to an answer that goes on: server-sent events as text, until it ends or is silent for too long. */
import { type Call, type Connection, toUnreachable } from "./connection.ts";
import { unexpectedAnswer } from "./problem.ts";
import type { Answer } from "./transport.ts";

/** The server gives a sign of life every 15 to 30 s. Silence for longer is a connection that nobody told us is dead. */
const silenceMs = 60_000;
/** The first words come at once. What holds them back, such as a proxy that buffers, would hold back events as well. */
const firstWordsMs = 15_000;

export interface LiveAnswer {
  response: Answer;
  /** What comes, as it comes. */
  texts(): AsyncGenerator<string>;
}

export async function openLive(
  connection: Connection,
  route: string,
  call: Pick<Call, "query" | "headers">,
  signal: AbortSignal,
): Promise<LiveAnswer> {
  const response = await open(connection, route, call, signal);
  const url = connection.urlOf(route);
  const { body } = response;
  if (!response.headers.get("content-type")?.startsWith("text/event-stream") || body === null) {
    throw unexpectedAnswer(url, response.status, await response.text());
  }
  return { response, texts: () => textOf(body, url, signal) };
}

async function open(
  connection: Connection,
  route: string,
  { query, headers }: Pick<Call, "query" | "headers">,
  signal: AbortSignal,
): Promise<Answer> {
  const attempt = new AbortController();
  const abort = () => attempt.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    const call = { query, headers: { accept: "text/event-stream", ...headers }, signal: attempt.signal };
    return await inTime(connection.send(route, call), firstWordsMs);
  } catch (error) {
    attempt.abort();
    throw toUnreachable(error, connection.urlOf(route), signal);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function* textOf(body: ReadableStream<Uint8Array>, url: string, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  // Not left to `fetch` alone: an injected one may not know signals.
  const cancel = () => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel);
  let patienceMs = firstWordsMs;
  try {
    for (;;) {
      const { done, value } = await inTime(reader.read(), patienceMs);
      patienceMs = silenceMs;
      if (signal.aborted) throw signal.reason;
      if (done) return;
      yield decoder.decode(value, { stream: true });
    }
  } catch (error) {
    throw toUnreachable(error, url, signal);
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}

/** Only waiting is limited: a consumer may take all the time it wants for an event. */
async function inTime<Value>(waiting: Promise<Value>, patienceMs: number): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(silent(patienceMs / 1_000))), patienceMs);
  });
  try {
    return await Promise.race([waiting, silence]);
  } finally {
    clearTimeout(timer);
  }
}

const silent = (seconds: number): string =>
  `silent for ${seconds} s; a proxy in between may hold back what is sent live`;
