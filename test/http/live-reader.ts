/** A reader that stays: gives one frame (or line) after the other, and never waits for ever. */
import type { StreamEvent } from "@millrace/protocol";
import type { TestServer } from "./servers.ts";

export interface LiveReader {
  response: Response;
  /** The next frame without its blank line; undefined when the server ended the answer. */
  frame(): Promise<string | undefined>;
  /** The event in the next frame that holds one. */
  event(): Promise<StreamEvent>;
  close(): void;
}

const patienceMs = 10_000;

export async function openLive(
  server: TestServer,
  target: string,
  headers: Record<string, string> = {},
  /** What stands between two frames: a blank line, or for NDJSON a line break. */
  separator = "\n\n",
): Promise<LiveReader> {
  const leaving = new AbortController();
  const response = await inTime(server.send(target, { headers, signal: leaving.signal }), "the answer's head");
  const chunks = (response.body as ReadableStream<Uint8Array>)
    .pipeThrough(new TextDecoderStream() as never)
    .getReader();
  let text = "";

  async function frame(): Promise<string | undefined> {
    for (;;) {
      const end = text.indexOf(separator);
      if (end !== -1) {
        const found = text.slice(0, end);
        text = text.slice(end + separator.length);
        return found;
      }
      const { done, value } = await inTime(chunks.read() as Promise<{ done: boolean; value?: string }>, "a frame");
      if (done) return undefined;
      text += value;
    }
  }

  return {
    response,
    frame,
    async event() {
      for (;;) {
        const next = await frame();
        if (next === undefined) throw new Error("the stream of events ended");
        const data = separator === "\n" ? next : /^data: (.*)$/m.exec(next)?.[1];
        if (data !== undefined && !next.includes("event: caught-up")) return JSON.parse(data) as StreamEvent;
      }
    },
    close() {
      leaving.abort();
      chunks.closed.catch(() => {});
      chunks.cancel().catch(() => {});
    },
  };
}

async function inTime<Value>(promise: Promise<Value>, what: string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${patienceMs} ms`)), patienceMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
