/**
 * Code that gives way all the time and still takes a core for ever. It answers every ping, so what is looked at is how
 * the main thread of its process spent its time: computing, waiting for a core that others had, or asleep.
 */
import { type Spent, spentOf } from "./process-figures.ts";

export interface BurningLimits {
  /** So long a process may be busy. */
  windowMs: number;
  /** It is busy when it sleeps less than the rest of the time. */
  share: number;
  /** What was busy for so long comes behind the server from there on, until it rests. */
  yieldAfterMs: number;
  /** How often a process is looked at. */
  lookEveryMs: number;
  /** How long nothing new may begin while it is found out whether a busy process has only much to do. */
  holdMs: number;
}

export const burningDefaults: BurningLimits = {
  windowMs: 30_000,
  share: 0.9,
  yieldAfterMs: 3_000,
  lookEveryMs: 1_000,
  holdMs: 250,
};

/** Below this part of a core it burns nothing worth a stop, however rarely it sleeps on a machine that is starved. */
const coreMin = 0.05;

/**
 * How much of the time it was busy, of that in which it could have been: what it waited for a core counts neither for it
 * nor against it, so that a busy machine convicts nobody and hides nobody.
 */
export function busyShare(from: Spent, to: Spent): number {
  const passedMs = to.at - from.at;
  const ranMs = to.ranMs - from.ranMs;
  const freeMs = passedMs - Math.min(to.waitedMs - from.waitedMs, passedMs);
  if (passedMs <= 0 || ranMs < coreMin * passedMs) return 0;
  return Math.min(ranMs / Math.max(freeMs, ranMs), 1);
}

/** What one process was seen to do. */
export class BusyWindow {
  readonly #pid: number;
  readonly #limits: Pick<BurningLimits, "windowMs" | "share">;
  /** Not older than needed. */
  #seen: Spent[] = [];

  constructor(pid: number, limits: Pick<BurningLimits, "windowMs" | "share">) {
    this.#pid = pid;
    this.#limits = limits;
  }

  /** One more look. The milliseconds that it computed since the last one; 0 where that cannot be known. */
  look(): number {
    const now = spentOf(this.#pid);
    if (now === undefined) return 0;
    const last = this.#seen.at(-1);
    this.#seen.push(now);
    while ((this.#seen[1]?.at ?? now.at) <= now.at - this.#limits.windowMs) this.#seen.shift();
    return last === undefined ? 0 : now.ranMs - last.ranMs;
  }

  /** Since when it is busy, where it was for a whole window. */
  get burningSince(): number | undefined {
    const [first] = this.#seen;
    const last = this.#seen.at(-1);
    if (first === undefined || last === undefined || last.at - first.at < this.#limits.windowMs) return undefined;
    return busyShare(first, last) >= this.#limits.share ? first.at : undefined;
  }

  /** Whether it was busy most of the time that was looked at, however short that is yet. */
  get isBusy(): boolean {
    const [first] = this.#seen;
    const last = this.#seen.at(-1);
    return first !== undefined && last !== undefined && busyShare(first, last) >= this.#limits.share;
  }

  /** Whether it was busy in these last milliseconds. */
  wasBusyFor(milliseconds: number): boolean {
    const last = this.#seen.at(-1);
    const first = this.#seen.findLast(({ at }) => last !== undefined && last.at - at >= milliseconds);
    return first !== undefined && last !== undefined && busyShare(first, last) >= this.#limits.share;
  }

  /** What was seen was work that had an end. */
  restart(): void {
    this.#seen = this.#seen.slice(-1);
  }
}
