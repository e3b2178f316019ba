/**
 * The one abstraction. A processor folds events into state with a pure reducer and acts after an append with a hook.
 * Where it runs (inside the server, deployed by an event, on another machine) is not part of what it is.
 *
 * Two kinds of hook, two types: only a built-in, which shares the stream's process, may change what is appended
 * (`beforeAppend`, `rightBehind`, `whenDue`: synchronous, no I/O). Everything else may only act afterwards.
 */
import type { EventInput, EventSource, StreamEvent } from "./event.ts";
import type { CatchUpArguments, HookArguments } from "./hook.ts";
import type { Limits } from "./limits.ts";
import type { OutputOf, StandardSchema } from "./standard-schema.ts";

export interface Processor<State, Event = StreamEvent> {
  /** Its name in a stream: 1 to 255 characters. */
  readonly slug: string;
  readonly initialState: State;
  /**
   * Schemas of payloads by event type, of any library that speaks Standard Schema. With them the processor is given
   * events of these types alone, parsed once; one that does not parse is told and passed over.
   */
  readonly events?: Readonly<Record<string, StandardSchema>>;
  /** Pure and synchronous: the next state, never the old one changed; nothing to keep it. Sees every event once, in order. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a reducer that returns nothing has this type
  reduce(args: { state: State; event: Event }): State | undefined | void;
  /** Acts on one event, in order, at least once. What it throws is tried again, then halts the processor. */
  afterAppend?(args: HookArguments<State, Event>): void | Promise<void>;
  /**
   * Decides once, from the state at the end, after events were missed or work was interrupted; also at the first start
   * and after a new version. A hundred old inputs must not become a hundred model calls.
   */
  afterCatchUp?(args: CatchUpArguments<State>): void | Promise<void>;
  /** "act": missed events are acted on one by one as well. Default "decide". */
  readonly catchUp?: "decide" | "act";
  /** Another version reduces the history again, without acting on it. Default "1". */
  readonly version?: string;
  /** Where it begins on a stream that exists: at the end (the default), the start, or behind an offset. */
  readonly startFrom?: "start" | "end" | number;
}

/** The events of a processor with schemas: by their `type` their payload is known. */
export type EventsOf<Schemas> = {
  [Type in keyof Schemas & string]: StreamEvent<OutputOf<Schemas[Type]>> & { type: Type };
}[keyof Schemas & string];

/** What a built-in knows about an append that is being judged. */
export interface Judged {
  event: EventInput;
  /** The offset that the event would get. */
  offset: number;
  /** Milliseconds since 1970 at which the commit is formed. */
  now: number;
  /** A fact that the server itself states. Never refused for being too many. */
  fromServer: boolean;
  limits: Limits;
}

/** What a built-in appends by itself when its time has come. */
export interface DueEvent {
  event: EventInput;
  source: EventSource;
  /** When its time came, milliseconds. */
  at: number;
}

export interface BuiltinProcessor<State> {
  readonly slug: string;
  readonly initialState: State;
  /** Raise it when `reduce` changes its meaning: snapshots of another version are not used. */
  readonly version: number;
  /** May refuse by throwing a StreamError. Called over the state behind every earlier event, committed or forming. */
  beforeAppend?(args: { state: State; judged: Judged }): void;
  /**
   * As in Processor. `continued` is true for the second and later events of one batch without a cause: a batch counts
   * once where events are counted, live and in a refold alike.
   */
  reduce(args: { state: State; event: StreamEvent; continued: boolean }): State;
  /** An event that belongs right behind, in the same commit; asked after each append, over its end state. */
  rightBehind?(args: { state: State; event: StreamEvent }): EventInput | undefined;
  /** When it next has something to append by itself, milliseconds; null for never. The stream is opened then. */
  dueAt?(args: { state: State; now: number }): number | null;
  /** What it appends now: asked for one event after another, over the state behind the last, until there is none. */
  whenDue?(args: { state: State; now: number; streamPath: string }): DueEvent | undefined;
}

/** Returns what it was given, typed. */
export function defineProcessor<State, const Schemas extends Readonly<Record<string, StandardSchema>>>(
  processor: Processor<State, EventsOf<Schemas>> & { readonly events: Schemas },
): Processor<State>;
export function defineProcessor<State>(processor: Processor<State>): Processor<State>;
export function defineProcessor(processor: unknown): unknown {
  return processor;
}
