/**
 * Who of one project is suspected of having taken a process with it. Each runs alone in a process until it has done what
 * it was doing when the process ended; the one that takes that with it, too, is convicted.
 */
import type { Activity, Death, Deed, ProcessEnd } from "./activity.ts";

export interface Suspects {
  /** A process ended that many share: whoever may have done it. Also one that seemed alone is only suspected. */
  add(end: ProcessEnd): void;
  /** The process ended in which this one was alone, doing this. */
  endedAlone(suspect: string, death: Death, deed: Deed, why?: string): void;
  isSuspect(suspect: string): boolean;
  /** What it is suspected of takes long to show, and does little harm meanwhile. */
  isSlow(suspect: string): boolean;
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
  isSlow: boolean;
}

interface Conviction {
  message: string;
  deed: Deed;
  isSlow: boolean;
}

export function createSuspects(): Suspects {
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

  function suspectOne({ suspect, deed }: Pick<Activity, "suspect" | "deed">, rank: number, isSlow: boolean): void {
    const before = suspected.get(suspect);
    if (before !== undefined && ranks[before.deed.what] > ranks[deed.what]) return;
    // What does harm at once comes first.
    if (before?.isSlow === false && isSlow) return;
    suspected.delete(suspect);
    suspected.set(suspect, { deed, crashes: before?.crashes ?? 0, rank, incident: incidents, isSlow });
    dropOldest(suspected, suspectsMax);
  }

  /** Each end has one who did it: the others are let go. Should there be two, the second does it again. */
  function convict(suspect: string, death: Death, deed: Deed, why = whys[death]): void {
    const { incident } = suspected.get(suspect) ?? {};
    if (death === "burning") lastBurningAt = Number.NEGATIVE_INFINITY;
    suspected.delete(suspect);
    for (const [other, suspicion] of suspected) {
      if (suspicion.incident === incident && suspicion.crashes === 0) suspected.delete(other);
    }
    convicted.set(suspect, { message: `${whileDoing(deed)} ${why}`, deed, isSlow: death === "burning" });
    dropOldest(convicted, convictedMax);
  }

  return {
    add({ death, suspects, others }) {
      if (death === "stopped") return;
      incidents++;
      const all = isAgain(death) ? [...suspects, ...others] : suspects;
      for (const [rank, activity] of all.entries()) suspectOne(activity, rank, death === "burning");
    },
    endedAlone(suspect, death, deed, why) {
      const crashes = (suspected.get(suspect)?.crashes ?? 0) + 1;
      if (death !== "crash" || crashes >= crashesMax) return convict(suspect, death, deed, why);
      const incident = suspected.get(suspect)?.incident ?? ++incidents;
      suspected.set(suspect, { deed, crashes, rank: 0, incident, isSlow: false });
    },
    isSuspect: (suspect) => suspected.has(suspect),
    isSlow: (suspect) => suspected.get(suspect)?.isSlow ?? false,
    rankOf: (suspect) => suspected.get(suspect)?.rank ?? Number.POSITIVE_INFINITY,
    convictionOf: (suspect) => convicted.get(suspect)?.message,
    tryAgain(suspect) {
      const conviction = convicted.get(suspect);
      if (conviction === undefined) return;
      convicted.delete(suspect);
      incidents++;
      suspectOne({ suspect, deed: conviction.deed }, 0, conviction.isSlow);
    },
    did(suspect, done) {
      const { deed, isSlow } = suspected.get(suspect) ?? {};
      // What burns has done nothing wrong until it has gone on for long.
      if (isSlow === true) return;
      if (deed !== undefined && ranks[done.what] >= ranks[deed.what] && done.through >= deed.through) {
        suspected.delete(suspect);
      }
    },
    acquit: (suspect) => suspected.delete(suspect),
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
