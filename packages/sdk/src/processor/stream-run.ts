/**
 * One processor on one stream of a server somewhere else: the consumer that the server itself uses, in a house whose
 * log is read and written over HTTP.
 */
import {
  type Clock,
  Consumer,
  type DeliveryHouse,
  encodeProgress,
  type Fact,
  type HookMeter,
  type HookSurroundings,
  isStreamError,
  type LoadedProcessor,
  type Page,
  progressAt,
  type Random,
  type StreamError,
  type StreamEvent,
} from "@millrace/protocol";
import type { EventsClient } from "../client.ts";
import type { Cursors, StoredCursor } from "./cursors.ts";
import { kindOf, specOf } from "./kind.ts";
import type { FoundStream } from "./look-up.ts";
import type { Observer } from "./observed.ts";
import { appendRemotely, parseLoosely, toStreamError } from "./remote-append.ts";
import type { Turns } from "./turns.ts";

export interface RunNeeds {
  client: EventsClient;
  processor: LoadedProcessor;
  cursors: Cursors;
  clock: Clock;
  random: Random;
  meter: HookMeter;
  surroundings: HookSurroundings;
  /** So many read history at once. */
  readTurns: Turns;
  observer: Observer;
  /** Of the whole run: nothing new is begun. */
  signal: AbortSignal;
  /** What had begun has had its time: nothing is appended any more. */
  closing: AbortSignal;
  /** Whoever waits for this stream need not any longer. */
  resumed(path: string): void;
  onResumed: DeliveryHouse["onResumed"];
}

export interface FollowedStream extends FoundStream {
  /** Where its cursor begins, if there is none yet. */
  startAfter: number;
  /** Every event behind its cursor counts: somebody delivers them, and waits until each is taken. */
  pushed?: boolean;
  /** Without a cursor everything up to its head is missed. */
  missedAll: boolean;
}

/** Progress that changed is saved after this time. */
const saveAfterMs = 1_000;
const pageEvents = 1_000;
/** So many events are kept that came and were not looked at; what is more is read again. */
const aheadMax = 1_000;
const prefix = "https://events.iterate.com/events/stream/";

export class StreamRun {
  readonly path: string;
  readonly streamId: string;
  readonly #needs: RunNeeds;
  readonly #consumer: Consumer;
  #head: number;
  #paused: boolean;
  /** What came and was not asked for yet, and behind which offset that is everything there is for this processor. */
  #ahead: { after: number; events: StreamEvent[] } = { after: 0, events: [] };
  /** History that is on its way before it is asked for. */
  #asked: { after: number; page: Promise<Page> } | undefined;
  #waiting: { offset: number; resolve(): void; reject(error: Error): void }[] = [];
  #halted: string | undefined;
  /** As it is on disk. */
  #stored: Omit<StoredCursor, "streamId"> | undefined;
  readonly #haltsBefore: number;
  /** What lies up to here an earlier run may have acted on. */
  #seenThrough: number;
  #saving: Promise<void> = Promise.resolve();
  #discarded = false;
  #cancelSave: (() => void) | undefined;
  #cancelCall: (() => void) | undefined;
  #saved: () => void = () => {};
  /** Resolves when it has a cursor on disk, or needs none any more. */
  readonly begun: Promise<void>;

