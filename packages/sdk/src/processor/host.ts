/** What a run takes from wherever it runs, unless it is given something else: time, chance, a place for its log. */
import type { Clock, Logger, Random } from "@millrace/protocol";

export const hostClock: Clock = {
  now: () => Date.now(),
  elapsedMs: () => performance.now(),
  setTimer(delayMs, run) {
    // What is further away than a signed 32-bit integer would fire at once; whoever set it looks again then.
    const timer: unknown = setTimeout(run, Math.min(delayMs, 2_147_483_647));
    // The connection keeps a process alive; its timers do not. Browsers have numbers here.
    if (typeof timer === "object") (timer as { unref?(): void }).unref?.();
    return () => clearTimeout(timer as ReturnType<typeof setTimeout>);
  },
};

export const hostRandom: Random = {
  id: () =>
    Array.from(crypto.getRandomValues(new Uint8Array(15)), (byte) => byte.toString(16).padStart(2, "0")).join(""),
  fraction: () => Math.random(),
};

export const consoleLogger: Logger = {
  debug: () => {},
  info: (message, details) => log("info", message, details),
  warn: (message, details) => log("warn", message, details),
  error: (message, details) => log("error", message, details),
};

function log(level: "info" | "warn" | "error", message: string, details: unknown): void {
  if (details === undefined) console[level](message);
  else console[level](message, details);
}
