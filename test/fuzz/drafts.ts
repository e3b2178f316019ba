/**
 * What is sent as one event, beside what PROTOCOL.md says becomes of it: known because it was made so, not because
 * somebody judged it afterwards.
 */
import { sortedJson } from "@millrace/protocol";
import type { SeededRandom } from "@millrace/testing";
import { builtin, type ModelInput } from "../../packages/millrace/test/model.ts";

export interface Draft {
  /** JSON on one line; a broken line of NDJSON is none. */
  text: string;
  /** What is stored; an invalid event's `error` is masked. */
  stored: ModelInput & { payload: unknown };
  /** False for what becomes an invalid event. */
  valid: boolean;
}

export const invalidType: string = builtin("invalid-event-appended");

const payloads = [
  "{}",
  "1",
  "null",
  "1e3",
  "-0.5",
  "9007199254740991",
  '"text"',
  '"h\\ud83e alf"',
  '"\\u2028 \\u0000 \\"quoted\\" \\\\ 🦦"',
  '{"__proto__":{"x":1},"constructor":0,"hasOwnProperty":null}',
  '{ "a" : { "b" : [ 1, 2, { "c" : null } ] }, "" : "" }',
  `${"[".repeat(62)}${"]".repeat(62)}`,
  `"${"long ".repeat(2_000)}"`,
];

/** What is sent as a type, and what is stored. The payload goes with it, where the type is strict about it. */
const types: readonly [sent: string, stored: string, payload?: string][] = [
  ["a", "a"],
  ["a", "a"],
  [" trimmed\\t", "trimmed"],
  ["ünï/cödé 🦦", "ünï/cödé 🦦"],
  ["https://example.com/x?y#z", "https://example.com/x?y#z"],
  ["https://events.iterate.com/unknown-short", "https://events.iterate.com/unknown-short"],
  ["t".repeat(2_048), "t".repeat(2_048)],
  [builtin("error-occurred"), builtin("error-occurred"), '{"message":"m"}'],
  ["https://events.iterate.com/error-occurred", builtin("error-occurred"), '{"message":"m"}'],
  ["https://events.iterate.com/stream-metadata-updated", builtin("metadata-updated"), '{"metadata":{"a":[1]}}'],
  [builtin("schedule-cancelled"), builtin("schedule-cancelled"), '{"slug":"s"}'],
];

const pausing: readonly [sent: string, stored: string, payload: string][] = [
  [builtin("paused"), builtin("paused"), '{"reason":"r"}'],
  ["https://events.iterate.com/stream-paused", builtin("paused"), "{}"],
];

const resuming: readonly [sent: string, stored: string, payload: string][] = [
  [builtin("resumed"), builtin("resumed"), "{}"],
  ["https://events.iterate.com/resumed", builtin("resumed"), '{"reason":"r"}'],
  ["https://events.iterate.com/stream-resumed", builtin("resumed"), "{}"],
];

/** Values that are no events, kept as the values they are. */
const notEvents = [
  "{}",
  "null",
  '{"hogwash":"yes!"}',
  '{"type":5}',
  '{"type":" "}',
  '{"type":"a","extra":1}',
  '{"type":"a","__proto__":{}}',
  '{"type":"a","metadata":[]}',
  '{"type":"a","metadata":null}',
  '{"type":"a","idempotencyKey":""}',
  '{"type":"a","idempotencyKey":"\\ud83e"}',
  `{"type":"a","idempotencyKey":"${"k".repeat(256)}"}`,
  '{"type":"a","offset":0}',
  '{"type":"a","offset":1.5}',
  '{"type":"a","offset":"2"}',
  '{"type":"a","source":{"kind":"server","depth":0}}',
  `{"type":"${"t".repeat(2_049)}"}`,
  `{"type":"${builtin("nothing")}"}`,
  `{"type":"${builtin("initialized")}","payload":{"projectSlug":"p","path":"/","streamId":"s"}}`,
  `{"type":"${builtin("paused")}","payload":{"unknown":1}}`,
  `{"type":"${builtin("schedule-cancelled")}"}`,
  '{"event":{"type":"a"},"more":1}',
];

/** JSON that cannot be kept exactly: stored as the text that was sent. */
const inexact = [
  '{"type":"a","payload":9007199254740993}',
  '{"type":"a","payload":[1e400]}',
  '{"type":"a","metadata":{"n":-9007199254740993}}',
  `{"type":"a","payload":${"[".repeat(70)}${"]".repeat(70)}}`,
];

export interface DraftContext {
  random: SeededRandom;
  head: number;
  paused: boolean;
}

export function draftOf(context: DraftContext): Draft {
  const { random, paused } = context;
  const chance = random.integer(20);
  if (chance < 2) return notEvent(random);
  if (chance < 3) return inexactOf(random.pick(inexact));
  if (chance < 4) return event(context, random.pick(pausing));
  if (chance < (paused ? 12 : 5)) return event(context, random.pick(resuming));
  return event(context, random.pick(types));
}

export const breakerOffDraft: Draft = assemble(
  {
    type: JSON.stringify(builtin("circuit-breaker-configured")),
    payload: '{"burstCapacity":0,"refillRatePerMinute":1}',
  },
  builtin("circuit-breaker-configured"),
);

function event({ random, head }: DraftContext, [sent, type, payload]: (typeof types)[number]): Draft {
  const fields: Record<string, string> = { type: `"${sent}"` };
  if (payload !== undefined || random.integer(4) > 0) fields.payload = payload ?? random.pick(payloads);
  if (random.integer(4) === 0) fields.metadata = random.pick(["{}", '{"by":"me","__proto__":[1]}']);
  if (random.integer(4) === 0) fields.idempotencyKey = JSON.stringify(random.pick(keys));
  if (random.integer(8) === 0) fields.offset = String(Math.max(1, head + random.integer(4)));
  // The order of the fields means nothing.
  if (random.integer(3) === 0) return assemble(Object.fromEntries(Object.entries(fields).reverse()), type);
  return assemble(fields, type);
}

export const keys: readonly string[] = ["k1", "k2", "k3", "🦦", "'\"%/0"];

function assemble(fields: Record<string, string>, type: string): Draft {
  const text = `{${Object.entries(fields).map(([name, value]) => `"${name}":${value}`)}}`;
  const sent = JSON.parse(text) as ModelInput;
  const payload = sent.payload === undefined ? {} : sent.payload;
  const content = sortedJson([type, payload, sent.metadata ?? "none"]);
  return { text, stored: { ...sent, type, payload, content }, valid: true };
}

function notEvent(random: SeededRandom): Draft {
  if (random.integer(8) > 0) {
    const text = random.pick(notEvents);
    return invalid(text, JSON.parse(text));
  }
  // What is no event keeps its key.
  const idempotencyKey = random.pick(keys);
  const text = JSON.stringify({ bogus: random.integer(2), idempotencyKey });
  const { stored } = invalid(text, JSON.parse(text));
  return { text, stored: { ...stored, idempotencyKey }, valid: false };
}

function inexactOf(text: string): Draft {
  return invalid(text, text);
}

/** @param sentText what a retry is compared by, if that is not the text itself */
export function invalid(text: string, rawInput: unknown, sentText: string = text): Draft {
  return {
    text,
    stored: { type: invalidType, payload: { rawInput, error: "masked" } as never, content: sentText },
    valid: false,
  };
}
