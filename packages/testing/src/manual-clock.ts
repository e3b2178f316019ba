/**
 * Time that stands still until a test moves it. `advance` lets time pass: timers that fall due run, earliest first,
 * and see the time at which they were due. `jump` sets the wall clock wrong, as a person or NTP does: no timer runs.
 */
import type { Clock } from "@millrace/engine";

export interface ManualClock extends Clock {
  advance(milliseconds: number): void;
  /** Moves what `now` says, in either direction, without any time having passed. */
  jump(milliseconds: number): void;
  /** How long until the next timer, or undefined when there is none. */
  nextTimerInMs(): number | undefined;
}

interface Timer {
  at: number;
  run(): void;
}

export const manualClockStart: number = Date.UTC(2026, 0, 1);

export function createManualClock(start: number = manualClockStart): ManualClock {
  let wall = start;
  /** What timers go by: never runs backwards. */
  let elapsed = 0;
  const timers = new Set<Timer>();

  function nextTimer(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers) if (next === undefined || timer.at < next.at) next = timer;
    return next;
  }

  function pass(milliseconds: number): void {
    wall += milliseconds;
    elapsed += milliseconds;
  }

  return {
    now: () => wall,
    elapsedMs: () => elapsed,
    setTimer(delayMs, run) {
      const timer = { at: elapsed + Math.max(delayMs, 0), run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(milliseconds) {
      const until = elapsed + milliseconds;
      for (let timer = nextTimer(); timer !== undefined && timer.at <= until; timer = nextTimer()) {
        timers.delete(timer);
        if (timer.at > elapsed) pass(timer.at - elapsed);
        timer.run();
      }
      pass(until - elapsed);
    },
    jump(milliseconds) {
      wall += milliseconds;
    },
    nextTimerInMs() {
      const timer = nextTimer();
      return timer === undefined ? undefined : timer.at - elapsed;
    },
  };
}
