/**
 * Finds out whether a busy process burns or has only much to do, which is no fault of anybody: for a moment nothing new
 * may begin. Then what has much to do comes to its end and sleeps, and what burns goes on.
 */
import type { Activities } from "./activities.ts";
import { type BurningLimits, BusyWindow, busyShare } from "./burning.ts";
import { type Spent, spentOf } from "./process-figures.ts";

export interface WatchedProcess {
  pid: number;
  activities: Activities;
  isOver(): boolean;
  /** Or until it has ended. */
  pause(milliseconds: number): Promise<void>;
  /** It burns, since then. */
  burns(since: number): void;
}

/** So often at most it is looked at while nothing new may begin: until what began lately has come to its end. */
const looksMax = 10;

export class BurningWatch {
  readonly #process: WatchedProcess;
  readonly #limits: BurningLimits;
  readonly #window: BusyWindow;
  #held: Promise<void> | undefined;

  constructor(process: WatchedProcess, limits: BurningLimits) {
    this.#process = process;
    this.#limits = limits;
    this.#window = new BusyWindow(process.pid, limits);
  }

  /** Almost all of the time that was looked at. */
  get isBusy(): boolean {
    return this.#window.isBusy;
  }

  /** Of late, and so long that others should come before it. */
  get shouldYield(): boolean {
    return this.#window.wasBusyFor(this.#limits.yieldAfterMs);
  }

  /** Whoever begins something new waits for this, where it is there. */
  get held(): Promise<void> | undefined {
    return this.#held;
  }

  /** The milliseconds that it computed since this was asked for the last time. */
  look(): number {
    const ranMs = this.#window.look();
    const since = this.#window.burningSince;
    if (since !== undefined && this.#held === undefined) this.#held = this.#hold(since);
    return ranMs;
  }

  async #hold(since: number): Promise<void> {
    if ((await this.#staysBusy(since)) && !this.#process.isOver()) this.#process.burns(since);
    else this.#window.restart();
    this.#held = undefined;
  }

  async #staysBusy(since: number): Promise<boolean> {
    const { pid, activities, isOver, pause } = this.#process;
    const { holdMs, share } = this.#limits;
    let settled: Spent | undefined;
    let before = spentOf(pid);
    let ranMs = 0;
    for (let looks = 1; looks <= looksMax; looks++) {
      const { begun } = activities;
      await pause(holdMs);
      const after = spentOf(pid);
      if (isOver() || before === undefined || after === undefined) return false;
      if (busyShare(before, after) < share / 3) return false;
      // Loads are not held up: what they take is no sign of anything else.
      const isLoading = activities.begun !== begun;
      if (isLoading || activities.hasSince(since)) settled = undefined;
      // Less than over a long time: a moment is measured coarsely.
      else if (settled !== undefined && busyShare(settled, after) > 0.75 * share) return true;
      else settled ??= after;
      ranMs = isLoading ? 0 : ranMs + after.ranMs - before.ranMs;
      before = after;
    }
    // What began lately, and is not at its end by now, had at least the time for it.
    return ranMs > (looksMax * holdMs) / 2;
  }
}
