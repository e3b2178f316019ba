/**
 * A consumer is whoever acts on the events of a stream from a durable cursor of its own. Which ones a stream has is
 * folded from its events; a kind says how that is read from the state, where the code is, and what its halt is called.
 */
import type { EventInput, EventSource, Processor } from "@millrace/protocol";
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
  /** Its processors fold nothing, so history is not read for them. */
  readonly stateless?: boolean;
  /** In any order. The same list for the same state, so that asking costs nothing. */
  specs(slices: Slices): readonly ConsumerSpec[];
  /** The code of a consumer. Called once for each start; what it throws halts it. */
  load(spec: ConsumerSpec, stream: ConsumerPlace): Promise<LoadedProcessor>;
  /** Of the event that says that it goes no further. */
  readonly haltedType: string;
  halted(spec: ConsumerSpec, halt: Halt): Pick<EventInput, "payload">;
}

// Each is called with the state that it made itself, so whoever drives it need not know its type.
// biome-ignore lint/suspicious/noExplicitAny: a heterogeneous list
export type LoadedProcessor = Processor<any>;

export interface ConsumerPlace {
  project: string;
  path: string;
  /** The payload of one stored event. */
  payloadAt(offset: number): Promise<unknown>;
}

export interface Halt {
  offset: number;
  message: string;
  attempts: number;
}
