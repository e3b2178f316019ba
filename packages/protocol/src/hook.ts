/** What a hook is given: the same wherever it runs. */
import type { EventInput, StreamEvent } from "./event.ts";

/**
 * Appends an event, to the hook's own stream or to `path`, and resolves with what was stored: it is on disk and
 * visible. Done again for the same event, the n-th append of a hook is the stored one of the first time.
 * Rejects with StreamError `stream_paused` when another stream is paused; left uncaught, the hook is called again
 * when that stream was resumed.
 */
export type HookAppend = (input: EventInput | { event: EventInput; path: string }) => Promise<StreamEvent>;

/**
 * Long work that does not hold up the events behind it. Its appends are keyed by its name. On a pause its stream takes
 * nothing more by the time the signal is aborted: what is to be kept of half an answer is appended as it comes.
 */
export type Work<State> = (args: {
  signal: AbortSignal;
  /** The latest state. */
  state(): State;
  append: HookAppend;
}) => Promise<void>;

/** What a hook is given beside the stream. */
export interface HookSurroundings {
  /** What is logged goes where the processor runs, never into the stream. */
  readonly logger: Logger;
  /** The way to the network: in a sandbox the only one. */
  readonly fetch: typeof fetch;
  readonly env: Readonly<Record<string, string>>;
}

export interface Logger {
  debug(message: string, details?: unknown): void;
  info(message: string, details?: unknown): void;
  warn(message: string, details?: unknown): void;
  error(message: string, details?: unknown): void;
}

interface HookTools<State> extends HookSurroundings {
  /** Right behind the event, or at the end of what was missed. */
  state: State;
  append: HookAppend;
  /**
   * Starts work outside of the cursor, as soon as it is on disk that it is open. It is never run again by itself: what
   * a crash, a pause, a halt, a new version or a shutdown ends is found in `interrupted`. The name is unique among the open work of this processor.
   */
  waitUntil(name: string, work: Work<State>): void;
  /** Ends the open work of this name; without one nothing happens. */
  abort(name: string): void;
  /** Aborted when the stream is paused or deleted, on removal, a halt, a new version, shutdown, or after 15 minutes. */
  signal: AbortSignal;
}

export interface HookArguments<State, Event = StreamEvent> extends HookTools<State> {
  event: Event;
  /** 1 the first time; more when an earlier call failed or may have begun. */
  attempt: number;
}

export interface CatchUpArguments<State> extends HookTools<State> {
  streamPath: string;
  /** Reduced and not acted on: offsets after (exclusive) and through (inclusive). */
  missed?: { after: number; through: number };
  /** What an end from outside may have left half done: of the process, by a pause, by a halt. */
  interrupted?: Interrupted;
}

export interface Interrupted {
  /** The event whose hook may have begun and did not return. */
  offset?: number;
  /**
   * Work that was open. What it appended at last may lie behind the state that is given: who wants it begun again says
   * so in an event, and decides when that comes, over a state that has it.
   */
  work: readonly OpenWork[];
}

export interface OpenWork {
  name: string;
  /** Of the event whose hook began it. */
  offset: number;
}
