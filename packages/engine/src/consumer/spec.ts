/**
 * A consumer is whoever acts on the events of a stream from a durable cursor of its own. Which ones a stream has is
 * folded from its events; a kind says how that is read from the state, where the code is, and what its halt is called.
 */
import type { EventInput, EventSource, Limits, Processor, StreamEvent } from "@millrace/protocol";
import type { Meter } from "../meter.ts";
import type { Clock } from "../ports/clock.ts";
import type { Slices } from "../state.ts";

export interface ConsumerSpec {
  slug: string;
  /** Offset of the event that started the cursor. What it appends is keyed by it. */
  epoch: number;
  /** Offset of the newest configuration: another one is another version. */
  configuredAt: number;
  /** Where a cursor of this epoch begins. */
  startAfter: number;
  /** Offset of the event that last let it go on after a halt; 0 without one. */
  resumedAt: number;
  /** Offset of the configuration for which the server made a secret that is still in use. */
  secretAt?: number;
  halted?: { at: number; offset: number; message: string };
  /** Canonical types of the events that it acts on; all without it. */
  types?: ReadonlySet<string>;
}

export interface ConsumerKind {
  /** As in `about.kind` and in the state: "processor". */
  readonly kind: string;
  /** As in the `source` of what it appends. */
  readonly sourceKind: EventSource["kind"];
  /** Calls that fail before it is halted. */
  readonly failuresMax: number;
  /** Its processors fold nothing, so history is not read for them; and they leave the events as they are. */
  readonly stateless?: boolean;
  /** It only passes on what is stored, so a pause of the stream is none of its business. */
  readonly goesOnWhilePaused?: boolean;
  /** Types of the events that say something about one of this kind, by `slug`: never given to the one that they name. */
  readonly aboutTypes: ReadonlySet<string>;
  /** What fails at a report of a failure is not reported again: two that report to each other would never end. */
  readonly silentAboutReports?: boolean;
  /** In any order. The same list for the same state, so that asking costs nothing. */
  specs(slices: Slices): readonly ConsumerSpec[];
  /**
   * The code of a consumer. Called once for each start; what it throws halts it.
   * @param cursor everything up to here was acted on, or is not for it
   */
  load(spec: ConsumerSpec, stream: ConsumerPlace, cursor: number): Promise<LoadedProcessor>;
  /** Of the event that says that it goes no further. */
  readonly haltedType: string;
  halted(spec: ConsumerSpec, halt: Halt): Pick<EventInput, "payload">;
}

// Each is called with the state that it made itself, so whoever drives it need not know its type.
// biome-ignore lint/suspicious/noExplicitAny: a heterogeneous list
export type LoadedProcessor = Processor<any>;

export interface ConsumerPlace {
  readonly project: string;
  readonly path: string;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly meter: Meter;
  /** The life of the stream. */
  streamId(): string;
  /** One stored event; undefined when this life of the stream has none there. */
  eventAt(offset: number): Promise<StreamEvent | undefined>;
  /** A fact about a consumer, on the own stream, once for each key. */
  state(fact: Fact): Promise<void>;
}

export interface Fact {
  /** The life of the stream that it is about. A later one never hears of it. */
  streamId: string;
  key: string;
  event: EventInput;
  /** Of the event that it is about. */
  offset: number;
  slug: string;
  /** False where the state has left behind what it is about. Then it is not said, which is `unavailable`. */
  stillTrue?(slices: Slices): boolean;
}

export interface Halt {
  offset: number;
  message: string;
  attempts: number;
}

/** In keys and rows: unique on its stream. */
export function consumerName(kind: string, slug: string): string {
  return `${kind}/${nameOfSlug(slug)}`;
}

/** In ASCII. Logs from before slugs were judged for it may have one with half a character, which nothing can encode. */
export function nameOfSlug(slug: string): string {
  return encodeURIComponent(slug.replaceAll(/\p{Surrogate}/gu, "\ufffd"));
}
