/**
 * The thread beside the one that evaluates: it ends the process when an item takes too long, or when the server is gone,
 * for an expression that runs in circles hears neither a timer nor a closed channel. While nothing is evaluated it
 * waits without a timer; the server's end is then seen by the main thread.
 *
 * The deadline is of processor time: on a busy machine a cheap item may wait long for its turn, and is not to blame. A
 * wall clock stands behind it, ten times as far away, for what neither ends nor computes (a machine that swaps).
 * Helpers of V8 count as well, so both clocks have to have passed the deadline. The server's clock is not asked: a busy
 * server would stop expressions for its own delays.
 */
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { type ProcessSettings, verdictDescriptor } from "./messages.ts";
import { createTurnView, isRunning } from "./turns.ts";

export interface WatchdogSettings extends Pick<ProcessSettings, "timeoutMs" | "parentId"> {
  cells: Int32Array<SharedArrayBuffer>;
}

const wallFactor = 10;

watch(workerData as WatchdogSettings);

function watch({ cells, timeoutMs, parentId }: WatchdogSettings): never {
  const { turn, indexIn, waitWhile, sleep } = createTurnView(cells);
  const lookMs = Math.min(Math.max(timeoutMs / 10, 1), 100);
  let seen = 0;
  let since = now();

  for (;;) {
    if (process.ppid !== parentId) kill();
    const current = turn();
    if (current !== seen) {
      seen = current;
      since = now();
    } else if (!isRunning(current)) {
      waitWhile(current);
      continue;
    } else if (isOver(since, timeoutMs)) {
      const index = indexIn(current);
      if (index !== undefined) stop(index);
    }
    sleep(lookMs);
  }
}

interface Instant {
  wallMs: number;
  processorMs: number;
}

function now(): Instant {
  const { user, system } = process.cpuUsage();
  return { wallMs: performance.now(), processorMs: (user + system) / 1_000 };
}

function isOver(since: Instant, timeoutMs: number): boolean {
  const { wallMs, processorMs } = now();
  const wall = wallMs - since.wallMs;
  return wall >= timeoutMs && (processorMs - since.processorMs >= timeoutMs || wall >= wallFactor * timeoutMs);
}

/** With nobody left to read the verdict, writing it throws, and a thread that ends by that would leave nobody to end us. */
function stop(index: number): void {
  try {
    writeSync(verdictDescriptor, String(index));
  } finally {
    kill();
  }
}

/** `process.exit` of a thread ends the thread alone. */
function kill(): void {
  process.kill(process.pid, "SIGKILL");
}
