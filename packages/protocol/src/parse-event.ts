/**
 * The door for what comes from outside: one parsed JSON value in, an event input out, or the reason why it is none.
 *
 * Asked for every append. A plain event is judged by hand-written checks and costs no allocation beyond the result;
 * only built-in types meet a schema.
 */
import { canonicalType, contractFor, isUnderPrefix } from "./contracts.ts";
import type { EventInput } from "./event.ts";
import { isJsonObject, type JsonObject, type JsonValue, jsonFault } from "./json.ts";
import { idempotencyKeyCharactersMax, typeCharactersMax } from "./limits.ts";
import { fieldName, kindOf, oneLine, payloadFault } from "./payload-fault.ts";

/** A value that is no event keeps its key, so that a retry of it is recognised too. */
export type ParsedEvent = { ok: true; event: EventInput } | { ok: false; error: string; idempotencyKey?: string };

export interface ParseOptions {
  /** Levels of nesting, the event itself included. */
  jsonDepth: number;
  /** Lets the types through that only the server may write. */
  fromServer?: boolean;
}

const envelopeKeys = "an event has type, payload, metadata, idempotencyKey and offset";

/** The payload is kept as it was sent; a contract only judges it. The type is trimmed and canonical. */
export function parseEventInput(value: unknown, options: ParseOptions): ParsedEvent {
  if (!isJsonObject(value)) return { ok: false, error: `expected an object, got ${kindOf(value)}` };
  const fault =
    envelopeFault(value, "") ??
    jsonFault(value.payload, options.jsonDepth - 1, "payload") ??
    jsonFault(value.metadata, options.jsonDepth - 1, "metadata") ??
    builtinFault(value as JsonObject & EventInput, options.fromServer === true, "");
  return fault === undefined ? { ok: true, event: assemble(value as JsonObject & EventInput) } : refuse(value, fault);
}

function assemble(value: EventInput): EventInput {
  const event: EventInput = {
    type: canonicalType(value.type.trim()),
    payload: value.payload === undefined ? {} : value.payload,
  };
  if (value.metadata !== undefined) event.metadata = value.metadata;
  if (value.idempotencyKey !== undefined) event.idempotencyKey = value.idempotencyKey;
  if (value.offset !== undefined) event.offset = value.offset;
  return event;
}

function refuse({ idempotencyKey }: JsonObject, error: string): ParsedEvent {
  return typeof idempotencyKey === "string" && keyFault(idempotencyKey) === undefined
    ? { ok: false, error, idempotencyKey }
    : { ok: false, error };
}

/** @param where what stands before the names of the fields in a message */
function envelopeFault(event: JsonObject, where: string): string | undefined {
  const unknown = unknownKeyFault(event, where);
  const type = typeFault(event.type);
  // Somebody else's JSON has neither our type nor only our keys: both together say best what is wrong.
  if (type !== undefined) return unknown === undefined ? `${where}type: ${type}` : `${where}type: ${type}; ${unknown}`;
  if (unknown !== undefined) return unknown;
  if (event.metadata !== undefined && !isJsonObject(event.metadata)) {
    return `${where}metadata: expected an object, got ${kindOf(event.metadata)}`;
  }
  const key = event.idempotencyKey === undefined ? undefined : keyFault(event.idempotencyKey);
  if (key !== undefined) return `${where}idempotencyKey: ${key}`;
  const offset = event.offset === undefined ? undefined : offsetFault(event.offset);
  return offset === undefined ? undefined : `${where}offset: ${offset}`;
}

function unknownKeyFault(event: JsonObject, where: string): string | undefined {
  for (const key in event) {
    switch (key) {
      case "type":
      case "payload":
      case "metadata":
      case "idempotencyKey":
      case "offset":
        continue;
      default:
        return `${where}${fieldName(key).replace(/^\./, "")}: unknown key; ${envelopeKeys}`;
    }
  }
  return undefined;
}

function typeFault(type: JsonValue | undefined): string | undefined {
  if (typeof type !== "string") return `expected a string, got ${kindOf(type)}`;
  const length = type.trim().length;
  if (length > 0 && length <= typeCharactersMax) return undefined;
  return `expected 1 to ${typeCharactersMax} characters, got ${length}`;
}

function keyFault(key: JsonValue): string | undefined {
  if (typeof key !== "string") return `expected a string, got ${kindOf(key)}`;
  if (key.length === 0 || key.length > idempotencyKeyCharactersMax) {
    return `expected 1 to ${idempotencyKeyCharactersMax} characters, got ${key.length}`;
  }
  // Half a surrogate pair has no UTF-8, so a log could not tell one such key from another.
  return /\p{Surrogate}/u.test(key) ? "expected whole characters, got half of a surrogate pair" : undefined;
}

function offsetFault(offset: JsonValue): string | undefined {
  if (typeof offset !== "number") return `expected a positive integer, got ${kindOf(offset)}`;
  return Number.isSafeInteger(offset) && offset > 0 ? undefined : `expected a positive integer, got ${offset}`;
}

function builtinFault(event: EventInput, fromServer: boolean, where: string): string | undefined {
  const type = canonicalType(event.type.trim());
  if (!isUnderPrefix(type)) return undefined;
  const contract = contractFor(type);
  if (contract === undefined) return `${where}type: the server knows no built-in type ${oneLine(JSON.stringify(type))}`;
  if (contract.serverOnly && !fromServer) return `${where}type: only the server may write ${type}`;
  const payload = event.payload === undefined ? {} : event.payload;
  const scheduled =
    contract.name === "append-scheduled" ? scheduledFault(payload, `${where}payload.append`) : undefined;
  return scheduled ?? payloadFault(contract, payload, `${where}payload`);
}

/** What a schedule appends is an event of its own, so it is judged like any that comes from outside. */
function scheduledFault(payload: JsonValue, where: string): string | undefined {
  const append = isJsonObject(payload) ? payload.append : undefined;
  if (!isJsonObject(append)) return undefined; // the contract says so
  if (append.offset !== undefined) return `${where}.offset: a scheduled event cannot know its offset`;
  if (append.idempotencyKey !== undefined) return `${where}.idempotencyKey: every tick is an event of its own`;
  return envelopeFault(append, `${where}.`) ?? builtinFault(append as JsonObject & EventInput, false, `${where}.`);
}
