/** What every run on a stream needs, made of what the caller says and of what its host has. */
import { memoryCursors } from "./cursors.ts";
import { consoleLogger, hostClock, hostRandom } from "./host.ts";
import { createObserver } from "./observed.ts";
import { createRivalWatch } from "./rivals.ts";
import type { RunOptions } from "./run-processor.ts";
import type { RunNeeds, StreamRun } from "./stream-run.ts";
import { createTurns } from "./turns.ts";

export type NeedsOptions = Pick<
  RunOptions,
  "client" | "processor" | "concurrency" | "cursors" | "logger" | "fetch" | "env" | "observer" | "clock" | "random"
>;

const historyReadsAtOnce = 8;

/** @param runAt the run on a stream; without it a repetition of what stands is no reason to look for a rival */
export function needsOf(
  options: NeedsOptions,
  { signal, closing }: Pick<RunNeeds, "signal" | "closing">,
  runAt?: (path: string) => StreamRun | undefined,
): RunNeeds {
  const { processor, concurrency = 16, logger = consoleLogger, env = {} } = options;
  const client = options.client.withoutPrefix();
  const resumeListeners = new Map<string, Set<() => void>>();
  const onFailure = (error: unknown) => observer.failed(error);
  const onRival =
    runAt === undefined
      ? () => {}
      : createRivalWatch({
          client,
          slug: processor.slug,
          logger,
          signal: closing,
          streamIdOf: (path) => runAt(path)?.streamId,
          onFailure,
        });
  const observer = createObserver({
    observer: options.observer ?? {},
    slug: processor.slug,
    logger,
    hookTurns: createTurns(concurrency),
    signal,
    onRival,
  });
  return {
    client,
    processor,
    cursors: options.cursors ?? memoryCursors(),
    clock: options.clock ?? hostClock,
    random: options.random ?? hostRandom,
    meter: { hooks: 0, hookMs: 0, hookFailures: 0, halts: 0 },
    surroundings: { logger, env, fetch: options.fetch ?? ((...args) => fetch(...args)) },
    readTurns: createTurns(historyReadsAtOnce),
    observer,
    signal,
    closing,
    resumed(path) {
      for (const resume of [...(resumeListeners.get(path) ?? [])]) resume();
    },
    onResumed(path, run) {
      const listeners = resumeListeners.get(path) ?? new Set();
      resumeListeners.set(path, listeners.add(run));
      return () => {
        listeners.delete(run);
        if (listeners.size === 0) resumeListeners.delete(path);
      };
    },
  };
}
