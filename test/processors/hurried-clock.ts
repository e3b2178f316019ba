/** A clock on which a wait of seconds takes milliseconds: what is set for later comes soon, and then it is later. */
import type { RunOptions } from "@millrace/sdk/processor";

export function hurried(): NonNullable<RunOptions["clock"]> {
  let ahead = 0;
  return {
    now: () => Date.now() + ahead,
    elapsedMs: () => performance.now(),
    setTimer(delayMs, run) {
      // Deadlines of hooks and the time that they have to come to an end stay what they are.
      const hurries = delayMs >= 500 && delayMs < 60_000 && delayMs !== 5_000;
      const timer = setTimeout(
        () => {
          if (hurries) ahead += delayMs;
          run();
        },
        hurries ? 5 : delayMs,
      );
      return () => clearTimeout(timer);
    },
  };
}
