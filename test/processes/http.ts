/** Requests to a server in another process. Plain `fetch`, as in a user's program; but no answer is waited for for ever. */
import { builtinPrefix, type StreamEvent } from "@millrace/protocol";
import { within } from "./within.ts";

export const builtin = (name: string): string => builtinPrefix + name;

/** Turns the rate limit of a stream off, for tests that are about something else. */
export const breakerOff = {
  type: builtin("circuit-breaker-configured"),
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};

export function postJson(
  url: string,
  path: string,
  value: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const request = { method: "POST", body: JSON.stringify(value) };
  return answerOf(`${url}/api/streams${path}`, {
    ...request,
    headers: { "content-type": "application/json", ...headers },
  });
}

/** As `fetch`; rejects where nothing is answered. */
export function answerOf(url: string, request: RequestInit = {}): Promise<Response> {
  return within(`an answer to ${request.method ?? "GET"} ${url}`, fetch(url, request));
}

/** The whole body; rejects where it does not end. */
export function textOf(response: Response): Promise<string> {
  return within(`the end of the answer of ${response.url}`, response.text());
}

export async function append(
  url: string,
  path: string,
  value: unknown,
  headers: Record<string, string> = {},
): Promise<StreamEvent[]> {
  const response = await postJson(url, path, value, headers);
  const text = await textOf(response);
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text.slice(0, 500)}`);
  const answer = JSON.parse(text) as { event?: StreamEvent; events?: StreamEvent[] };
  return answer.events ?? [answer.event as StreamEvent];
}

export async function readAll(url: string, path: string, project = "public", query = ""): Promise<StreamEvent[]> {
  const headers = { "x-project-slug": project };
  const response = await answerOf(`${url}/api/streams${path}?format=ndjson${query}`, { headers });
  const text = await textOf(response);
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text}`);
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as StreamEvent);
}

export async function getJson(url: string, target: string, project = "public") {
  const response = await answerOf(url + target, { headers: { "x-project-slug": project } });
  const text = await textOf(response);
  if (response.status !== 200) throw new Error(`${target}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Follows a stream live until `enough` says so; fails when that takes too long. */
export async function follow(
  url: string,
  path: string,
  query: string,
  enough: (event: StreamEvent) => boolean,
  patienceMs = 30_000,
): Promise<void> {
  const leaving = new AbortController();
  const timer = setTimeout(() => leaving.abort(new Error(`${path}: not enough within ${patienceMs} ms`)), patienceMs);
  try {
    const target = `${url}/api/streams${path}?live=true&format=ndjson${query}`;
    const { body } = await fetch(target, { signal: leaving.signal });
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() as string;
      for (const line of lines) if (enough(JSON.parse(line))) return;
    }
    throw new Error(`${path}: the read ended`);
  } finally {
    clearTimeout(timer);
    leaving.abort();
  }
}
