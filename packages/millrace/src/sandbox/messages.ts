/** What goes over the line between the host and the runner of one isolate: JSON texts, one message each. */
import type { CodeError, SandboxDelivery, SandboxDescription, SandboxLimits } from "@millrace/engine";

/** Of a state, as JSON. */
export const stateCharactersMax: number = 8 * 1024 * 1024;
/** Of what the code asks its host, such as an append: more is refused before it is sent. */
export const askCharactersMax: number = 4 * 1024 * 1024;
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
  | { is: "deliver"; id: number; delivery: SandboxDelivery }
  /** Ends a delivery, or the work of this name that it began. */
  | { is: "abort"; id: number; work?: string; reason: string }
  | { is: "answer"; ask: number; value: unknown }
  | { is: "forget"; state: string };

/** What the code asks of its host while a delivery runs. */
export type Question = "append" | "open" | "begun" | "closed" | "abort" | "log";

export type FromRunner =
  | { is: "pong"; id: number }
  | { is: "loaded"; description: SandboxDescription }
  | { is: "load-failed"; error: CodeError }
  /** The hook has returned. With `working` there is work behind it, which ends with "over". */
  | { is: "result"; id: number; result: unknown; working: boolean }
  | { is: "over"; id: number }
  | { is: "asked"; id: number; ask: number; question: Question; args: readonly unknown[] };
