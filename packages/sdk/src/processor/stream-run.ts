/**
 * One processor on one stream of a server somewhere else: the consumer that the server itself uses, in a house whose
 * log is read and written over HTTP.
 */
import {
  type Clock,
  Consumer,
  type ConsumerSpec,
  type DeliveryHouse,
  type DeliveryKind,
  type Fact,
  type HookMeter,
  type HookSurroundings,
  isStreamError,
  type LoadedProcessor,
  type Page,
  type Random,
  type StreamEvent,
} from "@millrace/protocol";
import type { EventsClient } from "../client.ts";
import type { Cursors, StoredCursor } from "./cursors.ts";
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
  /** Of the whole run. */
  signal: AbortSignal;
  onResumed: DeliveryHouse["onResumed"];
}

export interface FollowedStream {
  path: string;
  streamId: string;
  head: number;
  paused: boolean;
  /** Where its cursor begins, if there is none yet. */
  startAfter: number;
  /** Every event behind its cursor counts: somebody delivers them, and waits until each is taken. */
  pushed?: boolean;
}

/** Progress that changed is saved after this time. */
const saveAfterMs = 1_000;
const pageEvents = 1_000;
/** So many events are kept that came and were not looked at; what is more is read again. */
const aheadMax = 1_000;
const failuresMax = 5;
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
  #waiting: { offset: number; resolve(): void; reject(error: Error): void }[] = [];
  #halted: string | undefined;
  #snapshot: StoredCursor["snapshot"];
  #saving: Promise<void> = Promise.resolve();
  #cancelSave: (() => void) | undefined;
  #cancelCall: (() => void) | undefined;

  constructor(needs: RunNeeds, stream: FollowedStream, stored: StoredCursor | undefined) {
    this.path = stream.path;
    this.streamId = stream.streamId;
    this.#needs = needs;
    this.#head = stream.head;
    this.#paused = stream.paused;
    const own = stored?.streamId === stream.streamId ? stored : undefined;
    this.#snapshot = own?.snapshot;
    const { processor } = needs;
    const kind = kindOf(processor, stream.pushed === true);
    this.#consumer = new Consumer(kind, specOf(processor, stream.startAfter), this.#house(), {
      row: own?.progress,
      resting: false,
      load: async () => needs.observer.watched(processor, stream.path),
      stir: (consumer) => this.#answer(consumer),
    });
    this.#consumer.wake();
  }

  get head(): number {
    return this.#head;
  }

  get state(): unknown {
    return this.#consumer.stateNow() ?? this.#needs.processor.initialState;
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
    this.#consumer.away(head);
  }

  /**
   * Resolves when everything up to here was acted on, and that is saved.
   * @throws Error when it goes no further, or not within this time: then why it waits
   */
  async taken(offset: number, patienceMs: number): Promise<void> {
    const { progress, halted } = this.#consumer.driver;
    if (halted) throw new Error(this.#halted ?? "It goes no further.");
    if (progress.cursor < offset) {
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
    this.#cancelCall?.();
    this.#cancelSave?.();
    await this.#save().catch(this.#needs.observer.failed);
  }

  #pause(paused: boolean, now: number): void {
    this.#paused = paused;
    if (paused) this.#consumer.pause();
    else this.#consumer.resume(now);
  }

  #house(): DeliveryHouse {
    const { client, clock, random, meter, surroundings, observer, signal, onResumed } = this.#needs;
    return {
      path: this.path,
      clock,
      random,
      meter,
      surroundings,
      onResumed,
      streamId: () => this.streamId,
      head: () => this.#head,
      paused: () => this.#paused,
      read: (after, through) => this.#read(after, through),
      consumerSnapshot: async () => this.#snapshot,
      parse: parseLoosely,
      append: async ({ fence, ...append }) => {
        fence();
        const appended = await appendRemotely(client, append, signal);
        observer.appended(this.path, append, appended, this.#consumer.driver.progress.begun > 0);
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
      callMe: (at) => {
        this.#cancelCall?.();
        this.#cancelCall = clock.setTimer(Math.max(at - clock.now(), 0), () => this.#consumer.called(clock.now()));
      },
      onFailure: observer.failed,
    };
  }

  async #read(after: number, through: number): Promise<Page> {
    const ahead = this.#ahead;
    if (ahead.events.length > 0 && ahead.after <= after) {
      this.#ahead = { after: through, events: ahead.events.filter(({ offset }) => offset > through) };
      return { events: ahead.events.filter(({ offset }) => offset > after && offset <= through), through };
    }
    const end = Math.min(through, after + pageEvents);
    const events: StreamEvent[] = [];
    await this.#needs.readTurns(async () => {
      try {
        const { client, signal } = this.#needs;
        for await (const event of client.read(this.path, { after, before: end + 1, signal })) events.push(event);
      } catch (error) {
        throw toStreamError(error);
      }
    });
    return { events, through: end };
  }

  async #tell({ key, event, offset, slug }: Fact): Promise<void> {
    const cause = { streamPath: this.path, offset };
    const told = { path: this.path, event, key, source: { kind: "remote" as const, slug, cause, depth: 1 } };
    this.#needs.observer.told(this.path, event);
    try {
      await appendRemotely(this.#needs.client, told, this.#needs.signal);
    } catch (error) {
      if (isStreamError(error, "unavailable")) throw error;
      // A paused stream takes no news. Whoever runs the processor was told.
      this.#needs.observer.failed(error);
    }
  }

  /** One after the other, since each has to be on disk before the next is made. */
  #save(): Promise<void> {
    const saving = this.#saving.then(async () => {
      const row = this.#consumer.row();
      if (row === undefined) return;
      const snapshot = this.#consumer.snapshot();
      if (snapshot !== undefined) this.#snapshot = { offset: snapshot.offset, state: snapshot.state };
      await this.#needs.cursors.save(this.path, {
        streamId: this.streamId,
        progress: row.text,
        ...(this.#snapshot === undefined ? {} : { snapshot: this.#snapshot }),
      });
      row.saved();
    });
    this.#saving = saving.catch(() => {});
    return saving;
  }
}

const errorType = `${prefix}error-occurred`;

function kindOf({ slug, catchUp }: LoadedProcessor, pushed: boolean): DeliveryKind {
  return {
    kind: "processor",
    sourceKind: "remote",
    failuresMax,
    misses: !pushed && catchUp !== "act",
    aboutTypes: new Set(),
    haltedType: errorType,
    halted: (_, { offset, message, attempts }) => ({
      payload: {
        message: `${slug} goes no further here after ${attempts} ${attempts === 1 ? "attempt" : "attempts"}: ${message} Start it again to go on.`,
        about: { kind: "processor", slug, offset },
      },
    }),
  };
}

function specOf({ slug, version = "1" }: LoadedProcessor, startAfter: number): ConsumerSpec {
  return { slug, epoch: 0, configuredAt: numberOf(version), startAfter, resumedAt: 0 };
}

/** Versions are compared, and nothing else is done with them: 32 bits of FNV-1a, never 0. */
function numberOf(version: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < version.length; i++) hash = Math.imul(hash ^ version.charCodeAt(i), 0x01000193);
  return (hash >>> 0) + 1;
}
