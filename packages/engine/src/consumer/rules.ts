/** JSONata over events, as transformers and subscriptions use it: what it gives, and what becomes of its failures. */
import {
  type EventInput,
  type HookAppend,
  HopelessError,
  isJsonObject,
  isStreamError,
  type StreamEvent,
} from "@millrace/protocol";
import { type Evaluated, type Expressions, isExpressionError, type Rule } from "../ports/expressions.ts";
import { unavailable } from "../unavailable.ts";

/** So many events may come of one. */
const outputsMax = 1_000;

const unmatched: Evaluated = { matched: false };
const matched: Evaluated = { matched: true };

const texts = new WeakMap<StreamEvent, string>();

/** As a reader sees it. Made once, for all who look at the same event. */
export function textOf(event: StreamEvent): string {
  const text = texts.get(event) ?? JSON.stringify(event);
  texts.set(event, text);
  return text;
}

/**
 * @throws HopelessError when the expression itself failed: it would again
 * @throws Error when it was stopped, which may be the fault of a busy machine
 */
export async function applyRule(expressions: Expressions, rule: Rule, event: StreamEvent): Promise<Evaluated> {
  if (rule.matcher === undefined && rule.transform === undefined) return matched;
  // Anything else would be an evaluation for each event of the stream.
  if (rule.matcher === "false") return unmatched;
  try {
    return await expressions.evaluate(rule, textOf(event));
  } catch (error) {
    if (!isExpressionError(error)) throw error;
    if (error.reason === "failed") throw new HopelessError(error.message);
    throw error.reason === "closed" ? unavailable("The server is stopping.") : error;
  }
}

/** The events that a transform gave: none, one, or a list. @throws HopelessError */
export function outputsOf(result: string | undefined): unknown[] {
  if (result === undefined) return [];
  const value: unknown = JSON.parse(result);
  const outputs = Array.isArray(value) ? value : [value];
  if (outputs.length <= outputsMax) return outputs;
  throw new HopelessError(`The transform gave ${outputs.length} events for one; ${outputsMax} are the most.`);
}

/** What the log would refuse for ever. Everything else may be taken another time. */
const hopelessCodes: ReadonlySet<string> = new Set([
  "invalid_request",
  "too_large",
  "idempotency_conflict",
  "offset_conflict",
]);

/** One after another, so that they have the same keys in every attempt. */
export async function appendOutputs(append: HookAppend, path: string, outputs: readonly unknown[]): Promise<void> {
  for (const output of outputs) {
    if (!isJsonObject(output as never)) {
      throw new HopelessError(`The transform gave no event: expected an object with a type, got ${kindOf(output)}.`);
    }
    try {
      await append({ event: output as EventInput, path });
    } catch (error) {
      if (!isStreamError(error) || !hopelessCodes.has(error.code)) throw error;
      throw new HopelessError(`What the transform gave was not taken: ${error.message}`);
    }
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}
