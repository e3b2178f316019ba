/**
 * What workerd sends: `POST https://api.example.com/v1 HTTP/1.1`, with what the runner and the harness say of whose it
 * is in headers of their own. They name, and give no right to anything; none of them leaves.
 */
import type { IncomingMessage } from "node:http";
import type { HeaderList } from "@millrace/engine";
import { EgressRefusal, egressHeader } from "./refusal.ts";

export interface RequestHead {
  method: string;
  url: URL;
  /** What is for the other end. */
  headers: HeaderList;
  isolate: string | undefined;
  /** The delivery during which it was made. */
  call: string | undefined;
}

/** These are for the next hop only, beside those that `connection` names. */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Who made it, also where the rest of it is wrong. */
export function callerOf({ headers }: IncomingMessage): Pick<RequestHead, "isolate" | "call"> {
  return { isolate: one(headers["x-millrace-isolate"]), call: one(headers["x-millrace-call"]) };
}

/** @throws EgressRefusal */
export function readHead(incoming: IncomingMessage): RequestHead {
  const { method = "GET", rawHeaders } = incoming;
  // TRACE shows what was sent to whoever asks, secrets too.
  if (method === "CONNECT" || method === "TRACE") {
    throw new EgressRefusal("request", `${method} is not sent to anybody.`);
  }
  return { method, url: urlOf(incoming.url ?? ""), headers: endToEnd(pairsOf(rawHeaders)), ...callerOf(incoming) };
}

function urlOf(target: string): URL {
  if (!/^https?:\/\//i.test(target) || !URL.canParse(target)) {
    throw new EgressRefusal("request", "Expected a request for a whole URL of http or https.");
  }
  return new URL(target);
}

/** Headers that mean something to the other end. */
function endToEnd(headers: HeaderList): HeaderList {
  const named = namedByConnection(headers);
  return headers.filter(([name]) => {
    const lower = name.toLowerCase();
    return !hopByHop.has(lower) && !named.has(lower) && !lower.startsWith("x-millrace-");
  });
}

/** Of an answer: `content-length` is kept, because its body goes on as it is. What no header may have is left out. */
export function answerHeaders(headers: HeaderList): HeaderList {
  const named = namedByConnection(headers);
  return headers.filter(([name, value]) => {
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return false;
    return name === "content-length" || !(hopByHop.has(name) || named.has(name) || name === egressHeader);
  });
}

function namedByConnection(headers: HeaderList): ReadonlySet<string> {
  const connection = headers.filter(([name]) => name.toLowerCase() === "connection");
  return new Set(connection.flatMap(([, value]) => value.split(",")).map((name) => name.trim().toLowerCase()));
}

function pairsOf(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] as string, raw[2 * i + 1] as string]);
}

/** What is longer names nothing. */
const nameCharactersMax = 256;

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" && value.length <= nameCharactersMax ? value : undefined;
}
