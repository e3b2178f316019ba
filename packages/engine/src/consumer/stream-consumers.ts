/**
 * All consumers of one stream: made, replaced and removed as its state says, told what was committed, asked what they
 * owe. They know nothing of each other, so one that is slow or halted holds up nobody.
 */
import {
  type Beginning,
  Consumer,
  type ConsumerSpec,
  type DeliveryKind,
  nameOfConsumer,
  StreamError,
} from "@millrace/protocol";
import type { ProgressRow, Snapshot } from "../ports/log.ts";
import { typeOfRecord } from "../record.ts";
import { initialSlices, type Slices, sliceOf } from "../state.ts";
import type { ConsumerHouse } from "./house.ts";
import { isSharedOtherwise, type Sharing, sharingOf } from "./inheritance.ts";
import { createMerge, type Inherited, isInherited, isOfEpoch, type Merge } from "./inherited-specs.ts";
import type { ConsumerKind } from "./spec.ts";

/** How long the running hook of a version that was replaced may go on. */
const replacedMs = 5_000;

/** What a commit saves of consumers, and whom to tell when it is on disk. */
export interface Saving {
  rows: ProgressRow[];
  snapshots: (Snapshot & { consumer: string })[];
  saves(consumer: Consumer): boolean;
  saved(): void;
}

export class StreamConsumers {
  readonly #house: ConsumerHouse;
  readonly #kinds: readonly ConsumerKind[];
  /** The one whose configurations may serve the streams below. */
  readonly #shared: ConsumerKind | undefined;
  #consumers: Map<string, Consumer> = new Map();
  /** Of the slices that were looked at last, in the order of the kinds. */
  #specs: (readonly ConsumerSpec[])[] = [];
  /** Ends of consumers that were replaced or removed. */
  readonly #leaving: Set<Promise<void>> = new Set();
  /** Consumers whose running hook has some time before another version goes on in their place. */
  readonly #replacing: Set<Consumer> = new Set();
  /** Rows to be taken away with the next commit. */
  #removed: Set<string> = new Set();
  /** What is on disk, as far as this knows, and what may be since a commit with an unknown outcome. */
  #rows: Map<string, string> = new Map();
  #attempted: Map<string, string> = new Map();
  /** Those that may owe something or have something to save: a commit asks only them, and most are at rest. */
  readonly #astir: Set<Consumer> = new Set();
  /** Why nobody begins any more, once all were told to end. */
  #ended: string | undefined;
  #pausedNow = false;
  /** What streams above configured for this one, as far as it is known. */
  #inherited: readonly Inherited[] = [];
  /** What was heard last of that may not be all: whatever is committed now may be for somebody who is not here yet. */
  #isInheritedKnown: boolean;
  readonly #merge: Merge;
  /** Whom an event is for, by its type; null until somebody asks. */
  #interest: { all: Consumer[]; byType: Map<string, Consumer[]> } | null = null;

  constructor(kinds: readonly ConsumerKind[], house: ConsumerHouse) {
    this.#kinds = kinds;
    this.#house = house;
    this.#merge = createMerge(house.limits);
    this.#shared = kinds.find(({ inherits }) => inherits !== undefined);
    this.#isInheritedKnown = this.#shared === undefined;
  }

  get isInheritedKnown(): boolean {
    return this.#isInheritedKnown;
  }

  /** Something above changed; until it is known what, each commit leaves a claim, so that nothing of it is lost. */
  inheritedIsUnknown(): void {
    this.#isInheritedKnown = false;
  }

