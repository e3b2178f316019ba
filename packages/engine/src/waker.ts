/**
 * The alarm clock of the server: opens each stream when what it owes is due. Claims are on disk, written with the
 * commits that made them; here is only the near future, read ahead, and one timer for the earliest of it.
 *
 * Whoever is woken says when to come next. Nothing in here repeats anything by itself, so what cannot be done now is
 * never tried in a loop; only a stream that could not be opened at all is tried again, with growing distance.
 */
import { createHeap, type Heap } from "./heap.ts";
import type { Clock } from "./ports/clock.ts";
import type { Directory } from "./ports/log.ts";

export interface WakerHouse {
  clock: Clock;
  wakes: Directory["wakes"];
  /** Opens the stream and lets it do what is due at that time. Resolves when that is begun. */
  wake(project: string, path: string, at: number): Promise<void>;
  onFailure(error: unknown): void;
}

export interface Waker {
  start(): void;
  /** A claim was committed, so it is found on disk, too. */
  claimed(project: string, path: string, at: number): void;
  /** Somebody in memory wants to be called, and remembers it nowhere else. */
  call(project: string, path: string, at: number): void;
  /** How many are to be woken in the near future. */
  waiting(): number;
  /** Resolves when nobody is being woken any more; nobody will be. */
  stop(): Promise<void>;
}

interface Entry {
  at: number;
  project: string;
  path: string;
  /** How often it could not be opened, one time after another. */
  failures?: number;
}

/** So far ahead claims are held in memory. */
const horizonMs = 60_000;
/** The horizon moves on when it is this near. */
const marginMs = 5_000;
const pageMax = 10_000;
/** A clock may jump while a timer runs: it is looked at this often while something is due some time. */
const lookMs = 60_000;
const wakingMax = 64;
const firstDelayMs = 1_000;
const longestDelayMs = 60_000;

export function createWaker(house: WakerHouse): Waker {
  const { clock } = house;
  const near: Heap<Entry> = createHeap((a, b) => a.at - b.at);
  /** Every claim up to here is in `near`, or was. */
  let horizon = Number.NEGATIVE_INFINITY;
  /** The first claim behind the horizon, or null. Unknown before the first look. */
  let nextFar: number | null = Number.NEGATIVE_INFINITY;
  let looking = false;
  /** While it looks: how far, and the first claim that was committed behind that meanwhile. */
  let lookingThrough = Number.NEGATIVE_INFINITY;
  let farMeanwhile = Number.POSITIVE_INFINITY;
  let stopped = false;
  let lookFailures = 0;
  let retryLookAt = Number.NEGATIVE_INFINITY;
  let cancelTimer = () => {};
  let armedFor: number | undefined;
  let waking = 0;
  let whenStill: (() => void) | undefined;

  function arm(): void {
    if (stopped || waking >= wakingMax) return;
    const soonest = Math.min(near.peek()?.at ?? Number.POSITIVE_INFINITY, lookAt());
    if (soonest === armedFor) return;
    cancelTimer();
    armedFor = soonest;
    if (soonest === Number.POSITIVE_INFINITY) return;
    const delay = Math.min(Math.max(soonest - clock.now(), 0), lookMs);
    cancelTimer = clock.setTimer(delay, () => {
      armedFor = undefined;
      run();
    });
  }

  function lookAt(): number {
    if (looking || nextFar === null) return Number.POSITIVE_INFINITY;
    return Math.max(nextFar - horizonMs, horizon - marginMs, retryLookAt);
  }

  function run(): void {
    const now = clock.now();
    if (!looking && nextFar !== null && lookAt() <= now) void look(now);
    while (!stopped && waking < wakingMax) {
      const next = near.peek();
      if (next === undefined || next.at > now) break;
      near.pop();
      void wake(next);
    }
    arm();
  }

  async function look(now: number): Promise<void> {
    looking = true;
    lookingThrough = Math.max(now + horizonMs, horizon);
    farMeanwhile = Number.POSITIVE_INFINITY;
    try {
      const { wakes, through, next } = await house.wakes({ after: horizon, through: lookingThrough, limit: pageMax });
      for (const { project, path, wakeAt } of wakes) near.push({ project, path, at: wakeAt });
      const far = Math.min(next ?? Number.POSITIVE_INFINITY, farMeanwhile);
      nextFar = far === Number.POSITIVE_INFINITY ? null : far;
      horizon = through;
      lookFailures = 0;
    } catch (error) {
      house.onFailure(error);
      // What was committed meanwhile is on disk as well, and is found when this succeeds.
      nextFar = Number.NEGATIVE_INFINITY;
      retryLookAt = clock.now() + delayAfter(lookFailures++);
    } finally {
      looking = false;
      lookingThrough = Number.NEGATIVE_INFINITY;
      if (!stopped) run();
      still();
    }
  }

  async function wake(entry: Entry): Promise<void> {
    waking++;
    try {
      await house.wake(entry.project, entry.path, entry.at);
    } catch (error) {
      house.onFailure(error);
      const { failures = 0 } = entry;
      near.push({ ...entry, at: clock.now() + delayAfter(failures), failures: failures + 1 });
    } finally {
      waking--;
      if (!stopped) run();
      still();
    }
  }

  function still(): void {
    if (waking === 0 && !looking) whenStill?.();
  }

  function push(entry: Entry): void {
    near.push(entry);
    if (armedFor === undefined || entry.at < armedFor) arm();
  }

  return {
    start: run,
    claimed(project, path, at) {
      if (at <= horizon || at <= lookingThrough) return push({ project, path, at });
      farMeanwhile = Math.min(farMeanwhile, at);
      if (nextFar !== null && at >= nextFar) return;
      nextFar = at;
      arm();
    },
    call: (project, path, at) => push({ project, path, at }),
    waiting: () => near.size,
    async stop() {
      stopped = true;
      cancelTimer();
      if (waking === 0 && !looking) return;
      await new Promise<void>((resolve) => {
        whenStill = resolve;
      });
    },
  };
}

function delayAfter(failures: number): number {
  return Math.min(firstDelayMs * 2 ** Math.min(failures, 6), longestDelayMs);
}
