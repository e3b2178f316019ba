/**
 * The expressions that transformers and subscriptions of the simulation use, each beside what it means: so they cost
 * nothing, and may be stopped whenever the simulation likes. They are true JSONata, since contracts compile them.
 */
import { type Evaluated, ExpressionError, type Expressions, type Rule } from "@millrace/engine";
import type { JsonObject, StreamEvent } from "@millrace/protocol";

/** The payload of the configuration of a transformer or a subscription. */
export interface PushPayload {
  slug: string;
  matcher?: string;
  transform?: string;
  type?: "webhook" | "websocket" | "stream";
  callbackUrl?: string;
  path?: string;
  jsonataFilter?: string;
  jsonataTransform?: string;
  timeoutSeconds?: number;
  startFrom?: "start" | "end" | number;
}

/** What came of one event, by its number among what came of that. */
export interface Output {
  offset: number;
  n: number;
}

const isPing = ({ type }: StreamEvent) => type === "ping";

export const matchers: Readonly<Record<string, (event: StreamEvent) => boolean>> = {
  "type = 'ping'": isPing,
  "type = 'ping' and $not($exists(source.cause))": (event) => isPing(event) && event.source?.cause === undefined,
  "type in ['ping', 'noise', 'pong', 'tick']": ({ type }) => ["ping", "noise", "pong", "tick"].includes(type),
  "type = 'shouted'": ({ type }) => type === "shouted",
  "type = 'poison' ? $error('poison') : type = 'ping'"(event) {
    if (event.type === "poison") throw new ExpressionError("failed", "poison");
    return isPing(event);
  },
  false: () => false,
};

export const transforms: Readonly<Record<string, (event: StreamEvent) => JsonObject | JsonObject[] | undefined>> = {
  "{ 'type': 'shouted', 'payload': { 'n': 0 } }": () => made("shouted", 0),
  "{ 'type': 'echoed', 'payload': { 'n': 0 } }": () => made("echoed", 0),
  "[{ 'type': 'heard', 'payload': { 'n': 0 } }, { 'type': 'heard', 'payload': { 'n': 1 } }]": () => [
    made("heard", 0),
    made("heard", 1),
  ],
  "offset % 2 = 0 ? { 'type': 'shouted', 'payload': { 'n': 0 } }": ({ offset }) =>
    offset % 2 === 0 ? made("shouted", 0) : undefined,
};

function made(type: string, n: number): JsonObject {
  return { type, payload: { n } };
}

/** @throws ExpressionError where the expression fails */
export function evaluated({ matcher, transform }: Rule, event: StreamEvent): Evaluated {
  if (matcher !== undefined && !lookedUp(matchers, matcher)(event)) return { matched: false };
  if (transform === undefined) return { matched: true };
  const result = lookedUp(transforms, transform)(event);
  return result === undefined ? { matched: true } : { matched: true, result: JSON.stringify(result) };
}

function lookedUp<Meaning>(table: Readonly<Record<string, Meaning>>, text: string): Meaning {
  const meaning = table[text];
  if (meaning === undefined) throw new Error(`nobody knows what ${text} means`);
  return meaning;
}

/** @param mayBeStopped rejects when the simulation stops this one */
export function createRules(mayBeStopped: () => Promise<void> | undefined): Expressions {
  return {
    async evaluate(rule, input) {
      try {
        await mayBeStopped();
      } catch (error) {
        throw new ExpressionError("stopped", (error as Error).message);
      }
      return evaluated(rule, JSON.parse(input) as StreamEvent);
    },
    close: async () => {},
  };
}
