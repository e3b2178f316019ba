/**
 * Runs a processor here, on streams of a server anywhere: one stream, a subtree, or all that match a pattern, those
 * that are born later too, over one connection. State, cursor and attempts are each stream's own.
 */
import type { Clock, HookSurroundings, Logger, Processor, Random, StreamEvent } from "@millrace/protocol";
import type { EventsClient } from "../client.ts";
import { isMillraceError } from "../errors.ts";
import { type Cursors, memoryCursors } from "./cursors.ts";
import { consoleLogger, hostClock, hostRandom } from "./host.ts";
import { type Matching, matchingOf } from "./matching.ts";
import { createObserver, type ProcessorObserver } from "./observed.ts";
import { type FollowedStream, type RunNeeds, StreamRun } from "./stream-run.ts";
import { createTurns } from "./turns.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever its state is, it is made and read by the processor alone
type AnyProcessor = Processor<any>;

export interface RunOptions {
  client: EventsClient;
  processor: AnyProcessor;
  /** A stream; with stars a pattern, `*` for one segment and `**` for any number. Patterns are below the root. */
  path: string;
  /** Everything below as well, streams that are born later too. */
  includeChildren?: boolean;
  /** Where its progress is kept; in memory without it, and then each start is a first one. */
  cursors?: Cursors;
  /** So many streams are acted on at the same time; 16 without it. */
  concurrency?: number;
  /** What comes after a silence of this length is missed, not late; 60,000 without it. */
  awayAfterMs?: number;
  logger?: Logger;
  fetch?: HookSurroundings["fetch"];
  env?: Readonly<Record<string, string>>;
  observer?: ProcessorObserver;
  /** Ends the run: hooks are aborted, progress is saved, and `done` resolves. */
  signal?: AbortSignal;
  clock?: Clock;
  random?: Random;
}

export interface ProcessorRun {
  /** Resolves after the end, by `stop` or the signal. Rejects when going on makes no sense, such as a refused token. */
  readonly done: Promise<void>;
  /** Resolves when it has caught up with everything that was there, and acts on what comes. */
  readonly ready: Promise<void>;
  /** The latest state of a stream, as far as it is folded; the initial one where it does not run. */
  state(path: string): unknown;
  /** The streams that it has met, in order of their paths. */
  paths(): string[];
  stop(): Promise<void>;
}

const prefix = "https://events.iterate.com/events/stream/";
const historyReadsAtOnce = 8;

