/**
 * The runs of a processor that is pushed to: one for each stream of which something was delivered, made when that is
 * first heard of. Who delivers waits until an event was acted on, and brings it again where it was not.
 */
import type { StreamEvent } from "@millrace/protocol";
import { matchingOf } from "./matching.ts";
import { type NeedsOptions, needsOf } from "./needs.ts";
import { StreamRun } from "./stream-run.ts";

export interface PushedOptions extends NeedsOptions {
  /** The stream, or a pattern of streams, whose deliveries it takes; any without it. */
  path?: string;
}

export interface Delivered {
  event: StreamEvent;
  /** The life of the stream. */
  streamId: string;
  /** What lies between this offset and the event is not for the processor, or was delivered. */
  after: number;
}

export interface PushedRuns {
  /** Why deliveries of this stream are not taken; undefined where they are. */
  refusal(streamPath: string): string | undefined;
  /**
   * Resolves when the event was acted on, and that is saved. Rejects with an Error that says why not.
   * @param front settles when those in front of it were answered: who delivers has patience with it from then on
   */
  take(delivered: Delivered, front?: Promise<unknown>): Promise<void>;
  /** Aborts what runs, and saves. */
  stop(): Promise<void>;
}

/** Streams that are kept in memory; who was not heard of for longest leaves, and is read again when it is. */
const streamsMax = 1_000;
/** Before the server gives up waiting, which is after 15 s. Until then another attempt may succeed. */
const patienceMs = 10_000;

export function createPushedRuns(options: PushedOptions): PushedRuns {
  const { processor } = options;
  const matching = options.path === undefined ? undefined : matchingOf(options.path, false);
  const ending = new AbortController();
  const closing = new AbortController();
  const runs = new Map<string, Promise<StreamRun>>();
  // A delivery that was not answered in time comes again, here or elsewhere: a repetition says nothing about others.
  const needs = needsOf(options, { signal: ending.signal, closing: closing.signal });

  /** The run of the stream's present life: whoever comes meanwhile gets the same. */
  function runOf(event: StreamEvent, streamId: string): Promise<StreamRun> {
    const { streamPath: path } = event;
    const before: Promise<StreamRun | undefined> = runs.get(path) ?? Promise.resolve(undefined);
    const run = before.catch(() => undefined).then((known) => runAfter(known, event, streamId));
    // The last to be heard of is the last to leave.
    runs.delete(path);
    runs.set(path, run);
    void makeRoom();
    return run;
  }

  async function runAfter(known: StreamRun | undefined, event: StreamEvent, streamId: string): Promise<StreamRun> {
    if (known !== undefined && known.streamId === streamId && !known.halted) return known;
    await known?.stop("The stream was deleted.");
    const { streamPath: path, offset } = event;
    const before = offset - 1;
    const stream = { path, streamId, head: before, paused: false, startAfter: before, pushed: true, missedAll: false };
    return new StreamRun(needs, stream, await needs.cursors.load(path));
  }

  async function makeRoom(): Promise<void> {
    for (const [path, run] of runs) {
      if (runs.size <= streamsMax) return;
      const oldest = await run.catch(() => undefined);
      if (oldest?.idle === false) continue;
      runs.delete(path);
      await oldest?.stop("It was not heard of for long.");
    }
  }

  // The next delivery looks who has it.
  needs.cursors.onLost?.((path) => {
    const run = runs.get(path);
    runs.delete(path);
    void run?.then((known) => known.stop("Its cursor was lost.")).catch(() => {});
  });

  return {
    refusal(streamPath) {
      if (matching === undefined || matching.matches(streamPath)) return undefined;
      return `${processor.slug} takes deliveries of ${options.path}, not of ${streamPath}.`;
    },

    async take({ event, streamId, after }, front) {
      const run = await runOf(event, streamId);
      run.hear(event, after);
      await front;
      try {
        await run.taken(event.offset, patienceMs);
      } catch (error) {
        throw new Error(`${processor.slug} at ${event.streamPath}@${event.offset}: ${(error as Error).message}`);
      }
    },

    async stop() {
      ending.abort();
      for (const run of runs.values()) await (await run.catch(() => undefined))?.stop("The processor was stopped.");
      closing.abort();
      await needs.cursors.close?.();
    },
  };
}

/** As far as can be seen: what a jsonataTransform made is none. */
export function isStreamEvent(value: unknown): value is StreamEvent {
  const event = value as Partial<StreamEvent> | null | undefined;
  return typeof event?.streamPath === "string" && Number.isSafeInteger(event.offset) && typeof event.type === "string";
}
