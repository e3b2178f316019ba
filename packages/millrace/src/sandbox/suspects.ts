/**
 * Who of one project is suspected of having taken a process with it. Each runs alone in a process until it has done what
 * it was doing when the process ended; the one that takes that with it, too, is convicted.
 */
import type { Activity, Death, Deed, ProcessEnd } from "./activity.ts";
import { createLeftBehind } from "./left-behind.ts";

export interface Suspects {
  /** A process ended that many share: whoever may have done it. Also one that seemed alone is only suspected. */
  add(end: ProcessEnd): void;
  /** The process ended in which this one was alone, doing this. */
  endedAlone(suspect: string, death: Death, deed: Deed, why?: string): void;
  isSuspect(suspect: string): boolean;
  /**
   * How long it has to be alone, milliseconds, where what it is suspected of takes a while to show: it may burn, or have
   * left something behind. Undefined where that shows at once.
   */
  holdMsOf(suspect: string): number | undefined;
  /** Lower is likelier: who is looked at first. */
  rankOf(suspect: string): number;
  /** Why it runs no more; undefined when it was not convicted. */
  convictionOf(suspect: string): string | undefined;
  /** Somebody wants it to run although it was convicted: from here on it is a suspect. */
  tryAgain(suspect: string): void;
  /** It did this, alone, and nothing happened. */
  did(suspect: string, deed: Deed): void;
  acquit(suspect: string): void;
}

/** Of those that are not asked for any more; the oldest are forgotten. */
const suspectsMax = 10_000;
const convictedMax = 1_000;
/** When a process ends again so soon after, and nobody was convicted, it may have been one that seemed to wait. */
const againMs = 30_000;
/** The same of one that burned, which takes long to be seen; once it was found the next is another's. */
const burningAgainMs = 5 * 60_000;
/** Somebody else may end a process: so often it has to be for a processor that did nothing known to be wrong. */
const crashesMax = 3;
const ranks: Record<Deed["what"], number> = { load: 0, fold: 1, call: 2 };

interface Suspicion {
  deed: Deed;
  crashes: number;
  rank: number;
  /** The end of a process that it is suspected of. */
  incident: number;
  holdMs: number | undefined;
  /** It had been answered. */
  wasLeft?: boolean;
}

interface Conviction {
  message: string;
  deed: Deed;
  holdMs: number | undefined;
}

