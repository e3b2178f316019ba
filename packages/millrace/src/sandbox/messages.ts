/**
 * What goes over the line between the host and the runner of one isolate. A message is a line of JSON, its head; some
 * have a body behind it, JSON as well, which is between the host and the isolate: the runner passes it on unread.
 */
import type { CodeError, SandboxDescription, SandboxLimits } from "@millrace/engine";

/** Of a state, as JSON. */
export const stateCharactersMax: number = 8 * 1024 * 1024;
/** Of a message: twice the largest state, since it is a text in a text. A longer one ends the line. */
export const messageBytesMax: number = 32 * 1024 * 1024;
/** Of what the code asks its host, such as an append: more is refused before it is sent. */
export const askCharactersMax: number = 4 * 1024 * 1024;
/** Of a line that it says: what the harness sends is far less, and code that goes around it gets no further. */
export const logCharactersMax: number = 256 * 1024;
/** Questions of one delivery that wait for their answers; the next ones are asked behind them. */
export const asksMax = 100;

export interface LoadMessage {
  is: "load";
  /** By name; `harness.js` is the entry, and `processor.js` what it runs. */
  modules: Record<string, string>;
  env: Record<string, string>;
  /** Of whatever leaves through the gate. */
  isolate: string;
  compatibilityDate: string;
  compatibilityFlags: readonly string[];
  limits?: SandboxLimits;
}

export type ToRunner =
  | LoadMessage
  | { is: "ping"; id: number }
  /** Body: the delivery. */
  | { is: "deliver"; id: number }
  /** Ends a delivery, or the work of this name that it began. */
  | { is: "abort"; id: number; work?: string; reason: string }
  /** Body: the answer. */
  | { is: "answer"; ask: number }
  | { is: "forget"; state: string };

/** What the code asks of its host while a delivery runs. */
export type Question = "append" | "open" | "begun" | "closed" | "abort" | "log";
export const questions: ReadonlySet<unknown> = new Set<Question>(["append", "open", "begun", "closed", "abort", "log"]);

export type FromRunner =
  | { is: "pong"; id: number }
  | { is: "loaded"; description: SandboxDescription }
  | { is: "load-failed"; error: CodeError }
  /** The hook has returned. With `working` there is work behind it, which ends with "over". Body: the result. */
  | { is: "result"; id: number; working: boolean }
  | { is: "over"; id: number }
  /** Body: the arguments. */
  | { is: "asked"; id: number; ask: number; question: Question };

export function encodeMessage(head: ToRunner | FromRunner, body?: string): string {
  const line = JSON.stringify(head);
  return body === undefined ? line : `${line}\n${body}`;
}

/** There is no line break in JSON of one line, so the first one ends the head, whatever stands in the body. */
export function decodeMessage<Head extends ToRunner | FromRunner>(text: string): [head: Head, body: string] {
  const end = text.indexOf("\n");
  return end < 0 ? [JSON.parse(text), ""] : [JSON.parse(text.slice(0, end)), text.slice(end + 1)];
}
