/** The answers on a connection, taken apart by hand, and what every one of them has to be like. */
import { errorStatus, type StreamEvent } from "@millrace/protocol";

export interface Answer {
  status: number;
  /** By lower-case name. */
  headers: Map<string, string>;
  body: Buffer;
}

/**
 * The answer that begins at a place in what was received, or undefined while it is not whole.
 * @param text what was received, a character for each byte
 */
export function answerAt(text: string, at: number, method: string): { answer: Answer; end: number } | undefined {
  const headEnd = text.indexOf("\r\n\r\n", at);
  if (headEnd === -1) return undefined;
  const [line = "", ...fields] = text.slice(at, headEnd).split("\r\n");
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1];
  if (status === undefined) throw new Error(`no answer begins with ${JSON.stringify(line.slice(0, 200))}`);
  const headers = new Map(fields.map((field) => fieldOf(field)));
  const start = headEnd + 4;
  const none = method === "HEAD" || status === "204" || status === "100";
  const body = none ? { text: "", end: start } : bodyAt(text, start, headers);
  if (body === undefined) return undefined;
  return { answer: { status: Number(status), headers, body: Buffer.from(body.text, "latin1") }, end: body.end };
}

function fieldOf(field: string): [string, string] {
  const colon = field.indexOf(":");
  return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
}

function bodyAt(text: string, start: number, headers: Map<string, string>): { text: string; end: number } | undefined {
  const length = headers.get("content-length");
  if (length !== undefined) {
    const end = start + Number(length);
    return text.length < end ? undefined : { text: text.slice(start, end), end };
  }
  if (headers.get("transfer-encoding") !== "chunked") throw new Error("an answer says neither its length nor chunks");
  const { body, end } = chunksAt(text, start);
  return end === undefined ? undefined : { text: body, end };
}

/** As much of a chunked body as has come; `end` is there when that is all of it. */
export function chunksAt(text: string, start: number): { body: string; end?: number } {
  let body = "";
  for (let at = start; ; ) {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd === -1) return { body };
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const end = lineEnd + 2 + size + 2;
    if (text.length < end) return { body };
    if (size === 0) return { body, end };
    body += text.slice(lineEnd + 2, end - 2);
    at = end;
  }
}

/** What holds for any answer: never a fault of the server, and a refusal is a problem document of the closed set. */
export function expectAnswer({ status, headers, body }: Answer, method: string): void {
  if (status === 200 || status === 204 || status === 100) return;
  if (status < 400 || status >= 500) throw new Error(`${method} was answered with ${status}: ${body}`);
  if (headers.get("content-type") !== "application/problem+json") throw new Error(`${status} is no problem document`);
  if (method === "HEAD") return;
  const { code, status: said } = json(body) as { code: keyof typeof errorStatus; status: number };
  if (errorStatus[code] !== status || said !== status) throw new Error(`${status} with the code ${code}: ${body}`);
}

/** The events of an answer to an append that was 200. */
export function eventsOf(body: Buffer): StreamEvent[] | undefined {
  const { event, events } = json(body) as { event?: StreamEvent; events?: StreamEvent[] };
  return events ?? (event === undefined ? undefined : [event]);
}

export function json(body: Buffer): unknown {
  return JSON.parse(body.toString());
}
