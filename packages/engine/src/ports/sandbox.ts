/**
 * Where deployed code runs: apart from the server and from the code of other projects. The host owns truth, since
 * offsets and states can always be made again from the log: whatever is in a sandbox may vanish at any time.
 */
import type { HookArguments, JsonValue, Logger, StreamEvent } from "@millrace/protocol";
import type { SaidLogger } from "../said/said.ts";

/** Everything that makes one piece of running code. Two that are equal in all of it may share what they are loaded into. */
export interface SandboxCode {
  project: string;
  /** Sources by name, JavaScript or TypeScript. */
  modules: Readonly<Record<string, string>>;
  /** Which of them exports the processor. */
  main: string;
  env: Readonly<Record<string, string>>;
  limits?: SandboxLimits;
  compatibilityDate?: string;
  compatibilityFlags?: readonly string[];
  /** What all its requests carry; the value may name a secret. */
  fixedHeader?: readonly [name: string, value: string];
}

export interface SandboxLimits {
  cpuMs?: number;
  memoryMb?: number;
  timeoutMs?: number;
}

/** Whose code it is: in reports, and for whoever is convicted. */
export interface SandboxPlace {
  path: string;
  slug: string;
  /** Offset of the event that started its cursor. */
  epoch: number;
  /** Offset of the configuration that brought it. */
  configuredAt: number;
}

/** For people: how what runs is shut in, and what would hold more. */
export interface SandboxIsolation {
  readonly description: string;
  readonly missing: readonly string[];
}

export interface Sandbox {
  /** Where there is anything to say of it. Looked at when it is asked for first, or when something is to run. */
  isolation?(): Promise<SandboxIsolation>;
  /** Something of this project is about to be loaded: what takes a while may begin. */
  prepare?(project: string): void;
  /** Compiles and loads it. Rejects with SandboxError "code" when that is impossible, "unavailable" when nothing can run now. */
  load(code: SandboxCode, place: SandboxPlace): Promise<SandboxedProcessor>;
  /** Ends all that runs. */
  close(): Promise<void>;
}

/** What a processor says of itself. */
export interface SandboxDescription {
  /** As JSON has it. */
  initialState: JsonValue;
  hasAfterAppend: boolean;
  hasAfterCatchUp: boolean;
  /** Canonical types that it has schemas for; all events are for it without them. */
  types?: readonly string[];
}

export interface SandboxedProcessor {
  readonly description: SandboxDescription;
  /**
   * Folds events and then calls a hook, one delivery of a state after another. Work that the hook began goes on behind
   * the answer. Rejects with SandboxError.
   */
  deliver(delivery: SandboxDelivery, calls: SandboxCalls): Promise<SandboxResult>;
  /** The state of this name is not needed any more. */
  forget(state: string): void;
  /** It is not needed any more. */
  close(): void;
}

export interface SandboxDelivery {
  /** Names the state. */
  state: string;
  /** The offset of the state that this builds on. */
  base: number;
  /** The state at `base`, as JSON text, which is to be taken instead of any that is there. */
  given?: string;
  /** To be folded, in order. */
  events: readonly StreamEvent[];
  call?: SandboxCall;
  /** Answer with the state behind the last event. */
  wantState?: boolean;
}

export type SandboxCall =
  /** Of the last of the events; `event` is there when it had been folded before. */
  | { hook: "afterAppend"; attempt: number; event?: StreamEvent }
  | { hook: "afterCatchUp"; streamPath: string; missed?: JsonValue; interrupted?: JsonValue };

/**
 * What a running hook asks for. `waitUntil` answers when the work is over, also where it never began; undefined where
 * it will not begin.
 */
export interface SandboxCalls extends Pick<HookArguments<unknown>, "append" | "signal" | "abort"> {
  /** `leftOut`: so many lines more were said, and did not leave the sandbox. */
  readonly logger: Logger & Partial<Pick<SaidLogger, "leftOut">>;
  waitUntil(...args: Parameters<HookArguments<unknown>["waitUntil"]>): Promise<void> | undefined;
  /** A request of the code was refused: told as an event, once for each offset. */
  refused(message: string): void;
}

/** Of a delivery that calls no hook: nothing is asked for. */
export const noCalls: SandboxCalls = {
  append: () => Promise.reject(new Error("Nothing is called.")),
  signal: new AbortController().signal,
  abort: () => {},
  logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  waitUntil: () => undefined,
  refused: () => {},
};

export type SandboxResult =
  /** There is no state of that name at `base`: nothing was done. */
  | { is: "state-missing" }
  /** `passedOver`: events that a schema refused, which were not folded and not acted on. */
  | { is: "done"; state?: string; passedOver: readonly { offset: number; fault: string }[] }
  | { is: "fold-failed"; offset: number; error: CodeError }
  | { is: "hook-failed"; error: CodeError; passedOver: readonly { offset: number; fault: string }[] };

/** An error of the code, with the author's own lines. */
export interface CodeError {
  name: string;
  message: string;
  stack?: string;
  /** Of a StreamError that the code was given and let through. */
  code?: string;
  data?: JsonValue;
}

/**
 * "code": it can not be loaded, or was convicted of taking the sandbox with it: another attempt ends the same way.
 * "interrupted": it was ended by no fault that is known of. "unavailable": the sandbox cannot run anything now.
 * Recognised by name.
 */
export class SandboxError extends Error {
  override readonly name = "SandboxError";
  readonly reason: "code" | "interrupted" | "unavailable";

  constructor(reason: SandboxError["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

export function isSandboxError(error: unknown): error is SandboxError {
  return error instanceof Error && error.name === "SandboxError";
}
