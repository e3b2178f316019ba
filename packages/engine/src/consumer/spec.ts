/**
 * A consumer is whoever acts on the events of a stream from a durable cursor of its own. Which ones a stream has is
 * folded from its events; a kind says how that is read from the state, where the code is, and what its halt is called.
 */
import type {
  Clock,
  ConsumerSpec,
  Fact as DeliveryFact,
  DeliveryKind,
  Limits,
  LoadedProcessor,
  StreamEvent,
} from "@millrace/protocol";
import type { Meter } from "../meter.ts";
import type { Slices } from "../state.ts";

export interface ConsumerKind extends DeliveryKind {
  /** In any order. The same list for the same state, so that asking costs nothing. */
  specs(slices: Slices): readonly ConsumerSpec[];
  /**
   * The code of a consumer. Called once for each start; what it throws halts it.
   * @param cursor everything up to here was acted on, or is not for it
   */
  load(spec: ConsumerSpec, stream: ConsumerPlace, cursor: number): Promise<LoadedProcessor>;
}

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

export interface Fact extends DeliveryFact {
  /** False where the state has left behind what it is about. Then it is not said, which is `unavailable`. */
  stillTrue?(slices: Slices): boolean;
}
