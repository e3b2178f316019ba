/**
 * What a POST means. Nothing that is sent is lost: a body that is no event becomes an event that holds it. So this
 * file refuses nothing but what is too large or an empty batch; it only says what each piece of the body is.
 */

import type { AppendInput } from "@millrace/engine";
import {
  canonicalType,
  type EventInput,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  jsonFault,
  type Limits,
  parseEventInput,
} from "@millrace/protocol";
import { toBase64 } from "./base64.ts";
import { elementTexts } from "./element-texts.ts";
import type { Incoming } from "./exchange.ts";
import { invalidRequest, tooLarge } from "./refusals.ts";
import { requestMetadata, wrappedPayload } from "./wrap.ts";

export interface AppendBody {
  inputs: AppendInput[];
  batch: boolean;
}

const invalidType = "https://events.iterate.com/events/stream/invalid-event-appended";
const dynamicWorker = "https://events.iterate.com/events/stream/dynamic-worker/configured";
const byteOrderMark = "\uFEFF";
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** @throws StreamError `too_large`, `invalid_request` */
export function parseAppendBody(
  bytes: Uint8Array,
  incoming: Incoming,
  query: URLSearchParams,
  limits: Limits,
): AppendBody | Promise<AppendBody> {
  const contentType = incoming.header("content-type") ?? "";
  const text = decode(bytes);
  const type = query.get("type");
  if (type !== null) return wrapped(type, bytes, text, incoming, query, limits);
  if (text === undefined) {
    if (bytes.length > limits.eventBytes) throw tooLarge(limits.eventBytes);
    const base64 = toBase64(bytes);
    const input = invalid(base64, "the body is not UTF-8; rawInput holds it as base64", contentType, base64);
    return single(input, base64, incoming, query);
  }
  if (isNdjson(contentType))
    return batchOf(
      text.split(/\r?\n/).filter((line) => line.trim() !== ""),
      undefined,
      bytes.length,
      contentType,
      limits,
    );
  return parseText(text, bytes.length, contentType, incoming, query, limits);
}

/** `?type=`: the body as the payload of that type. */
async function wrapped(
  type: string,
  bytes: Uint8Array,
  text: string | undefined,
  incoming: Incoming,
  query: URLSearchParams,
  limits: Limits,
): Promise<AppendBody> {
  if (bytes.length > limits.eventBytes) throw tooLarge(limits.eventBytes);
  const contentType = incoming.header("content-type") ?? "";
  const { payload, sentText } = await wrappedPayload(bytes, text, contentType, limits.jsonDepth - 1);
  const metadata = { request: requestMetadata(incoming, query, sentText) };
  const parsed = parseEventInput({ type, payload, metadata }, { jsonDepth: limits.jsonDepth });
  const asSent = `${type}\n${sentText}`;
  if (parsed.ok) return { inputs: [{ event: parsed.event, sentText: asSent }], batch: false };
  const rawInput = isForm(contentType) ? sentText : payload;
  return single(invalid(rawInput, parsed.error, contentType, asSent), sentText, incoming, query);
}

function parseText(
  text: string,
  size: number,
  contentType: string,
  incoming: Incoming,
  query: URLSearchParams,
  limits: Limits,
): AppendBody {
  let value: unknown;
  try {
    value = JSON.parse(text.startsWith(byteOrderMark) ? text.slice(1) : text);
  } catch (error) {
    if (size > limits.eventBytes) throw tooLarge(limits.eventBytes);
    const reason = text === "" ? "the body is empty" : `the body is not JSON (${(error as Error).message})`;
    return single(invalid(text, reason, contentType, text), text, incoming, query);
  }
  const elements = elementsOf(value);
  if (elements !== undefined) return batchOf(elements, text, size, contentType, limits);
  const unwrapped = soleKey(value, "event") ? (value as { event: unknown }).event : value;
  const input = toInput(unwrapped, text, contentType, limits);
  checkSize(input, size, limits);
  return input.event.type === invalidType && input.sentText !== undefined
    ? single(input, text, incoming, query)
    : { inputs: [input], batch: false };
}

/** The elements of a batch, or undefined when the value is not one. */
function elementsOf(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value;
  if (!soleKey(value, "events")) return undefined;
  const { events } = value as { events: unknown };
  return Array.isArray(events) ? events : undefined;
}