  constructor(needs: RunNeeds, stream: FollowedStream, stored: StoredCursor | undefined) {
    const { path, streamId, head, paused } = stream;
    this.path = path;
    this.streamId = streamId;
    this.#needs = needs;
    this.#head = head;
    this.#paused = paused;
    this.#seenThrough = head;
    this.#stored = stored?.streamId === streamId ? stored : undefined;
    this.#haltsBefore = this.#stored?.halts ?? 0;
    this.begun = this.#stored === undefined ? new Promise((resolve) => (this.#saved = resolve)) : Promise.resolve();
    const { processor } = needs;
    const spec = specOf(processor, stream.startAfter, this.#haltsBefore);
    const unseen = stream.missedAll ? encodeProgress(spec, progressAt(0), true) : undefined;
    this.#consumer = new Consumer(kindOf(processor, stream.pushed === true), spec, this.#house(), {
      row: this.#stored?.progress ?? unseen,
      resting: false,
      load: async () => needs.observer.watched(processor, path),
      stir: (consumer) => this.#answer(consumer),
    });
    this.#consumer.wake();
  }

  get head(): number {
    return this.#head;
  }

  get state(): unknown {
    return this.#consumer.folded?.value ?? this.#needs.processor.initialState;
  }

  /** It goes no further by itself. */
  get halted(): boolean {
    return this.#consumer.driver.halted;
  }

  /** Acted on everything, and saved it. */
  get idle(): boolean {
    return this.#consumer.idle && this.#consumer.lag === 0;
  }

  /**
   * The next event of the stream.
   * @param after what lies between this and the event is not for this processor
   */
  hear(event: StreamEvent, after: number = event.offset - 1): void {
    if (event.offset <= this.#head) return;
    const { events } = this.#ahead;
    if (after > this.#head || events.length >= aheadMax) this.#ahead = { after: event.offset, events: [] };
    else if (events.length === 0) this.#ahead = { after: Math.min(after, this.#head), events: [event] };
    else events.push(event);
    this.#head = event.offset;
    const now = this.#needs.clock.now();
    if (event.type === `${prefix}paused`) this.#pause(true, now);
    if (event.type === `${prefix}resumed`) this.#pause(false, now);
    this.#consumer.published(event.offset - 1, event.offset, now);
  }

  /** Nobody heard of what came up to here while there was no contact. */
  away(head: number): void {
    if (head > this.#head) this.#ahead = { after: head, events: [] };
    this.#head = Math.max(this.#head, head);
    this.#seenThrough = this.#head;
    this.#consumer.away(head);
  }

  /**
   * Resolves when everything up to here was acted on, and that is saved. While the stream is paused, when it was heard:
   * it is acted on once the stream is resumed, and nobody would bring that news before this is taken.
   * @throws Error when it goes no further, or not within this time: then why it waits
   */
  async taken(offset: number, patienceMs: number): Promise<void> {
    const { progress, halted } = this.#consumer.driver;
    if (halted) throw new Error(this.#halted ?? "It goes no further.");
    if (progress.cursor < offset && !this.#paused) {
      let cancel = () => {};
      const taken = new Promise<void>((resolve, reject) => {
        this.#waiting.push({ offset, resolve, reject });
        const late = () => reject(new Error(this.#consumer.driver.progress.lastError ?? "It is still at work on it."));
        cancel = this.#needs.clock.setTimer(patienceMs, late);
      });
      await taken.finally(cancel);
    }
    await this.#save();
  }

  #answer({ driver }: Consumer): void {
    const { progress, halted, fault } = driver;
    if (halted || fault !== undefined) this.#halted ??= fault?.message ?? progress.lastError;
    this.#waiting = this.#waiting.filter(({ offset, resolve, reject }) => {
      if (progress.cursor >= offset) resolve();
      else if (halted) reject(new Error(this.#halted ?? "It goes no further."));
      else return true;
      return false;
    });
  }

  /** Ends what runs, and saves where it stands. */
  async stop(reason: string): Promise<void> {
    await this.#consumer.stop(reason);
    this.#cancelTimers();
    await this.#save().catch(this.#needs.observer.failed);
    this.#saved();
  }

  /** The stream is no more. Resolves when nothing of it is saved any longer; what runs ends by itself. */
  async discard(reason: string, refusal: StreamError): Promise<void> {
    this.#discarded = true;
    this.#saved();
    this.#consumer
      .stop(reason, refusal)
      .then(() => this.#cancelTimers())
      .catch(this.#needs.observer.failed);
    await this.#saving;
  }

  #cancelTimers(): void {
    this.#cancelCall?.();
    this.#cancelSave?.();
  }

  #pause(paused: boolean, now: number): void {
    this.#paused = paused;
    if (paused) this.#consumer.pause();
    else this.#consumer.resume(now);
  }

  #house(): DeliveryHouse {
    const { client, clock, random, meter, surroundings, observer, closing, onResumed } = this.#needs;
    return {
      path: this.path,
      clock,
      random,
      meter,
      surroundings: () => surroundings,
      onResumed,
      streamId: () => this.streamId,
      head: () => this.#head,
      paused: () => this.#paused,
      read: (after, through) => this.#read(after, through),
      consumerSnapshot: async () => this.#stored?.snapshot,
      parse: parseLoosely,
      append: async ({ fence, ...append }) => {
        fence();
        const appended = await appendRemotely(client, append, closing);
        observer.appended(this.path, append, appended, appended.resent || this.#mayRepeat(append.source.cause));
        return appended;
      },
      state: (fact) => this.#tell(fact),
      save: () => this.#save(),
      saveSoon: () => {
        this.#cancelSave ??= clock.setTimer(saveAfterMs, () => {
          this.#cancelSave = undefined;
          this.#save().catch(observer.failed);
        });
      },
      callMe: (at) => this.#callAt(at),
      onFailure: observer.failed,
    };
  }

  /** Timers may fire a moment before the clock says so, and further away than they can count: then it is asked again. */
  #callAt(at: number): void {
    const { clock } = this.#needs;
    this.#cancelCall?.();
    this.#cancelCall = clock.setTimer(Math.max(at - clock.now(), 0), () => {
      if (clock.now() < at) this.#callAt(at);
      else this.#consumer.called(clock.now());
    });
  }

  #mayRepeat({ offset }: { offset: number }): boolean {
    return this.#consumer.driver.progress.begun > 0 || offset <= this.#seenThrough;
  }

  async #read(after: number, through: number): Promise<Page> {
    const ahead = this.#ahead;
    if (ahead.events.length > 0 && ahead.after <= after) {
      this.#ahead = { after: through, events: ahead.events.filter(({ offset }) => offset > through) };
      return { events: ahead.events.filter(({ offset }) => offset > after && offset <= through), through };
    }
    const asked = this.#asked?.after === after ? this.#asked.page : this.#fetch(after, through);
    this.#asked = undefined;
    const page = await asked;
    if (page.through < through) {
      // On its way while this one is folded.
      this.#asked = { after: page.through, page: this.#fetch(page.through, through) };
      this.#asked.page.catch(() => {});
    }
    return page;
  }

  async #fetch(after: number, last: number): Promise<Page> {
    const through = Math.min(last, after + pageEvents);
    const events: StreamEvent[] = [];
    await this.#needs.readTurns(async () => {
      try {
        const { client, signal } = this.#needs;
        for await (const event of client.read(this.path, { after, before: through + 1, signal })) events.push(event);
      } catch (error) {
        throw toStreamError(error);
      }
    });
    return { events, through };
  }

  async #tell({ key, event, offset, slug, needed = false }: Fact): Promise<void> {
    const cause = { streamPath: this.path, offset };
    const told = { path: this.path, event, key, source: { kind: "remote" as const, slug, cause, depth: 1 } };
    this.#needs.observer.told(this.path, event);
    try {
      await appendRemotely(this.#needs.client, told, this.#needs.closing);
    } catch (error) {
      if (isStreamError(error, "unavailable") || (needed && isStreamError(error, "stream_paused"))) throw error;
      // A paused stream takes no news. Whoever runs the processor was told.
      this.#needs.observer.failed(error);
    }
  }

  /** One after the other, since each has to be on disk before the next is made. */
  #save(): Promise<void> {
    const saving = this.#saving.then(() => this.#saveNow());
    this.#saving = saving.catch(() => {});
    return saving;
  }

  async #saveNow(): Promise<void> {
    if (this.#discarded) return;
    const row = this.#consumer.row();
    const halts = this.#haltsBefore + (this.#consumer.driver.halted ? 1 : 0);
    const progress = row?.text ?? this.#stored?.progress;
    if (progress === undefined || (row === undefined && halts === (this.#stored?.halts ?? 0))) return;
    const made = this.#consumer.snapshot();
    const snapshot = made === undefined ? this.#stored?.snapshot : { offset: made.offset, state: made.state };
    const stored = { progress, ...(snapshot && { snapshot }), ...(halts > 0 && { halts }) };
    await this.#needs.cursors.save(this.path, { streamId: this.streamId, ...stored });
    this.#stored = stored;
    row?.saved();
    this.#saved();
  }
}
