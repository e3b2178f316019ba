/**
 * Runs a processor here, on streams of a server anywhere: one stream, a subtree, or all that match a pattern, those
 * that are born later too, over one connection. State, cursor and attempts are each stream's own.
 */
import type { Clock, HookSurroundings, Logger, Processor, Random } from "@millrace/protocol";
import type { EventsClient } from "../client.ts";
import type { Cursors } from "./cursors.ts";
import { follow } from "./following.ts";
import { matchingOf } from "./matching.ts";
import { needsOf } from "./needs.ts";
import type { ProcessorObserver } from "./observed.ts";
import { createPopulation, type Population } from "./population.ts";

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
  /** What came while there was no connection for longer than this is missed, not late; 60,000 without it. */
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
  /** Resolves when it knows what is there: what is appended from then on is acted on. Rejects like `done`. */
  readonly ready: Promise<void>;
  /** The latest state of a stream, as far as it is folded; the initial one where it does not run. */
  state(path: string): unknown;
  /** The streams that it has met, in order of their paths. */
  paths(): string[];
  stop(): Promise<void>;
}

export function runProcessor(options: RunOptions): ProcessorRun {
  /** Of reading: nothing begins any more. */
  const ending = new AbortController();
  /** Of writing: what had begun has had its time. */
  const closing = new AbortController();
  const needs = needsOf(options, { signal: ending.signal, closing: closing.signal }, (path) =>
    population.runs.get(path),
  );
  const { client, clock, cursors, processor } = needs;
  const { failed } = needs.observer;
  const matching = matchingOf(options.client.pathOf(options.path), options.includeChildren === true);
  const population: Population = createPopulation(needs, matching);
  const ready = withResolvers();
  let settling: Promise<void> | undefined;
  let failure: { error: unknown } | undefined;

  function fail(error: unknown): void {
    if (ending.signal.aborted) return;
    failure = { error };
    ending.abort();
  }

  async function run(): Promise<void> {
    const abort = () => ending.abort();
    if (options.signal?.aborted) abort();
    options.signal?.addEventListener("abort", abort, { once: true });
    cursors.onLost?.((_, error) => fail(error));
    await follow({
      client,
      matching,
      clock,
      awayAfterMs: options.awayAfterMs ?? 60_000,
      signal: ending.signal,
      onConnected() {
        settling = population.settle().then(ready.resolve, fail);
        return settling;
      },
      onAbsence: population.lookAgain,
      onEvent: population.hear,
      onDeleted: async () => (await population.leave(matching.root)) ?? "end",
      onFailure: failed,
    }).catch(fail);
    options.signal?.removeEventListener("abort", abort);
    await settling;
    await population.stop();
    closing.abort();
    await cursors.close?.();
    if (failure === undefined) return ready.resolve();
    needs.surroundings.logger.error(`${processor.slug} on ${options.path} ends: ${String(failure.error)}`);
    ready.reject(failure.error);
    throw failure.error;
  }

  const done = run();
  done.catch(() => {});
  ready.promise.catch(() => {});
  return {
    done,
    ready: ready.promise,
    state: (path) => population.runs.get(path)?.state ?? processor.initialState,
    paths: () => [...population.runs.keys()].sort(),
    async stop() {
      ending.abort();
      await done;
    },
  };
}

function withResolvers(): { promise: Promise<void>; resolve(): void; reject(error: unknown): void } {
  let settle: { resolve(): void; reject(error: unknown): void } = { resolve() {}, reject() {} };
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle };
}