/**
 * @param elements parsed values when `text` is given, else lines of NDJSON
 * @param text the JSON text they come from
 */
function batchOf(
  elements: unknown[],
  text: string | undefined,
  size: number,
  contentType: string,
  limits: Limits,
): AppendBody {
  if (elements.length === 0) throw invalidRequest("A batch has at least one event; this one is empty.", "events");
  if (elements.length > limits.batchEvents) throw tooLarge(limits.batchEvents, "events");
  let texts: string[] | undefined;
  const inputs = elements.map((element, index) => {
    if (text === undefined) return fromLine(element as string, contentType, limits);
    const textOfElement = () => {
      texts ??= elementTexts(text);
      return texts[index] as string;
    };
    const input = toInput(element, textOfElement, contentType, limits);
    if (size > limits.eventBytes) checkSize(input, utf8Length(textOfElement()), limits);
    return input;
  });
  return { inputs, batch: true };
}

function fromLine(line: string, contentType: string, limits: Limits): AppendInput {
  const input = parseLine(line, contentType, limits);
  checkSize(input, utf8Length(line), limits);
  return input;
}

function parseLine(line: string, contentType: string, limits: Limits): AppendInput {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return invalid(line, `the line is not JSON (${(error as Error).message})`, contentType, line);
  }
  return toInput(value, line, contentType, limits);
}

/** An event is as large as what was received for it, alone or in a batch. */
function checkSize(input: AppendInput, size: number, limits: Limits): void {
  if (size <= limits.eventBytes) return;
  const limit =
    canonicalType(declaredType(input.event)) === dynamicWorker ? limits.deployedEventBytes : limits.eventBytes;
  if (size > limit) throw tooLarge(limit);
}

/** What the sender meant it to be, also when it turned out not to be that. */
function declaredType({ type, payload }: EventInput): string {
  if (type !== invalidType) return type;
  const { rawInput } = payload as JsonObject;
  return isJsonObject(rawInput) && typeof rawInput.type === "string" ? rawInput.type : type;
}

/** Bytes of a text, without making them: ASCII has one for a character, nothing has more than three. */
function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) length += code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 1 : 2;
  }
  return length;
}

/** @param text what was sent for this value; read only when it is needed */
function toInput(value: unknown, text: string | (() => string), contentType: string, limits: Limits): AppendInput {
  const parsed = parseEventInput(value, { jsonDepth: limits.jsonDepth });
  if (parsed.ok) {
    const { idempotencyKey } = parsed.event;
    return idempotencyKey === undefined ? { event: parsed.event } : { event: parsed.event, idempotencyKey };
  }
  const sentText = typeof text === "string" ? text : text();
  // What JSON cannot hold exactly is kept as the text that was sent.
  const exact =
    typeof value === "object" || isJson(contentType) ? jsonFault(value, limits.jsonDepth - 2, "") === undefined : false;
  const input = invalid(exact ? (value as JsonValue) : sentText, parsed.error, contentType, sentText);
  if (parsed.idempotencyKey !== undefined) {
    input.idempotencyKey = parsed.idempotencyKey;
    input.event.idempotencyKey = parsed.idempotencyKey;
  }
  return input;
}

function invalid(rawInput: JsonValue, error: string, contentType: string, sentText: string): AppendInput {
  const payload: JsonObject = { rawInput, error };
  if (contentType !== "") payload.contentType = contentType;
  return { event: { type: invalidType, payload }, sentText };
}

/** A body that is one invalid event keeps what came around it: a webhook's signature, a query. */
function single(input: AppendInput, sentText: string, incoming: Incoming, query: URLSearchParams): AppendBody {
  input.event.metadata = { request: requestMetadata(incoming, query, sentText) };
  return { inputs: [input], batch: false };
}

function soleKey(value: unknown, key: string): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === key;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function isNdjson(contentType: string): boolean {
  return /^application\/(?:x-ndjson|ndjson|jsonl|x-jsonlines|jsonlines)\b/i.test(contentType);
}

function isForm(contentType: string): boolean {
  return /^(?:multipart\/form-data|application\/x-www-form-urlencoded)\b/i.test(contentType);
}

function isJson(contentType: string): boolean {
  return /^[^;]*\bjson\b/i.test(contentType);
}
