/**
 * `?type=<type>`: any body as the payload of that type, the easy way to receive a third party's webhook or a web form.
 * What was around the body goes to `metadata.request`, so that a signature can still be checked later; credentials
 * never do.
 */
import { type JsonObject, type JsonValue, jsonFault } from "@millrace/protocol";
import { toBase64 } from "./base64.ts";
import type { Incoming } from "./exchange.ts";

const keptHeaders = /^(?:webhook-|svix-|stripe-signature$|x-hub-signature|x-github-|x-slack-)/;
/** Ours, or a credential: not part of what the sender said. */
const ownParameters = new Set(["type", "raw", "project", "token"]);

export async function wrappedPayload(
  bytes: Uint8Array,
  text: string | undefined,
  contentType: string,
  depthMax: number,
): Promise<{ payload: JsonValue; sentText: string }> {
  const sentText = text ?? toBase64(bytes);
  if (/^multipart\/form-data\b/i.test(contentType)) {
    return { payload: (await multipartPayload(bytes, contentType)) ?? sentText, sentText };
  }
  if (text === undefined) return { payload: sentText, sentText };
  const json = parseJson(text, depthMax);
  if (json !== undefined) return { payload: json, sentText };
  if (/^application\/x-www-form-urlencoded\b/i.test(contentType))
    return { payload: fields(new URLSearchParams(text)), sentText };
  return { payload: text, sentText };
}

/** @param sentText the body as it came; kept with `raw=true`, so that a signature over it can be checked */
export function requestMetadata(incoming: Incoming, query: URLSearchParams, sentText: string): JsonObject {
  const request: JsonObject = {};
  const contentType = incoming.header("content-type");
  const userAgent = incoming.header("user-agent");
  if (contentType !== undefined) request.contentType = contentType;
  if (userAgent !== undefined) request.userAgent = userAgent;
  const sent = new URLSearchParams([...query].filter(([name]) => !ownParameters.has(name)));
  if (sent.size > 0) request.query = fields(sent);
  const headers: JsonObject = {};
  for (const name of incoming.headerNames()) {
    if (keptHeaders.test(name)) headers[name] = incoming.header(name) ?? "";
  }
  if (Object.keys(headers).length > 0) request.headers = headers;
  if (query.get("raw") === "true") request.raw = sentText;
  return request;
}

/** Undefined for what is no JSON, or cannot be kept exactly. */
function parseJson(text: string, depthMax: number): JsonValue | undefined {
  try {
    const value = JSON.parse(text) as JsonValue;
    return jsonFault(value, depthMax, "") === undefined ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A field that is sent once is a string, one that is sent several times a list. */
function fields(entries: Iterable<[string, JsonValue]>): JsonObject {
  const object: JsonObject = {};
  for (const [name, value] of entries) {
    const before = Object.hasOwn(object, name) ? object[name] : undefined;
    const next = before === undefined ? value : Array.isArray(before) ? [...before, value] : [before, value];
    Object.defineProperty(object, name, { value: next, enumerable: true, configurable: true, writable: true });
  }
  return object;
}

async function multipartPayload(bytes: Uint8Array, contentType: string): Promise<JsonObject | undefined> {
  try {
    const form = await new Response(bytes as BodyInit, { headers: { "content-type": contentType } }).formData();
    const entries: [string, JsonValue][] = [];
    for (const [name, value] of form) entries.push([name, typeof value === "string" ? value : await fileValue(value)]);
    return fields(entries);
  } catch {
    return undefined;
  }
}

async function fileValue(file: File): Promise<JsonObject> {
  const base64 = toBase64(new Uint8Array(await file.arrayBuffer()));
  return { filename: file.name, contentType: file.type, base64 };
}
