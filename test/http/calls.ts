/** What tests say to a server, in their own words. */
import { errorStatus, type StreamEvent } from "@millrace/protocol";
import { expect } from "vitest";
import type { Sending, TestServer } from "./servers.ts";

export const builtin = (name: string): string => `https://events.iterate.com/events/stream/${name}`;
export const json = "application/json";
export const ndjson = "application/x-ndjson";
export const form = "application/x-www-form-urlencoded";

let streams = 0;

/** A path that no other test uses. */
export function freshPath(name = "stream"): string {
  return `/${name}-${++streams}`;
}

export interface Posting {
  contentType?: string;
  headers?: Record<string, string>;
  query?: string;
}

/** Sends a body to a stream as it is. */
export function post(
  server: TestServer,
  path: string,
  body: string | Uint8Array,
  { contentType, headers = {}, query = "" }: Posting = {},
): Promise<Response> {
  const type: Record<string, string> = contentType === undefined ? {} : { "content-type": contentType };
  return server.send(`/api/streams${path}${query}`, { method: "POST", body, headers: { ...type, ...headers } });
}

/** Appends one event or a batch, and gives what was stored. */
export async function append(
  server: TestServer,
  path: string,
  value: unknown,
  headers: Record<string, string> = {},
): Promise<StreamEvent[]> {
  const response = await post(server, path, JSON.stringify(value), { contentType: json, headers });
  return storedIn(response);
}

/** The events of an answer to an append. */
export async function storedIn(response: Response): Promise<StreamEvent[]> {
  const text = await response.text();
  expect(response.status, text.slice(0, 500)).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/json");
  const answer = JSON.parse(text) as { event?: StreamEvent; events?: StreamEvent[] };
  return answer.events ?? [answer.event as StreamEvent];
}

/** An event without what the server alone decides: what the sender could have written. */
export function asSent({ streamPath: _path, offset: _offset, createdAt: _at, ...rest }: StreamEvent) {
  return rest;
}

/** What an invalid event says is wrong. */
export function errorOf(event: StreamEvent | undefined): string {
  return (event as StreamEvent<{ error: string }>).payload.error;
}

/** Everything in a stream. */
export async function readAll(server: TestServer, path: string, query = ""): Promise<StreamEvent[]> {
  const response = await server.send(`/api/streams${path}?format=ndjson${query}`);
  expect(response.status).toBe(200);
  const text = await response.text();
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as StreamEvent);
}

export async function readJson(server: TestServer, target: string, sending: Sending = {}) {
  const response = await server.send(target, sending);
  const text = await response.text();
  expect(response.status, text.slice(0, 500)).toBe(200);
  return JSON.parse(text);
}

export interface Problem {
  code: string;
  detail: string;
  [name: string]: unknown;
}

/** The problem document of a refusal, after it was seen to be one of the closed set. */
export async function refused(response: Response, code: keyof typeof errorStatus): Promise<Problem> {
  const text = await response.text();
  expect(response.status, text.slice(0, 500)).toBe(errorStatus[code]);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const body = JSON.parse(text) as Problem;
  const title = code.charAt(0).toUpperCase() + code.slice(1).replaceAll("_", " ");
  expect(body).toMatchObject({ type: `urn:millrace:error:${code}`, title, status: errorStatus[code], code });
  expect(body.detail.length).toBeGreaterThan(10);
  return body;
}
