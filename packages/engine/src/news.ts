/** What a live reader waits for: a change, a quiet while, or its own end. Costs one promise a wait. */
import type { Clock } from "./ports/clock.ts";

const idleMs = 15_000;

export class News {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #unsubscribe: () => void;
  #cancelTimer: () => void = () => {};
  #resolve: ((what: "changed" | "idle") => void) | undefined;
  #missed = false;
  #quiet = true;

  /** @param subscribe calls what it is given at every change, until what it returns is called */
  constructor(subscribe: (wake: () => void) => () => void, clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    this.#unsubscribe = subscribe(this.#changed);
    signal.addEventListener("abort", this.#changed);
    this.#watch();
  }

  next(): Promise<"changed" | "idle"> | "changed" {
    if (this.#missed || this.#signal.aborted) {
      this.#missed = false;
      return "changed";
    }
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  stop(): void {
    this.#unsubscribe();
    this.#signal.removeEventListener("abort", this.#changed);
    this.#cancelTimer();
  }

  /** The reader was given something: not what happens counts for a sign of life, but what it hears of. */
  spoke(): void {
    this.#quiet = false;
  }

  #changed = (): void => {
    if (this.#resolve === undefined) this.#missed = true;
    else this.#settle("changed");
  };

  #settle(what: "changed" | "idle"): void {
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.(what);
  }

  /** One timer for each while, however much happens in it. */
  #watch(): void {
    this.#cancelTimer = this.#clock.setTimer(idleMs, () => {
      if (this.#quiet) this.#settle("idle");
      this.#quiet = true;
      this.#watch();
    });
  }
}
