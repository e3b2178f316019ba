/**
 * What stands beside a processor inside a sandbox: holds its states, folds, calls its hooks. It runs where the code
 * runs, so nothing may be built on its word but what concerns that code itself.
 */
import {
  type Admitted,
  admit,
  type CatchUpArguments,
  type EventInput,
  type HookSurroundings,
  isThenable,
  jsonStateFault,
  type Logger,
  type Processor,
  type StreamEvent,
  type Work,
} from "@millrace/protocol";
import type { CodeError, SandboxCall, SandboxDelivery, SandboxDescription, SandboxResult } from "../ports/sandbox.ts";
import { codeErrorOf, errorOf } from "./code-error.ts";
import { createStates, type HeldState } from "./states.ts";

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

// The state is the processor's own.
// biome-ignore lint/suspicious/noExplicitAny: whoever drives it need not know its type
type AnyProcessor = Processor<any>;

type PassedOver = { offset: number; fault: string }[];

/** @param module what the code's module exports */
export function createHarness(
  module: Record<string, unknown>,
  surroundings: Omit<HookSurroundings, "logger">,
  limits: { statesMax: number; stateCharactersMax: number },
): Harness {
  const states = createStates(limits.statesMax);
  let known: AnyProcessor | undefined;

  function processor(): AnyProcessor {
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
      const next: unknown = processor().reduce({ state: held.value, event });
      if (isThenable(next)) throw new Error("reduce returned a promise; it has to be synchronous.");
      if (next !== undefined) held.value = next;
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
      await callHook(delivery.call, folded, { value: held.value, newest }, host, signal, works);
    } catch (error) {
      if (error instanceof FoldFault) {
        states.forget(delivery.state);
        return { result: { is: "fold-failed", offset: error.offset, error: error.error } };
      }
      return afterWorks({ is: "hook-failed", error: codeErrorOf(error), passedOver }, works);
    }
    return afterWorks({ is: "done", ...(text === undefined ? {} : { state: text }), passedOver }, works);
  }

  async function callHook(
    call: SandboxDelivery["call"],
    folded: StreamEvent | undefined,
    state: { value: unknown; newest(): unknown },
    host: HarnessHost,
    signal: () => AbortSignal,
    works: Promise<void>[],
  ): Promise<void> {
    if (call === undefined) return;
    // It was ended on its way here: nothing begins any more.
    if (host.isEnded?.() === true) throw new Error("The hook was ended before it began.");
    const opened: Promise<unknown>[] = [];
    const pending = new Set<Promise<unknown>>();
    const append = appender(host, undefined, pending);
    const tools = {
      ...surroundings,
      logger: host.logger,
      state: state.value,
      append,
      abort: (name: string) => host.abort(name),
      waitUntil(name: string, work: Work<unknown>) {
        const opening = host.open(name);
        const expected = opening.then(expectOpen);
        // A hook that fails meanwhile has failed by that.
        expected.catch(() => {});
        opened.push(expected);
        works.push(runWork(name, work, opening, state.newest, host).catch(() => {}));
      },
    };
    const running =
      call.hook === "afterCatchUp"
        ? processor().afterCatchUp?.(withSignal({ ...catchUpOf(call), ...tools }, signal) as CatchUpArguments<unknown>)
        : callAfterAppend(call.event === undefined ? folded : await admitted(call.event), call.attempt, tools, signal);
    await running;
    // An append, or work, that the hook left behind and that failed: nobody else would hear of it.
    await Promise.all(opened);
    while (pending.size > 0) await Promise.all(pending);
  }

  /** It was folded by an earlier delivery. */
  async function admitted(event: StreamEvent): Promise<StreamEvent | undefined> {
    const again = await admit(processor(), event);
    return again !== undefined && "event" in again ? again.event : undefined;
  }

  async function callAfterAppend(
    event: StreamEvent | undefined,
    attempt: number,
    tools: object,
    signal: () => AbortSignal,
  ): Promise<void> {
    if (event === undefined) return;
    const call = withSignal({ ...tools, event, attempt }, signal);
    await processor().afterAppend?.(call as Parameters<NonNullable<AnyProcessor["afterAppend"]>>[0]);
  }

  return { describe: () => describe(processor()), deliver, forget: (state) => states.forget(state) };
}