  /** Never while a commit is in flight. */
  inherit(inherited: readonly Inherited[], slices: Slices): void {
    this.#inherited = inherited;
    this.#isInheritedKnown = true;
    this.sync(slices);
    const [head, now] = [this.#house.head(), this.#house.clock.now()];
    for (const consumer of this) {
      const { head: heard } = consumer.driver;
      if (isOfAbove(consumer) && heard < head) consumer.published(heard, head, now);
    }
    this.#house.saveSoon();
  }

  isSharedOtherwise(before: Slices, after: Slices): boolean {
    return this.#shared !== undefined && isSharedOtherwise(this.#shared, before, after);
  }

  /** What the stream says to those below it. */
  sharing(slices: Slices): Pick<Sharing, "specs" | "ended"> {
    return this.#shared === undefined ? { specs: [], ended: {} } : sharingOf(this.#shared, slices);
  }

  /** Progress of this epoch is on disk. */
  hasProgress(name: string, epoch: number): boolean {
    return !this.#removed.has(name) && isOfEpoch(this.#rows.get(name), epoch);
  }

  get size(): number {
    return this.#consumers.size;
  }

  get idle(): boolean {
    if (this.#leaving.size > 0 || this.#removed.size > 0 || !this.#house.settled) return false;
    for (const consumer of this.#consumers.values()) if (!consumer.idle) return false;
    return true;
  }

  /** Something changed that is not on disk. */
  get unsaved(): boolean {
    if (this.#removed.size > 0) return true;
    for (const consumer of this.#notAtRest()) if (consumer.driver.dirty) return true;
    return false;
  }

  [Symbol.iterator](): IterableIterator<Consumer> {
    return this.#consumers.values();
  }

  /** Each with what the state says of it, also where another version is still to go on in its place. */
  *withSpecs(): Generator<[Consumer, ConsumerSpec]> {
    for (const consumer of this) {
      const next = this.#replacing.has(consumer) ? this.#newestSpecOf(consumer) : undefined;
      yield [consumer, next ?? consumer.spec];
    }
  }

  /**
   * The stream was loaded: by whom it was not known, what another server did meanwhile counts. Consumers whose row is
   * the one that they know go on; the others start from what is on disk.
   * @param inherited undefined where it is not known now: whom it knew before goes on
   * @param resting nothing is owed by any consumer, so what lies behind the cursors is not for them
   */
  loaded(
    slices: Slices,
    rows: readonly ProgressRow[],
    inherited: readonly Inherited[] | undefined,
    { resting, paused }: { resting: boolean; paused: boolean },
  ): void {
    const found = new Map(rows.map(({ consumer, text }) => [consumer, text as string]));
    for (const [name, consumer] of this.#consumers) {
      const text = found.get(name);
      if (text === this.#rows.get(name) || text === this.#attempted.get(name)) continue;
      this.#consumers.delete(name);
      this.#leave(consumer, "Another server runs this consumer.");
    }
    this.#rows = found;
    // An attempt is asked for once: later the same text may be another server's.
    this.#attempted = new Map();
    this.#specs = [];
    this.#removed = new Set();
    this.#inherited = inherited ?? this.#inherited;
    this.#isInheritedKnown = inherited !== undefined;
    this.sync(slices, resting);
    // While the stream is paused no claim brings anybody here for what was left.
    if (this.#removed.size > 0) this.#house.saveSoon();
    this.#hearPause(paused, this.#house.clock.now());
    for (const consumer of this) consumer.reloaded(resting, this.#hears(consumer));
  }

  /** What was to be saved is not on disk, for certain: if the same text is, another server wrote it. */
  refused(): void {
    this.#attempted = new Map();
  }

  /** Follows what the committed state says of which consumers there are. */
  sync(slices: Slices, resting = false): void {
    const isBorn = this.#house.streamId() !== "";
    if (this.#kinds.every((kind, i) => this.#specsOf(kind, slices, isBorn) === this.#specs[i])) return;
    const wanted = new Map<string, { kind: ConsumerKind; spec: ConsumerSpec }>();
    this.#specs = this.#kinds.map((kind) => this.#specsOf(kind, slices, isBorn));
    this.#interest = null;
    for (const [i, kind] of this.#kinds.entries()) {
      for (const spec of this.#specs[i] ?? []) wanted.set(nameOfConsumer(kind.kind, spec), { kind, spec });
    }
    for (const [name, consumer] of this.#consumers) {
      if (!wanted.has(name)) this.#remove(name, consumer);
    }
    for (const [name, { kind, spec }] of wanted) this.#want(name, kind, spec, resting);
    for (const name of this.#rows.keys()) {
      if (!wanted.has(name) && (this.#isInheritedKnown || !isInherited(name))) this.#removed.add(name);
    }
    this.#house.follow(this.#consumers.size > 0);
  }

  /** A commit of this stream is on disk. */
  published(slices: Slices, base: number, records: readonly string[], paused: boolean, now: number): void {
    this.sync(slices);
    this.#house.saveSoon();
    this.#hearPause(paused, now);
    if (records.length === 0) return;
    for (const consumer of this.#interestedIn(records)) {
      if (this.#hears(consumer)) consumer.published(base, base + records.length, now);
    }
  }

  /** Until it is known what is inherited, what comes may be for another version of it: `inherit` tells who is left. */
  #hears(consumer: Consumer): boolean {
    return this.#isInheritedKnown || !isOfAbove(consumer);
  }

  #hearPause(paused: boolean, now: number): void {
    if (paused === this.#pausedNow) return;
    this.#pausedNow = paused;
    for (const consumer of this) paused ? consumer.pause() : consumer.resume(now);
  }

  called(now: number): void {
    this.#house.called(now);
    for (const consumer of this) consumer.called(now);
  }

  /**
   * What changed since it was last saved. Only whoever commits it may ask.
   * @param slices of a commit that configures: also how far those have come whom it replaces
   */
  saving(slices?: Slices): Saving | undefined {
    const rows: ProgressRow[] = [...this.#removed].map((consumer) => ({ consumer, text: null }));
    const snapshots: (Snapshot & { consumer: string })[] = [];
    const told = new Map<Consumer, () => void>();
    const replaced = slices === undefined ? [] : this.#replacedBy(slices);
    const stirred = this.#notAtRest();
    for (const consumer of replaced.length === 0 ? stirred : new Set([...stirred, ...replaced])) {
      const { name } = consumer;
      const row = consumer.row(replaced.includes(consumer));
      if (row === undefined) continue;
      rows.push({ consumer: name, text: row.text });
      this.#attempted.set(name, row.text);
      told.set(consumer, row.saved);
      const snapshot = consumer.snapshot();
      if (snapshot !== undefined) snapshots.push(snapshot);
    }
    if (rows.length === 0) return undefined;
    return {
      rows,
      snapshots,
      saves: (consumer) => told.has(consumer),
      saved: () => {
        for (const { consumer, text } of rows) {
          if (text === null) {
            this.#rows.delete(consumer);
            this.#removed.delete(consumer);
          } else this.#rows.set(consumer, text);
        }
        for (const tell of told.values()) tell();
      },
    };
  }

  /** Whether a state that is not committed yet says anything else of which consumers there are. */
  isConfiguredOtherwise(slices: Slices): boolean {
    return this.#kinds.some((kind) => this.#isChanged(kind, slices));
  }

  /** A commit is formed that leaves this behind. */
  foresee(slices: Slices): void {
    for (const kind of this.#kinds) {
      if (this.#isChanged(kind, slices)) kind.foresee?.(this.#specsOf(kind, slices, true), this.#house);
    }
  }

  /** When this stream must be opened for its consumers, once a commit with these events and rows is on disk. */
  dueAfter(
    slices: Slices,
    records: readonly string[],
    paused: boolean,
    saving: Saving | undefined,
    lastAt: number,
  ): number | null {
    let due: number | null = null;
    const at = (time: number | null) => {
      if (time !== null && (due === null || time < due)) due = time;
    };
    const goesOn = (kind: DeliveryKind) => !paused || kind.goesOnWhilePaused === true;
    if (this.#kinds.some((kind) => goesOn(kind) && this.#isChanged(kind, slices))) at(lastAt);
    if (!this.#isInheritedKnown && !paused) at(lastAt);
    if (!paused && this.#pausedNow && this.#consumers.size > 0) at(lastAt);
    // Another version is to begin there.
    for (const { kind } of this.#replacing) if (goesOn(kind)) at(lastAt);
    const saved = (consumer: Consumer) => saving?.saves(consumer) ?? false;
    for (const consumer of this.#notAtRest()) {
      if (goesOn(consumer.kind)) at(consumer.dueAfter(saved(consumer), lastAt));
    }
    for (const consumer of this.#interestedIn(records)) {
      const { kind, driver } = consumer;
      if (!driver.halted && goesOn(kind) && !consumer.waits(saved(consumer))) at(lastAt);
    }
    return due;
  }

  /** Ends all, for good. Resolves when none runs any more, or is left behind. */
  async stop(reason: string): Promise<void> {
    this.#ended = reason;
    await Promise.all([...[...this].map((consumer) => consumer.stop(reason)), ...this.#leaving]);
  }

  /** The stream was deleted: nothing of it counts any more. */
  end(head: number): void {
    const refusal = new StreamError("stream_deleted", `The stream was deleted at offset ${head}.`, { head });
    for (const consumer of this) this.#leave(consumer, "The stream was deleted.", refusal);
    this.#consumers = new Map();
    this.#rows = new Map();
    this.#removed = new Set();
    this.sync(initialSlices);
  }

  /** The same list for the same state, own ones and those of streams above. Before the birth there is nothing to act on. */
  #specsOf(kind: ConsumerKind, slices: Slices, isBorn: boolean): readonly ConsumerSpec[] {
    const own = kind.specs(slices);
    if (kind.inherits === undefined || this.#inherited.length === 0 || !isBorn) return own;
    return this.#merge(own, sliceOf(slices, kind.inherits), this.#inherited);
  }

  #isChanged(kind: ConsumerKind, slices: Slices): boolean {
    return this.#specsOf(kind, slices, true) !== this.#specs[this.#kinds.indexOf(kind)];
  }

  #want(name: string, kind: ConsumerKind, spec: ConsumerSpec, resting: boolean): void {
    const current = this.#consumers.get(name);
    if (current !== undefined && isSameRun(current.spec, spec)) {
      if (spec.halted !== undefined) current.halted(spec);
      return;
    }
    if (current === undefined || current.spec.epoch !== spec.epoch) {
      if (current !== undefined) this.#leave(current, "The consumer was configured anew.");
      this.#begin(kind, spec, this.#removed.has(name) ? undefined : this.#rows.get(name), resting);
      return;
    }
    this.#replace(current, kind);
  }

  #begin(kind: ConsumerKind, spec: ConsumerSpec, row: string | undefined, resting: boolean): void {
    const stir = (stirred: Consumer) => this.#astir.add(stirred);
    const load: Beginning["load"] = (spec, cursor, left) => kind.load(spec, this.#house, cursor, left);
    const consumer = new Consumer(kind, spec, this.#house, { row, resting, load, stir });
    this.#consumers.set(consumer.name, consumer);
    this.#interest = null;
    if (this.#ended === undefined) consumer.wake();
    else void consumer.stop(this.#ended);
  }

  /** No hook of the old version starts any more; the running one has some time. Then the newest one goes on. */
  #replace(old: Consumer, kind: ConsumerKind): void {
    if (this.#replacing.has(old)) return;
    this.#replacing.add(old);
    const refusal = new StreamError("unavailable", "Another version of this processor was configured.", {
      retryAfterSeconds: 1,
    });
    const retiring = old.retire(replacedMs, "Another version was configured.", refusal);
    this.#track(retiring.then(() => this.#succeed(old, kind)));
  }

  #succeed(old: Consumer, kind: ConsumerKind): void {
    this.#replacing.delete(old);
    const spec = this.#newestSpecOf(old);
    if (this.#consumers.get(old.name) !== old || spec === undefined) return;
    this.#begin(kind, spec, old.handOver(), false);
  }

  #newestSpecOf({ kind, spec }: Consumer): ConsumerSpec | undefined {
    return this.#specs[this.#kinds.indexOf(kind as ConsumerKind)]?.find(({ slug }) => slug === spec.slug);
  }

  /** Those in whose place another version goes on. */
  #replacedBy(slices: Slices): Consumer[] {
    return [...this].filter(({ kind, spec: { slug, configuredAt } }) => {
      const next = this.#specsOf(kind as ConsumerKind, slices, true).find((spec) => spec.slug === slug);
      return next !== undefined && next.configuredAt !== configuredAt;
    });
  }

  /** Whoever has come to rest, or has left, is asked no more until something happens to it. */
  #notAtRest(): ReadonlySet<Consumer> {
    for (const consumer of this.#astir) {
      if (consumer.atRest || this.#consumers.get(consumer.name) !== consumer) this.#astir.delete(consumer);
    }
    return this.#astir;
  }

  #remove(name: string, consumer: Consumer): void {
    this.#consumers.delete(name);
    this.#leave(consumer, "The consumer was removed.");
  }

  #leave(consumer: Consumer, reason: string, refusal?: StreamError): void {
    const said = refusal ?? new StreamError("unavailable", reason, { retryAfterSeconds: 1 });
    this.#track(consumer.stop(reason, said));
  }

  #track(leaving: Promise<void>): void {
    this.#leaving.add(leaving);
    const done = () => {
      this.#leaving.delete(leaving);
      // A removed row is to be taken away also when nobody appends.
      this.#house.saveSoon();
    };
    leaving.then(done, done);
  }

  /** Looks at the types of events only where somebody asks for some; those who ask for none of these cost nothing. */
  #interestedIn(records: readonly string[]): Iterable<Consumer> {
    if (records.length === 0 || this.#consumers.size === 0) return [];
    this.#interest ??= interestOf(this);
    const { all, byType } = this.#interest;
    if (byType.size === 0) return all;
    const interested = new Set(all);
    for (const record of records)
      for (const consumer of byType.get(typeOfRecord(record)) ?? []) interested.add(consumer);
    return interested;
  }
}

function interestOf(consumers: Iterable<Consumer>): { all: Consumer[]; byType: Map<string, Consumer[]> } {
  const all: Consumer[] = [];
  const byType = new Map<string, Consumer[]>();
  for (const consumer of consumers) {
    if (consumer.spec.types === undefined) all.push(consumer);
    for (const type of consumer.spec.types ?? []) byType.set(type, [...(byType.get(type) ?? []), consumer]);
  }
  return { all, byType };
}

function isOfAbove({ spec }: Consumer): boolean {
  return spec.inheritedFrom !== undefined;
}

/** The same code on the same cursor; whether it is halted is another question. */
function isSameRun(a: ConsumerSpec, b: ConsumerSpec): boolean {
  return (
    a.epoch === b.epoch &&
    a.configuredAt === b.configuredAt &&
    a.resumedAt === b.resumedAt &&
    a.environmentAt === b.environmentAt
  );
}
