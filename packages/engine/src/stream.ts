/**
 * One stream in memory: who waits, what is committed, who reads along. It is a cache of the log with one writer in
 * it, and may be forgotten and loaded again at any time that nothing waits.
 */
import { type Limits, type RemoteCursorInput, StreamError } from "@millrace/protocol";
import { commitNext } from "./append.ts";
import type { Sharing } from "./consumer/inheritance.ts";
import type { StreamConsumers } from "./consumer/stream-consumers.ts";
import { type CursorPut, type Cursors, noCursors, type StoredCursor, takeCursors } from "./cursors.ts";
import type { AppendRequest, Entry, Forming } from "./forming.ts";
import { Heir, placeOf, placeOfLoaded, Shares } from "./heir.ts";
import type { Holders } from "./holders.ts";
import { LiveTail } from "./live-tail.ts";
import type { Clock } from "./ports/clock.ts";
import { type Claim, type Committed, type DueStream, type Head, HeadConflict, type StreamLog } from "./ports/log.ts";
import { continuesBatch, decodeRecord } from "./record.ts";
import { decodeSnapshot, fold, initialSlices, isPaused, type Slices } from "./state.ts";
import type { StreamDependencies } from "./stream-dependencies.ts";
import { unavailable } from "./unavailable.ts";

export interface Appended {
  offset: number;
  /** The stored text; `toLine` makes it an event. */
  record: string;
  /** Its key had been used before: this is the event of that time. */
  replayed: boolean;
}

export interface Waiting {
  request: AppendRequest;
  resolve(appended: Appended[]): void;
  reject(error: Error): void;
}

/** Wants a commit to be formed, also if nobody appends: for what is due, and for progress that is to be saved. */
interface Errand {
  resolve(): void;
  reject(error: Error): void;
}

interface Removal {
  resolve(head: number | undefined): void;
  reject(error: Error): void;
}

const foldPageEvents = 1_000;
const foldPageBytes = 4 * 1024 * 1024;
const reloadDelayMs = 1_000;
const callAheadMs = 3_600_000;

export class Stream {
  readonly project: string;
  readonly path: string;
  readonly log: StreamLog;
  readonly clock: Clock;
  readonly newStreamId: () => string;
  readonly isoTime: (milliseconds: number) => string;
  readonly claimAtBirth: (now: number, first: Entry) => Claim | null;
  readonly limits: Limits;
  readonly tail: LiveTail = new LiveTail();
  readonly consumers: StreamConsumers | undefined;
  readonly holders: Holders;

  queue: Waiting[] = [];
  waitingBytes = 0;
  /** The turn of `Streams` in which it was last asked for. */
  usedAt = -1;

  /** All of what follows is committed. `streamId` is undefined for a path without a living stream. */
  streamId: string | undefined;
  head: Head = { offset: 0 };
  birthOffset = 0;
  createdAt = 0;
  lastEventAt = 0;
  slices: Slices = initialSlices;
  snapshotOffset = 0;
  snapshotCharacters = 0;
  /** Of remote processors. */
  cursors: Cursors = noCursors;
  /** Length of the records behind the snapshot. */
  tailCharacters = 0;
  /** What the path owes its ancestors. */
  claim: Claim | null = null;
  /** When it must be opened for what it owes by itself. */
  wakeAt: number | null = null;
  /** What the commit in flight makes of it: should its outcome be unknown, nobody else knows of it. */
  wakeAtTried: number | null = null;

  readonly #dependencies: StreamDependencies;
  #loaded = false;
  #loading: Promise<void> | undefined;
  #removals: Removal[] = [];
  #errands: Errand[] = [];
  #puts: CursorPut[] = [];
  /** Since a commit with an unknown outcome: a claim may be on disk of which the waker was not told. */
  #claimUntold = false;
  /** When the waker was last asked to come beside the claim. */
  #calledFor: number | undefined;
  #busy = false;
  readonly #heir: Heir | undefined;
  /** Ends with the newest commit or deletion; never rejects. */
  #inFlight: Promise<void> | undefined;
  readonly #shares: Shares = new Shares();
  #whenSettled: (() => void)[] = [];

  constructor(project: string, path: string, dependencies: StreamDependencies) {
    this.project = project;
    this.path = path;
    this.log = dependencies.log;
    this.clock = dependencies.clock;
    this.newStreamId = dependencies.newStreamId;
    this.isoTime = dependencies.isoTime;
    this.claimAtBirth = dependencies.claimAtBirth;
    this.limits = dependencies.limits;
    this.holders = dependencies.holders;
    this.#dependencies = dependencies;
    this.consumers = dependencies.consumersOf(this);
    const { lookUp, onFailure, onCall, clock } = dependencies;
    const callIn = (delayMs: number) => onCall(clock.now() + delayMs);
    this.#heir = lookUp === undefined ? undefined : new Heir({ lookUp, onFailure, callIn });
  }