/** Made when it is looked at. */
function withSignal(tools: object, signal: () => AbortSignal): object {
  return Object.defineProperty(tools, "signal", { get: signal, enumerable: true, configurable: true });
}

function catchUpOf({ hook: _, ...what }: Extract<SandboxCall, { hook: "afterCatchUp" }>) {
  return what as unknown as CatchUpArguments<unknown>;
}

async function runWork(
  name: string,
  // biome-ignore lint/suspicious/noExplicitAny: the state is the processor's own
  work: Work<any>,
  opening: ReturnType<HarnessHost["open"]>,
  state: () => unknown,
  host: HarnessHost,
): Promise<void> {
  const opened = await opening;
  const signal = "begins" in opened && opened.begins ? await host.begun(name) : undefined;
  if (signal === undefined) return;
  const pending = new Set<Promise<unknown>>();
  try {
    await work({ signal, state, append: appender(host, name, pending) });
    while (pending.size > 0) await Promise.all(pending);
    await host.closed(name);
  } catch (error) {
    await host.closed(name, codeErrorOf(error));
  }
}

function expectOpen(opened: Awaited<ReturnType<HarnessHost["open"]>>): void {
  if ("error" in opened) throw errorOf(opened.error);
}

function appender(host: HarnessHost, work: string | undefined, pending: Set<Promise<unknown>>) {
  return (input: EventInput | { event: EventInput; path: string }): Promise<StreamEvent> => {
    const appending = host.append(input, work).then((answer) => {
      if ("error" in answer) throw errorOf(answer.error);
      return answer.event;
    });
    pending.add(appending);
    const done = () => pending.delete(appending);
    appending.then(done, done);
    return appending;
  };
}

function afterWorks(result: SandboxResult, works: Promise<void>[]): Delivered {
  return works.length === 0 ? { result } : { result, works: Promise.all(works) };
}

/**
 * Looking at a state costs as much as it has characters. So a small one is looked at behind every event, and a large
 * one after so many that it comes to little for each.
 */
function checkState(held: HeldState, charactersMax: number): void {
  if (held.unchecked > 0) {
    held.unchecked--;
    return;
  }
  const fault = jsonStateFault(held.value, "the state");
  if (fault !== undefined) throw new Error(`The state is not JSON: ${fault}.`);
  const { length } = JSON.stringify(held.value) ?? "";
  if (length > charactersMax)
    throw new Error(`The state has ${length} characters as JSON, more than ${charactersMax}.`);
  held.unchecked = Math.floor(length / 2_000);
}

function processorOf(module: Record<string, unknown>): AnyProcessor {
  const candidate = (module.default ?? module.processor) as Partial<AnyProcessor> | undefined;
  if (candidate === undefined || candidate === null) {
    throw new Error(
      "The module exports no processor: it needs `export default { slug, initialState, reduce, afterAppend }`.",
    );
  }
  if (typeof candidate !== "object") throw new Error(`The default export is a ${typeof candidate}, not a processor.`);
  const { reduce = ({ state }) => state, initialState = {}, afterAppend, afterCatchUp } = candidate;
  for (const [name, method] of Object.entries({ reduce, afterAppend, afterCatchUp })) {
    if (method !== undefined && typeof method !== "function") throw new Error(`${name} is no function.`);
  }
  // Its own object stays `this` of its methods.
  return Object.create(candidate, {
    reduce: { value: (args: never) => reduce.call(candidate, args) },
    initialState: { value: initialState },
    ...(afterAppend && { afterAppend: { value: (args: never) => afterAppend.call(candidate, args) } }),
    ...(afterCatchUp && { afterCatchUp: { value: (args: never) => afterCatchUp.call(candidate, args) } }),
  }) as AnyProcessor;
}

function describe({ initialState, afterAppend, afterCatchUp, events }: AnyProcessor): SandboxDescription {
  const fault = jsonStateFault(initialState, "it");
  if (fault !== undefined) throw new Error(`initialState is not JSON: ${fault}.`);
  return {
    initialState: JSON.parse(JSON.stringify(initialState ?? null)),
    hasAfterAppend: afterAppend !== undefined,
    hasAfterCatchUp: afterCatchUp !== undefined,
    ...(events === undefined ? {} : { types: Object.keys(events) }),
  };
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
