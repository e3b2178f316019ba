/** What a consumer is told of itself: who it is, where its cursor began, and what its kind says of all like it. */
import type { EventInput, EventSource } from "../event.ts";
import type { Processor } from "../processor.ts";
import type { Consumer } from "./consumer.ts";
import type { ElsewhereProcessor } from "./folded.ts";

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
  /** Offset of the event that changed last what it finds around it. */
  environmentAt?: number;
  /** Offset of the configuration for which the server made a secret that is still in use. */
  secretAt?: number;
  halted?: { at: number; offset: number; message: string };
  /** The stream above whose configuration it is: `epoch` and `configuredAt` are offsets of that one. */
  inheritedFrom?: string;
  /** Of one that is inherited: the version before it that was halted here last, and not resumed. */
  haltedVersion?: number;
  /** Of one that is inherited: offset of the resumption, here, that gave it another place to go on from. */
  restartedAt?: number;
  /** Canonical types of the events that it acts on; all without it. */
  types?: ReadonlySet<string>;
}

export interface DeliveryKind {
  /** As in `about.kind` and in the state: "processor". */
  readonly kind: string;
  /** As in the `source` of what it appends. */
  readonly sourceKind: EventSource["kind"];
  /** Calls that fail before it is halted. */
  readonly failuresMax: number;
  /** What lies between cursor and head at a start is missed. Never so inside the server. */
  readonly misses?: boolean;
  /** Its processors fold nothing, so history is not read for them; and they leave the events as they are. */
  readonly stateless?: boolean;
  /** It only passes on what is stored, so a pause of the stream is none of its business. */
  readonly goesOnWhilePaused?: boolean;
  /** Its slug is that of another consumer, for which it works: it is listed under its kind and slug. */
  readonly helps?: boolean;
  /** Types of the events that say something about one of this kind, by `slug`: never given to the one that they name. */
  readonly aboutTypes: ReadonlySet<string>;
  /** What fails at a report of a failure is not reported again: two that report to each other would never end. */
  readonly silentAboutReports?: boolean;
  /** Of the event that says that it goes no further. */
  readonly haltedType: string;
  halted(spec: ConsumerSpec, halt: Halt): Pick<EventInput, "payload">;
}

// Each is called with the state that it made itself, so whoever drives it need not know its type.
// biome-ignore lint/suspicious/noExplicitAny: a heterogeneous list
export type LoadedProcessor = Processor<any> & Partial<Holding>;

/** What a consumer begins from. */
export interface Beginning {
  row: string | undefined;
  /** Nothing is owed to it, so what lies between its cursor and the head is not for it. */
  resting: boolean;
  /**
   * Its code; what this throws halts it.
   * @param left aborts when nobody waits for it any more
   */
  load(spec: ConsumerSpec, cursor: number, left?: AbortSignal): Promise<LoadedProcessor | ElsewhereProcessor>;
  /** Is told whenever something happens to it. */
  stir(consumer: Consumer): void;
}

/** What is held between two calls, such as a connection. */
export interface Holding {
  /** While it does, its consumer is not forgotten. */
  isHolding(): boolean;
  /** The consumer came to its end, or was halted. */
  close(): void;
  /** The stream has grown by something that is for this consumer, also while a hook runs. */
  grown?(): void;
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

/** The same slug may have been configured here and above, at the same offset: so an inherited one says from where. */
export function nameOfConsumer(kind: string, spec: ConsumerSpec): string {
  const name = consumerName(kind, spec.slug);
  if (spec.inheritedFrom === undefined) return name;
  const restarted = spec.restartedAt === undefined ? "" : `@${spec.restartedAt}`;
  return `${name}@${encodeURIComponent(spec.inheritedFrom)}${restarted}`;
}

/** In ASCII. Logs from before slugs were judged for it may have one with half a character, which nothing can encode. */
export function nameOfSlug(slug: string): string {
  return encodeURIComponent(slug.replaceAll(/\p{Surrogate}/gu, "\ufffd"));
}