  get paused(): boolean {
    return isPaused(this.slices);
  }

  /** True while forgetting it would lose nothing: no one waits, nothing is in flight, no one reads. */
  get idle(): boolean {
    if (this.#busy || this.queue.length > 0 || this.#loading !== undefined || this.tail.readers > 0) return false;
    if (this.#heir?.idle === false || this.#claimUntold) return false;
    return this.consumers?.idle ?? true;
  }

  /** Takes its turn. Resolves when the events are on disk; rejects with a StreamError. */
  append(request: AppendRequest): Promise<Appended[]> {
    const { waitingAppends, waitingBytes } = this.#dependencies.limits;
    if (this.queue.length >= waitingAppends) throw tooManyWaiting(waitingAppends, "appends");
    if (this.waitingBytes + request.bytes > waitingBytes && this.queue.length > 0) {
      throw tooManyWaiting(waitingBytes, "bytes");
    }
    this.waitingBytes += request.bytes;
    return new Promise((resolve, reject) => {
      this.queue.push({ request, resolve, reject });
      if (!this.#busy) void this.#run();
    });
  }

  /** Forms a commit, if there is anything to commit. Rejects as an append does. */
  errand(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#errands.push({ resolve, reject });
      if (!this.#busy) void this.#run();
    });
  }

  takeErrands(): Errand[] {
    return this.#errands.splice(0);
  }

  /**
   * Takes its turn. Resolves with what is stored, when it is on disk; rejects with a StreamError.
   * @param input undefined takes it away, and then what was stored is told
   */
  putCursor(slug: string, input: RemoteCursorInput | undefined): Promise<StoredCursor> {
    const { cursorsPerStream } = this.limits;
    if (this.#puts.length > cursorsPerStream) throw tooManyWaiting(cursorsPerStream, "cursors");
    return new Promise((resolve, reject) => {
      this.#puts.push({ slug, input, resolve, reject });
      if (!this.#busy) void this.#run();
    });
  }

  takePuts(): CursorPut[] {
    return this.#puts.splice(0);
  }

  /**
   * Its time has come: what is due is appended, and its consumers go on. Resolves when the former is on disk.
   * @param at what it is woken for; nobody wakes it for that again, also where the clock was set back meanwhile
   */
  async wake(at: number): Promise<void> {
    await this.load();
    if (this.consumers?.isInheritedKnown === false) void this.#askAbove();
    const now = Math.max(this.clock.now(), at);
    // Also where the stream was deleted meanwhile: what was asked for in that life is not asked for again in the next.
    this.consumers?.called(now);
    if (this.streamId === undefined) return;
    if (this.wakeAt !== null && this.wakeAt <= now) await this.errand();
    const { wakeAt } = this;
    if (wakeAt !== null && wakeAt <= now && wakeAt > this.clock.now()) this.#dependencies.onCall(wakeAt);
  }

  /** An errand would write something. */
  savesSomething(): boolean {
    return (this.wakeAt !== null && this.wakeAt <= this.clock.now()) || (this.consumers?.unsaved ?? false);
  }

  /** Empties the path. Resolves with the head that it had, or undefined when there was no stream. */
  remove(): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      this.#removals.push({ resolve, reject });
      if (!this.#busy) void this.#run();
    });
  }

  /** Resolves when nothing waits and nothing is in flight. */
  settled(): Promise<void> | undefined {
    return this.#busy ? new Promise((resolve) => this.#whenSettled.push(resolve)) : undefined;
  }

  /** Undefined when the stream is loaded already, so that the usual case costs no turn of the event loop. */
  load(): Promise<void> | undefined {
    if (this.#loaded) return undefined;
    this.#loading ??= this.#loadNow().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** Something above changes: what is inherited from there is asked for again. Answers the commit that is in flight. */
  inheritAnew(): Promise<void> | undefined {
    this.#heir?.outdate();
    this.consumers?.inheritedIsUnknown();
    if (this.#loaded) void this.#askAbove();
    return this.#inFlight;
  }

  /**
   * Before a commit that makes this the state. Streams below who ask from now on wait for its outcome; it waits for what
   * is in flight there, so that nothing that becomes visible behind it was formed without knowing of it.
   */
  beginSharing(slices: Slices): Promise<unknown> | undefined {
    if (this.consumers?.isSharedOtherwise(this.slices, slices) !== true) return undefined;
    this.#shares.begin();
    return this.#dependencies.onSharing();
  }

  endSharing(): void {
    this.#shares.end();
  }

  /** What it says to the streams below, as it is on disk. Rejects where that cannot be read. */
  async sharing(): Promise<Sharing> {
    for (;;) {
      const loading = this.load();
      if (loading !== undefined) await loading;
      else if (this.#shares.changing !== undefined) await this.#shares.changing;
      else return { specs: [], ended: {}, ...this.consumers?.sharing(this.slices), log: this.log };
    }
  }

  async #askAbove(): Promise<void> {
    await this.#heir?.askAgain(() => placeOf(this));
    if (!this.#busy) this.#inherit();
  }

  /** Never while a commit is in flight. A stream that is to be loaded asks anew. */
  #inherit(): void {
    const heard = this.#heir?.take();
    if (heard === undefined || !this.#loaded) return;
    // A birth that was in flight meanwhile may have become visible before what was heard of.
    if (heard.streamId !== this.streamId) void this.#askAbove();
    else this.consumers?.inherit(heard.inherited, this.slices);
  }

  /** What was in flight has an unknown outcome: nothing in memory counts until it is loaded again. */
  fail(error: unknown): void {
    this.#dependencies.onFailure(error);
    this.#loaded = false;
    if (error instanceof HeadConflict) this.consumers?.refused();
    else this.#dependencies.onUnknown();
    if (this.tail.readers > 0) this.clock.setTimer(reloadDelayMs, () => void this.#reloadForReaders());
    if (this.wakeAt !== null || this.wakeAtTried !== null || this.consumers?.idle === false) {
      this.#claimUntold = true;
      this.#dependencies.onCall(this.clock.now() + reloadDelayMs);
    }
  }

  /** Steps over to what was committed and shows it to live readers. */
  advance(forming: Forming, committed: Committed | undefined): void {
    if (committed === undefined) return;
    if (this.streamId === undefined) {
      this.birthOffset = forming.base + 1;
      this.createdAt = forming.now;
    }
    this.tailCharacters += forming.characters;
    if (forming.snapshotTaken) {
      this.snapshotOffset = forming.head;
      this.tailCharacters = 0;
    }
    this.streamId = forming.streamId;
    if (forming.claim !== undefined) this.claim = forming.claim;
    this.wakeAt = forming.wakeAt;
    this.head = committed.head;
    this.slices = forming.slices;
    if (forming.records.length === 0) return;
    this.lastEventAt = forming.now;
    this.tail.publish(forming.base + 1, forming.records);
    this.#dependencies.onPublished();
    if (forming.ticks.length > 0) this.#dependencies.onTicks(forming.ticks);
  }

  /** Lets the tree act on the claim that was just committed. */
  wakeTree(): void {
    if (this.claim !== null) this.#dependencies.onWork(this.#due(this.claim));
  }

  /** Lets consumers act on what was just committed, and the waker know when it is to come. */
  wakeConsumers(forming: Forming): void {
    const { paused } = this;
    this.consumers?.published(forming.slices, forming.base, forming.records, paused, forming.now);
    // What was owed by then is known to whoever owes it: the waker is for what is to come. So is a claim for an event in
    // front of a clock that was set back: if nobody owes anything, nobody else takes it back.
    const { wakeAt } = this;
    if (wakeAt !== forming.wakeAtBefore) this.#claimed(Math.min(forming.now, this.clock.now()));
    if (forming.dueAt !== null && forming.dueAt !== wakeAt) this.#callFor(forming.dueAt, forming.now);
    if (forming.pausedBefore && !paused) this.#dependencies.onResumed();
  }

  #claimed(after: number): void {
    if (this.wakeAt !== null && this.wakeAt > after) this.#dependencies.onClaim(this.wakeAt);
  }

  /**
   * A hook that runs for minutes keeps the claim at its own time; what falls due meanwhile is not to wait for it. Far
   * times are looked at again every now and then: by then the claim is theirs, most likely.
   */
  #callFor(dueAt: number, now: number): void {
    const at = Math.min(dueAt, now + callAheadMs);
    if (dueAt <= now || (this.#calledFor !== undefined && this.#calledFor > now && this.#calledFor <= at)) return;
    this.#calledFor = at;
    this.#dependencies.onCall(at);
  }

  #due(claim: Claim): DueStream {
    const { project, path, head, birthOffset } = this;
    return { project, path, streamId: this.streamId as string, head, birthOffset, deleted: false, claim };
  }

  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#somethingWaits()) {
      const loading = this.load();
      if (loading !== undefined && !(await this.#loadedOrRefused(loading))) continue;
      this.#inherit();
      this.#inFlight = this.#removals.length > 0 ? this.#removeNow() : commitNext(this);
      await this.#inFlight;
    }
    this.#inherit();
    this.#busy = false;
    for (const resolve of this.#whenSettled.splice(0)) resolve();
  }

  #somethingWaits(): boolean {
    return this.queue.length + this.#removals.length + this.#errands.length + this.#puts.length > 0;
  }

  async #loadedOrRefused(loading: Promise<void>): Promise<boolean> {
    try {
      await loading;
      return true;
    } catch (error) {
      this.#dependencies.onFailure(error);
      const refusal = unavailable("The log could not be read. Send it again, with the same idempotency key.");
      for (const { reject } of this.queue.splice(0)) reject(refusal);
      for (const { reject } of this.#removals.splice(0)) reject(refusal);
      for (const { reject } of [...this.#errands.splice(0), ...this.takePuts()]) reject(refusal);
      this.waitingBytes = 0;
      return false;
    }
  }

  /** Snapshot and tail: what a restart, an eviction and a failed commit have in common. */
  async #loadNow(): Promise<void> {
    const loaded = await this.log.load();
    const snapshot = loaded.snapshot === undefined ? undefined : decodeSnapshot(loaded.snapshot.state);
    let slices = snapshot ?? initialSlices;
    let offset = snapshot === undefined ? (loaded.birth?.offset ?? 1) - 1 : (loaded.snapshot?.offset ?? 0);
    this.snapshotOffset = offset;
    this.tailCharacters = 0;
    while (loaded.birth !== undefined && offset < loaded.head.offset) {
      const bounds = { maxEvents: foldPageEvents, maxBytes: foldPageBytes };
      const { records } = await this.log.read({ after: offset, through: loaded.head.offset, ...bounds });
      if (records.length === 0) throw new Error(`${this.path}: the log ends at ${offset}, before its head`);
      for (const record of records) {
        this.tailCharacters += record.length;
        slices = fold(slices, decodeRecord(this.path, ++offset, record), continuesBatch(record));
      }
    }
    const { cursors, others } = takeCursors(loaded.progress);
    const heard =
      this.#heir === undefined ? undefined : await this.#heir.ask(() => placeOfLoaded(this, loaded, others));
    this.streamId = loaded.birth?.streamId;
    this.birthOffset = loaded.birth?.offset ?? 0;
    this.createdAt = loaded.birth?.at ?? 0;
    this.lastEventAt = loaded.lastEventAt;
    this.head = loaded.head;
    this.slices = slices;
    this.claim = loaded.claim;
    this.wakeAt = loaded.wakeAt;
    this.tail.reload();
    this.cursors = cursors;
    const inherited = this.#heir === undefined ? [] : heard?.inherited;
    this.consumers?.loaded(slices, others, inherited, { resting: this.#isResting(), paused: this.paused });
    // What the first of them asks for is not committed before the last of them has heard of what was loaded.
    this.#loaded = true;
    if (this.#claimUntold) this.#claimed(this.clock.now());
    this.#claimUntold = false;
    if (heard?.isCurrent() === false) this.inheritAnew();
  }

  /** No consumer has anything to do but what waits for its next attempt: that would be claimed for the last event. */
  #isResting(): boolean {
    if (this.paused) return false;
    return this.wakeAt === null || this.wakeAt > this.lastEventAt;
  }

  async #removeNow(): Promise<void> {
    const removals = this.#removals.splice(0);
    const { streamId } = this;
    const head = streamId === undefined ? undefined : this.head.offset;
    try {
      await this.beginSharing(initialSlices);
      if (head !== undefined) await this.#commitRemoval();
      for (const [index, { resolve }] of removals.entries()) resolve(index === 0 ? head : undefined);
    } catch (error) {
      this.fail(error);
      for (const { reject } of removals) reject(unavailable("The log could not commit the deletion. Send it again."));
    } finally {
      this.endSharing();
    }
  }

  async #commitRemoval(): Promise<void> {
    const claim = this.#dependencies.claimAtRemoval(this.claim, this.clock.now());
    const { head } = await this.log.remove(this.head, claim);
    if (claim !== null) this.#dependencies.onWork({ ...this.#due(claim), head, deleted: true });
    this.head = head;
    this.streamId = undefined;
    this.birthOffset = 0;
    this.slices = initialSlices;
    this.snapshotOffset = head.offset;
    this.tailCharacters = 0;
    this.claim = null;
    this.wakeAt = null;
    this.cursors = noCursors;
    this.tail.end();
    this.consumers?.end(head.offset);
  }

  async #reloadForReaders(): Promise<void> {
    try {
      await this.load();
    } catch (error) {
      this.fail(error);
    }
  }
}

function tooManyWaiting(limit: number, unit: string): StreamError<"rate_limited"> {
  return new StreamError("rate_limited", `More than ${limit} ${unit} wait for this stream. Slow down and retry.`, {
    limit,
    unit,
  });
}
