/** The system's time and chance. */
import { randomBytes } from "node:crypto";
import type { Clock, Random } from "@millrace/engine";

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsedMs: () => performance.now(),
  setTimer(delayMs, run) {
    // Node fires at once what is further away than a signed 32-bit integer; whoever set it looks again then.
    const timer = setTimeout(run, Math.min(delayMs, 2_147_483_647)).unref();
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = {
  id: () => randomBytes(15).toString("base64url"),
  fraction: () => Math.random(),
};
