/**
 * What a consumer needs from the stream that it stands on, and from the house around that: the engine's own streams, or
 * a server somewhere else.
 */
import type { Clock, Random } from "../clock.ts";
import type { EventInput, EventSource, StreamEvent } from "../event.ts";
import type { HookSurroundings } from "../hook.ts";

export interface DeliveryHouse {
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: HookMeter;
  /** Beside the stream: what a hook is given, which says what it logs of the event at this offset. */
  surroundings(speaking: { slug: string; offset: number }): HookSurroundings;
  /** The life of the stream. */
  streamId(): string;
  head(): number;
  paused(): boolean;
  /**
   * Events behind an offset, at least one, as far as one page goes; `through` is how far that was looked. With `shared`
   * they may be given to others too, and are not to be changed.
   */
  read(after: number, through: number, options: ReadOptions): Promise<Page>;
  /** The newest snapshot of a consumer's state. */
  consumerSnapshot(consumer: string): Promise<StoredState | undefined>;
  /** @throws StreamError what is no event, and would not be stored as one */
  parse(input: unknown): EventInput;
  /** To any stream of the project. Rejects with StreamError. */
  append(append: HouseAppend): Promise<{ event: StreamEvent; replayed: boolean }>;
  /** A fact about a consumer, on the own stream, once for each key. */
  state(fact: Fact): Promise<void>;
  /** Puts all progress that changed on disk, also if nobody appends. */
  save(): Promise<void>;
  /** The same before long, if there is anything to save, unless it is taken along before. */
  saveSoon(): void;
  /** Calls `called` of this stream's consumers at that time. */
  callMe(at: number): void;
  /** Calls back once when another stream is resumed. Returns how to take it back. */
  onResumed(path: string, run: () => void): () => void;
  onFailure(error: unknown): void;
}

export interface ReadOptions {
  types: ReadonlySet<string> | undefined;
  shared: boolean;
}

export interface Page {
  events: StreamEvent[];
  through: number;
}

export interface StoredState {
  offset: number;
  state: string;
}

export interface HouseAppend {
  path: string;
  event: EventInput;
  /** Derived from what the call is for; the event's own key goes before it. */
  key: string;
  /** Nothing was ever appended under this key: whoever stores it need not look. */
  isFirstUse?: boolean;
  source: EventSource & { cause: { streamPath: string; offset: number } };
  /** Throws when the call that appends this may not any more. Asked right before it is stored, where that can be. */
  fence(): void;
}

export interface Fact {
  /** The life of the stream that it is about. A later one never hears of it. */
  streamId: string;
  key: string;
  event: EventInput;
  /** Of the event that it is about. */
  offset: number;
  slug: string;
  /** Nobody would learn of it otherwise: it rejects with `stream_paused` where a paused stream takes no news. */
  needed?: boolean;
}

/** What hooks did, added to in place. */
export interface HookMeter {
  /** Calls that ended, and how long they ran, milliseconds. */
  hooks: number;
  hookMs: number;
  hookFailures: number;
  /** Consumers that went no further. */
  halts: number;
}
