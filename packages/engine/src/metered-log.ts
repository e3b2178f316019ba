/** A stream's log with a meter beside it: every commit is timed and counted, and a failure of the log remembered. */
import { type Meter, observe } from "./meter.ts";
import type { Clock } from "./ports/clock.ts";
import { type Committed, HeadConflict, type StreamLog } from "./ports/log.ts";

export function meteredLog(log: StreamLog, meter: Meter, clock: Clock): StreamLog {
  async function timed(events: number, committing: Promise<Committed>, began: number): Promise<Committed> {
    try {
      const committed = await committing;
      observe(meter.commitSeconds, (clock.elapsedMs() - began) / 1_000);
      observe(meter.commitEvents, events);
      meter.events += events;
      meter.failing = undefined;
      return committed;
    } catch (error) {
      meter.commitFailures++;
      // Another writer was faster: the log is well.
      if (!(error instanceof HeadConflict)) fail(meter, clock.now(), error);
      throw error;
    }
  }

  return {
    load: () => log.load(),
    read: (range) => log.read(range),
    findKeys: (keys) => log.findKeys(keys),
    positionOf: (offset) => log.positionOf(offset),
    headAt: (position) => log.headAt(position),
    consumerSnapshot: (consumer) => log.consumerSnapshot(consumer),
    append(commit, expected) {
      const began = clock.elapsedMs();
      return timed(commit.records.length, log.append(commit, expected), began);
    },
    remove(expected, claim) {
      const began = clock.elapsedMs();
      return timed(0, log.remove(expected, claim), began);
    },
  };
}

function fail(meter: Meter, now: number, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  meter.failing = { since: meter.failing?.since ?? now, lastAt: now, message };
}
