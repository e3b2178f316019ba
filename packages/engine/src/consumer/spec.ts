/**
 * A consumer is whoever acts on the events of a stream from a durable cursor of its own. Which ones a stream has is
 * folded from its events; a kind says how that is read from the state, where the code is, and what its halt is called.
 */
import type {
  BuiltinProcessor,
  Clock,
  ConsumerSpec,
  Fact as DeliveryFact,
  DeliveryHouse,
  DeliveryKind,
  ElsewhereProcessor,
  EventInput,
  EventSource,
  HouseAppend,
  Limits,
  LoadedProcessor,
  StreamEvent,
} from "@millrace/protocol";
import type { ConfigurationsState } from "../builtin/configurations.ts";
import type { Meter } from "../meter.ts";
import type { Slices } from "../state.ts";

export interface ConsumerKind extends DeliveryKind {
  /** In any order. The same list for the same state, so that asking costs nothing. */
  specs(slices: Slices): readonly ConsumerSpec[];
  /**
   * These are about to be on disk, one of them changed: what takes a while may begin. Should the commit fail, nothing may
   * hang on it.
   */
  foresee?(specs: readonly ConsumerSpec[], stream: Pick<ConsumerPlace, "project" | "head">): void;
  /** A configuration may serve the streams below: what each says of that is folded here. One kind of an engine at most. */
  inherits?: BuiltinProcessor<ConfigurationsState>;
  /**
   * The code of a consumer. Called once for each start; what it throws halts it.
   * @param cursor everything up to here was acted on, or is not for it
   * @param left aborts when nobody waits for it any more: then it ends soon, and tells nothing
   */
  load(
    spec: ConsumerSpec,
    stream: ConsumerPlace,
    cursor: number,
    left?: AbortSignal,
  ): Promise<LoadedProcessor | ElsewhereProcessor>;
}

export interface ConsumerPlace extends Pick<DeliveryHouse, "head" | "read"> {
  readonly project: string;
  readonly path: string;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly meter: Meter;
  /** The life of the stream. */
  streamId(): string;
  /** One stored event, of this stream or of another one; undefined when its life has none there. */
  eventAt(offset: number, path?: string): Promise<StreamEvent | undefined>;
  /** @throws StreamError what is no event, and would not be stored as one */
  parse(input: unknown): EventInput;
  /** To any stream of the project. Rejects with StreamError. */
  append(append: PlaceAppend): Promise<{ event: StreamEvent; replayed: boolean }>;
  /** A fact about a consumer, on the own stream, once for each key. */
  state(fact: Fact): Promise<void>;
}

/** Without a key, and without one of the event, every append is another one. */
export interface PlaceAppend extends Omit<HouseAppend, "key" | "source"> {
  key?: string;
  source: EventSource;
  /** Size as received. */
  bytes?: number;
}

export interface Fact extends DeliveryFact {
  /** How many causes lie behind it; 1 without it. */
  depth?: number;
  /** False where the state has left behind what it is about. Then it is not said, which is `unavailable`. */
  stillTrue?(slices: Slices): boolean;
}
