/**
 * What stands beside a processor inside a sandbox: holds its states, folds, calls its hooks. It runs where the code
 * runs, so nothing may be built on its word but what concerns that code itself.
 */
import {
  type Admitted,
  admit,
  type HookSurroundings,
  isThenable,
  type Logger,
  reduceOnce,
  type StreamEvent,
} from "@millrace/protocol";
import type { CodeError, SandboxDelivery, SandboxDescription, SandboxResult } from "../ports/sandbox.ts";
import { callHook } from "./call-hook.ts";
import { codeErrorOf } from "./code-error.ts";
import { type CodeProcessor, describe, processorOf } from "./code-processor.ts";
import { checkState, createStates, type HeldState } from "./states.ts";

/** What the host does for one delivery. Answers instead of rejections: what crosses a boundary loses its class. */
export interface HarnessHost {
  /** `work` names the work that appends; without it the hook does. */
  append(input: unknown, work?: string): Promise<{ event: StreamEvent } | { error: CodeError }>;
  /** Whether it will begin; an error where the name is in use. */
  open(work: string): Promise<{ begins: boolean } | { error: CodeError }>;
  /** Resolves when the work is on disk as open, and is to begin; undefined when that is not to be any more. */
  begun(work: string): Promise<AbortSignal | undefined>;
  closed(work: string, error?: CodeError): Promise<void>;
  abort(work: string): void;
  /** The hook was ended meanwhile, where that is known without asking. */
  isEnded?(): boolean;
  /** Where what this delivery logs goes. */
  readonly logger: Logger;
}

export interface Delivered {
  result: SandboxResult;
  /** Settles when the work that was begun is over; it is over already without it. */
  works?: Promise<unknown>;
}

export interface Harness {
  /** @throws Error that says what is wrong with the module */
  describe(): SandboxDescription;
  /** @param signal is asked for it when the code asks: most never do, and to carry one costs more than most hooks. */
  deliver(delivery: SandboxDelivery, host: HarnessHost, signal: () => AbortSignal): Promise<Delivered>;
  forget(state: string): void;
}

type PassedOver = { offset: number; fault: string }[];

/** @param module what the code's module exports */
export function createHarness(
  module: Record<string, unknown>,
  surroundings: Omit<HookSurroundings, "logger">,
  limits: { statesMax: number; stateCharactersMax: number },
): Harness {
  const states = createStates(limits.statesMax);
  let known: CodeProcessor | undefined;

  function processor(): CodeProcessor {
    known ??= processorOf(module);
    return known;
  }

  /** @throws FoldFault */
  async function fold(held: HeldState, events: readonly StreamEvent[], passedOver: PassedOver) {
    let last: StreamEvent | undefined;
    for (const event of events) {
      const admitting = admittedTo(event);
      // To wait where there is nothing to wait for costs more than most reducers.
      const admitted = isThenable(admitting) ? await admitting : admitting;
      last = undefined;
      if (admitted !== undefined && "fault" in admitted)
        passedOver.push({ offset: event.offset, fault: admitted.fault });
      if (admitted !== undefined && "event" in admitted) {
        last = admitted.event;
        foldOne(held, admitted.event);
      }
      held.offset = event.offset;
    }
    return last;
  }

  /** Throws or rejects with FoldFault where its schema is to blame, and not the event. */
  function admittedTo(event: StreamEvent): Admitted | PromiseLike<Admitted> {
    const blamed = (error: unknown) => new FoldFault(event.offset, codeErrorOf(error));
    try {
      const admitting = admit(processor(), event);
      return isThenable(admitting) ? admitting.then(undefined, (error) => Promise.reject(blamed(error))) : admitting;
    } catch (error) {
      throw blamed(error);
    }
  }

  function foldOne(held: HeldState, event: StreamEvent): void {
    try {
      held.value = reduceOnce(processor(), held.value, event);
      checkState(held, limits.stateCharactersMax);
    } catch (error) {
      throw new FoldFault(event.offset, codeErrorOf(error));
    }
  }

  /** What is kept, and folded from, is looked at in any case. */
  function textOf(held: HeldState): string {
    held.unchecked = 0;
    try {
      checkState(held, limits.stateCharactersMax);
    } catch (error) {
      throw new FoldFault(held.offset, codeErrorOf(error));
    }
    return JSON.stringify(held.value) ?? "null";
  }

  async function deliver(delivery: SandboxDelivery, host: HarnessHost, signal: () => AbortSignal): Promise<Delivered> {
    const held = states.at(delivery);
    if (held === undefined) return { result: { is: "state-missing" } };
    const passedOver: PassedOver = [];
    const works: Promise<void>[] = [];
    // It may have been made again since, from what is on disk.
    const newest = () => states.newest(delivery.state)?.value ?? held.value;
    let text: string | undefined;
    try {
      const folded = await fold(held, delivery.events, passedOver);
      if (delivery.wantState === true) text = textOf(held);
      if (delivery.call !== undefined) {
        const state = { value: held.value, newest };
        await callHook(processor(), delivery.call, folded, { surroundings, state, host, signal, works });
      }
    } catch (error) {
      if (error instanceof FoldFault) {
        states.forget(delivery.state);
        return { result: { is: "fold-failed", offset: error.offset, error: error.error } };
      }
      return afterWorks({ is: "hook-failed", error: codeErrorOf(error), passedOver }, works);
    }
    return afterWorks({ is: "done", ...(text === undefined ? {} : { state: text }), passedOver }, works);
  }

  return { describe: () => describe(processor()), deliver, forget: (state) => states.forget(state) };
}

function afterWorks(result: SandboxResult, works: Promise<void>[]): Delivered {
  return works.length === 0 ? { result } : { result, works: Promise.all(works) };
}

class FoldFault extends Error {
  readonly offset: number;
  readonly error: CodeError;

  constructor(offset: number, error: CodeError) {
    super(error.message);
    this.offset = offset;
    this.error = error;
  }
}
