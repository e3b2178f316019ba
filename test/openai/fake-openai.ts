/**
 * OpenAI's Responses API on loopback, as far as an agent meets it: streaming, with the events and fields of the real
 * one, and its errors. What it says is chosen by the test, one script for each request.
 */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  authorization: string | undefined;
  headers: IncomingHttpHeaders;
  body: { model: string; instructions?: string; input: unknown; stream?: boolean };
  /** Resolves when the connection is gone: true if whoever asked went before the answer was complete. */
  left: Promise<boolean>;
  /** How many deltas were sent. */
  sent: number;
}

export type Script =
  /** Deltas in turn. `untilLeft`: behind them nothing comes, until whoever asked goes. */
  | { deltas: readonly string[]; everyMs?: number; end?: "completed" | "cut" | "untilLeft" | "failed" }
  | { status: 401 | 429 | 500; message: string }
  | { redirectTo: string };

export interface FakeOpenai {
  /** With `/v1`, as a client takes it. */
  url: string;
  host: string;
  asked: Asked[];
  /** What is answered to the next requests, in order; behind them the words of the question are said backwards. */
  next(...scripts: Script[]): void;
  /** Resolves when so many were asked. */
  whenAsked(count: number): Promise<Asked>;
  close(): Promise<void>;
}

/** @param key the only one that it takes */
export async function startFakeOpenai(key: string): Promise<FakeOpenai> {
  const asked: Asked[] = [];
  const scripts: Script[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await textOf(request)) as Asked["body"];
    const { headers } = request;
    const { authorization } = headers;
    const left = once(response, "close").then(() => !response.writableFinished);
    const one: Asked = { authorization, headers, body, left, sent: 0 };
    asked.push(one);
    for (const look of waiting) look();
    if (request.method !== "POST" || request.url !== "/v1/responses") return fail(response, 404, "Unknown URL.");
    if (authorization !== `Bearer ${key}`) return fail(response, 401, "Incorrect API key provided.");
    const script = scripts.shift() ?? { deltas: backwards(body.input) };
    if ("status" in script) return fail(response, script.status, script.message);
    if ("redirectTo" in script) return void response.writeHead(307, { location: script.redirectTo }).end();
    await stream(response, one, script);
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${host}/v1`,
    host,
    asked,
    next: (...more) => void scripts.push(...more),
    whenAsked: (count) =>
      new Promise((resolve) => {
        const look = () => {
          if (asked.length < count) return;
          waiting.delete(look);
          resolve(asked[count - 1] as Asked);
        };
        waiting.add(look);
        look();
      }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function stream(
  response: ServerResponse,
  asked: Asked,
  { deltas, everyMs = 0, end = "completed" }: Extract<Script, { deltas: unknown }>,
): Promise<void> {
  let number = 0;
  const say = (type: string, fields: object) => {
    const data = JSON.stringify({ type, sequence_number: number++, ...fields });
    response.write(`event: ${type}\ndata: ${data}\n\n`);
  };
  const place = { item_id: "msg_1", output_index: 0, content_index: 0 };
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_1" });
  say("response.created", { response: responseOf(asked, "in_progress", []) });
  say("response.in_progress", { response: responseOf(asked, "in_progress", []) });
  say("response.output_item.added", { output_index: 0, item: messageOf("in_progress", []) });
  say("response.content_part.added", { ...place, part: partOf("") });
  for (const delta of deltas) {
    if (everyMs > 0) await later(everyMs);
    if (response.destroyed) return;
    say("response.output_text.delta", { ...place, delta, logprobs: [] });
    asked.sent++;
  }
  if (end === "untilLeft") return;
  if (end === "cut") return void response.destroy();
  if (end === "failed") {
    const error = { code: "server_error", message: "The model had a bad day." };
    say("response.failed", { response: { ...responseOf(asked, "failed", []), error } });
    return void response.end();
  }
  const text = deltas.join("");
  say("response.output_text.done", { ...place, text, logprobs: [] });
  say("response.content_part.done", { ...place, part: partOf(text) });
  const item = messageOf("completed", [partOf(text)]);
  say("response.output_item.done", { output_index: 0, item });
  say("response.completed", { response: responseOf(asked, "completed", [item]) });
  response.end();
}

function responseOf({ body }: Asked, status: string, output: readonly object[]): object {
  const { model, instructions = null } = body;
  const usage = status === "completed" ? { input_tokens: 1, output_tokens: 1, total_tokens: 2 } : null;
  return { id: "resp_1", object: "response", created_at: 1, status, error: null, instructions, model, output, usage };
}

const messageOf = (status: string, content: readonly object[]) => ({
  id: "msg_1",
  type: "message",
  status,
  content,
  role: "assistant",
});

const partOf = (text: string) => ({ type: "output_text", annotations: [], logprobs: [], text });

function fail(response: ServerResponse, status: number, message: string): void {
  const type = status === 429 ? "insufficient_quota" : "invalid_request_error";
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ error: { message, type, param: null, code: null } }));
}

/** The last thing that was said, its words in the other order. */
function backwards(input: unknown): string[] {
  const last = Array.isArray(input) ? (input.at(-1) as { content: string }).content : String(input);
  return last
    .split(" ")
    .reverse()
    .map((word, i) => (i === 0 ? word : ` ${word}`));
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

function later(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