/** @param burningMs how long one that is suspected of burning has to be harmless */
export function createSuspects(burningMs = 31_000): Suspects {
  const leftBehind = createLeftBehind();
  const suspected = new Map<string, Suspicion>();
  const convicted = new Map<string, Conviction>();
  let incidents = 0;
  let lastEndAt = Number.NEGATIVE_INFINITY;
  let lastBurningAt = Number.NEGATIVE_INFINITY;

  /** Whether it is soon after the one before. */
  function isAgain(death: Death): boolean {
    const now = performance.now();
    if (death === "burning") {
      const soFar = lastBurningAt;
      lastBurningAt = now;
      return now - soFar < burningAgainMs;
    }
    const soFar = lastEndAt;
    lastEndAt = now;
    return now - soFar < againMs;
  }

  function suspectOne(
    { suspect, deed }: Pick<Activity, "suspect" | "deed">,
    how: Pick<Suspicion, "rank" | "holdMs" | "wasLeft">,
  ): void {
    const before = suspected.get(suspect);
    if (before !== undefined && ranks[before.deed.what] > ranks[deed.what]) return;
    // What does harm at once comes first.
    if (before !== undefined && before.holdMs === undefined && how.holdMs !== undefined) return;
    suspected.delete(suspect);
    suspected.set(suspect, { ...how, deed, crashes: before?.crashes ?? 0, incident: incidents });
    dropOldest(suspected, suspectsMax);
  }

  function release(suspect: string): void {
    const suspicion = suspected.get(suspect);
    // Another was convicted meanwhile: then this one has shown nothing yet.
    if (suspicion === undefined) return;
    if (suspicion.wasLeft === true) leftBehind.cleared(suspect);
    else if (suspicion.holdMs === undefined) leftBehind.letGo(suspect, performance.now());
    suspected.delete(suspect);
  }

  /** What burns takes long to show anyway, and whoever did so before its answer is known of it. */
  function suspectBurners(all: readonly Activity[]): void {
    for (const [rank, activity] of all.entries()) suspectOne(activity, { rank, holdMs: burningMs });
  }

  /** At first whoever runs; when it comes again, and nobody was convicted, it may be one who had been answered. */
  function suspectRunning(all: readonly Activity[], last: readonly Activity[], isAgain: boolean): void {
    const now = performance.now();
    const isKnown = ({ suspect }: Activity) => isAgain && leftBehind.wasLetGoLately(suspect, now);
    const fresh = all.filter((activity) => !isKnown(activity));
    for (const [rank, activity] of fresh.entries()) suspectOne(activity, { rank, holdMs: undefined });
    if (!isAgain && fresh.length > 0) return;
    const names = new Set(fresh.map(({ suspect }) => suspect));
    const others = last.filter(({ suspect }) => !names.has(suspect));
    for (const [rank, activity] of leftBehind.among(others, now).entries()) {
      suspectOne(activity, { rank, holdMs: leftBehind.holdMs(activity.suspect), wasLeft: true });
    }
  }

  /** Each end has one who did it: the others are let go. Should there be two, the second does it again. */
  function convict(suspect: string, death: Death, deed: Deed, why = whys[death]): void {
    const { incident, holdMs } = suspected.get(suspect) ?? {};
    leftBehind.convicted(suspect);
    if (death === "burning") lastBurningAt = Number.NEGATIVE_INFINITY;
    suspected.delete(suspect);
    for (const [other, suspicion] of suspected) {
      if (suspicion.incident === incident && suspicion.crashes === 0) suspected.delete(other);
    }
    const hold = death === "burning" ? burningMs : holdMs;
    convicted.set(suspect, { message: `${whileDoing(deed)} ${why}`, deed, holdMs: hold });
    dropOldest(convicted, convictedMax);
  }

  return {
    add({ death, suspects, others, last }) {
      if (death === "stopped") return;
      incidents++;
      const again = isAgain(death);
      const all = again ? [...suspects, ...others] : suspects;
      if (death === "burning") suspectBurners(all);
      else suspectRunning(all, last, again);
    },
    endedAlone(suspect, death, deed, why) {
      const crashes = (suspected.get(suspect)?.crashes ?? 0) + 1;
      if (death !== "crash" || crashes >= crashesMax) return convict(suspect, death, deed, why);
      const incident = suspected.get(suspect)?.incident ?? ++incidents;
      suspected.set(suspect, { deed, crashes, rank: 0, incident, holdMs: undefined });
    },
    isSuspect: (suspect) => suspected.has(suspect),
    holdMsOf: (suspect) => suspected.get(suspect)?.holdMs,
    rankOf: (suspect) => suspected.get(suspect)?.rank ?? Number.POSITIVE_INFINITY,
    convictionOf: (suspect) => convicted.get(suspect)?.message,
    tryAgain(suspect) {
      const conviction = convicted.get(suspect);
      if (conviction === undefined) return;
      convicted.delete(suspect);
      incidents++;
      suspectOne({ suspect, deed: conviction.deed }, { rank: 0, holdMs: conviction.holdMs });
    },
    did(suspect, done) {
      const { deed, holdMs } = suspected.get(suspect) ?? {};
      // What burns, or is left behind, has done nothing wrong until it has gone on for a while.
      if (holdMs !== undefined) return;
      if (deed !== undefined && ranks[done.what] >= ranks[deed.what] && done.through >= deed.through) {
        release(suspect);
      }
    },
    acquit: release,
  };
}

function dropOldest(map: Map<string, unknown>, max: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= max) return;
    map.delete(oldest);
  }
}

function whileDoing({ what, through }: Deed): string {
  if (what === "load") return "While it was loaded, the code";
  return what === "fold"
    ? `While it folded events up to ${through}, the code`
    : `While it acted on event ${through}, it`;
}

const whys: Record<Death, string> = {
  cpu: "computed for too long without giving way, as in an endless loop, and was stopped.",
  burning: "took a whole core for too long, giving way now and then, as in a loop that awaits, and was stopped.",
  memory: "took more memory than it may have, and was stopped.",
  crash: `ended the process that it ran in, ${crashesMax} times out of ${crashesMax}.`,
  stopped: "was stopped.",
};