export function runProcessor(options: RunOptions): ProcessorRun {
  const { client, processor, awayAfterMs = 60_000, observer = {}, concurrency = 16 } = options;
  const clock = options.clock ?? hostClock;
  const random = options.random ?? hostRandom;
  const cursors = options.cursors ?? memoryCursors();
  const logger = options.logger ?? consoleLogger;
  const matching = matchingOf(options.path, options.includeChildren === true);
  const ending = new AbortController();
  const resumeListeners = new Map<string, Set<() => void>>();
  const rivals = new Set<string>();
  const runs = new Map<string, StreamRun>();
  /** First offsets that came on the connection of streams that are not looked up yet. */
  let early: Map<string, StreamEvent[]> | undefined = new Map();
  let lastContactAt = clock.now();
  let contactLost = false;
  const ready = withResolvers();

  const needs: RunNeeds = {
    client,
    processor,
    cursors,
    clock,
    random,
    meter: { hooks: 0, hookMs: 0, hookFailures: 0, halts: 0 },
    surroundings: { logger, env: options.env ?? {}, fetch: options.fetch ?? ((...args) => fetch(...args)) },
    readTurns: createTurns(historyReadsAtOnce),
    observer: createObserver(observer, createTurns(concurrency), onRival),
    signal: ending.signal,
    onResumed(path, run) {
      const listeners = resumeListeners.get(path) ?? new Set();
      resumeListeners.set(path, listeners.add(run));
      return () => listeners.delete(run);
    },
  };

  /** Somebody else appended what this run was about to append: another one with the same slug is at work. */
  function onRival(path: string, offset: number): void {
    if (rivals.has(path)) return;
    rivals.add(path);
    const message = `Another ${processor.slug} runs on ${path}: what it appends stands once, but both act. Stop one of them.`;
    logger.warn(message);
    const about = { kind: "processor", slug: processor.slug, offset };
    const event = { type: `${prefix}error-occurred`, payload: { message, about } };
    const idempotencyKey = `${processor.slug}/rival/${runs.get(path)?.streamId}`;
    client.append(path, event, { idempotencyKey, signal: ending.signal }).catch(needs.observer.failed);
  }

  async function begin(stream: FollowedStream): Promise<StreamRun> {
    const run = new StreamRun(needs, stream, await cursors.load(stream.path));
    runs.set(stream.path, run);
    return run;
  }

  function hear(event: StreamEvent): void {
    const { streamPath: path, type } = event;
    if (type === `${prefix}resumed`) for (const resume of [...(resumeListeners.get(path) ?? [])]) resume();
    if (type === `${prefix}child-stream-deleted`) end(event.payload as { childPath: string; head: number });
    if (!matching.matches(path)) return;
    if (early !== undefined) {
      early.set(path, [...(early.get(path) ?? []), event]);
      return;
    }
    const known = runs.get(path);
    if (type === `${prefix}initialized`) born(event, known);
    else known?.hear(event);
  }

  /** A stream that is born while it is followed is acted on from its first event. */
  function born(event: StreamEvent, before: StreamRun | undefined): void {
    const { streamId } = event.payload as { streamId: string };
    if (before?.streamId === streamId) {
      before.hear(event);
      return;
    }
    void before?.stop("The stream was deleted.");
    const { streamPath: path, offset } = event;
    const stream = { path, streamId, head: offset, paused: false, startAfter: offset - 1 };
    runs.set(path, new StreamRun(needs, stream, undefined));
  }

  function end({ childPath, head }: { childPath: string; head: number }): void {
    const run = runs.get(childPath);
    if (run === undefined || run.head > head) return;
    runs.delete(childPath);
    void run
      .stop("The stream was deleted.")
      .then(() => cursors.forget(childPath))
      .catch(needs.observer.failed);
  }

  /** Looks at what is there, once the connection tells what is new. */
  async function lookUp(): Promise<void> {
    for (const stream of await streamsOf(client, matching, ending.signal)) {
      if (runs.has(stream.path)) continue;
      const first = early?.get(stream.path)?.[0];
      // What came on the connection is new; what was there before is history.
      const end = first === undefined ? stream.head : Math.min(stream.head, first.offset - 1);
      const startAfter = startOf(processor.startFrom, end);
      await begin({
        ...stream,
        head: end,
        startAfter: first?.type === `${prefix}initialized` ? first.offset - 1 : startAfter,
      });
    }
    const waiting = early ?? new Map<string, StreamEvent[]>();
    early = undefined;
    for (const events of waiting.values()) for (const event of events) hear(event);
    ready.resolve();
  }

  /** After a long silence, what came meanwhile is missed: it is folded, and decided on once. */
  async function lookAgain(): Promise<void> {
    for (const { path, head } of await streamsOf(client, matching, ending.signal)) runs.get(path)?.away(head);
  }

  function contact(): void {
    const now = clock.now();
    if (now - lastContactAt > awayAfterMs) contactLost = true;
    lastContactAt = now;
  }

  async function follow(): Promise<void> {
    for (let after: number | string = "end"; ; ) {
      const events = client.stream(matching.root, {
        after,
        includeChildren: matching.includeChildren,
        signal: ending.signal,
        onContact: contact,
        onCaughtUp: () => {
          if (early !== undefined) void lookUp().catch(fail);
        },
        onDisconnected: ({ error }) => error !== undefined && needs.observer.failed(error),
      });
      for await (const event of events) {
        if (contactLost && early === undefined) {
          contactLost = false;
          await lookAgain();
        }
        hear(event);
      }
      // The stream was deleted. What is born at its path is another one.
      const run = runs.get(matching.root);
      runs.delete(matching.root);
      await run?.stop("The stream was deleted.");
      await cursors.forget(matching.root);
      after = run?.head ?? "end";
    }
  }

  let failure: { error: unknown } | undefined;
  function fail(error: unknown): void {
    if (!ending.signal.aborted) failure ??= { error };
    ending.abort();
  }

  async function run(): Promise<void> {
    const abort = () => ending.abort();
    if (options.signal?.aborted) abort();
    options.signal?.addEventListener("abort", abort, { once: true });
    await follow().catch((error) => {
      if (!ending.signal.aborted) fail(error);
    });
    options.signal?.removeEventListener("abort", abort);
    await Promise.all([...runs.values()].map((each) => each.stop("The processor was stopped.")));
    ready.resolve();
    if (failure !== undefined) throw failure.error;
  }

  const done = run();
  done.catch(() => {});
  return {
    done,
    ready: ready.promise,
    state: (path) => runs.get(path)?.state ?? processor.initialState,
    paths: () => [...runs.keys()].sort(),
    async stop() {
      ending.abort();
      await done;
    },
  };
}

function startOf(startFrom: AnyProcessor["startFrom"], head: number): number {
  if (startFrom === undefined || startFrom === "end") return head;
  return startFrom === "start" ? 0 : startFrom;
}

/** The streams that are there, each with its life and whether it is paused. */
async function streamsOf(
  client: EventsClient,
  { root, includeChildren, matches }: Matching,
  signal: AbortSignal,
): Promise<Omit<FollowedStream, "startAfter">[]> {
  const paths: string[] = [];
  if (includeChildren) {
    for await (const { path } of client.streams({ prefix: root, signal })) if (matches(path)) paths.push(path);
  } else paths.push(root);
  const states = await Promise.all(paths.map((path) => stateOf(client, path, signal)));
  return states.flatMap((state) => state ?? []);
}

async function stateOf(client: EventsClient, path: string, signal: AbortSignal) {
  try {
    const { streamId, head, paused } = await client.state(path, { signal });
    return { path, streamId, head, paused };
  } catch (error) {
    // Nothing is there yet, or any more.
    if (isMillraceError(error, "not_found")) return undefined;
    throw error;
  }
}

function withResolvers(): { promise: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
