/**
 * Who of one project is suspected of having taken a process with it. Each runs alone in a process until it has done what
 * it was doing when the process ended; the one that takes that with it, too, is convicted.
 */
import type { Activity, Death, Deed, ProcessEnd } from "./activity.ts";

export interface Suspects {
  /** A process ended that many share: whoever may have done it. */
  add(end: ProcessEnd): void;
  /** The process ended in which this one was alone, doing this. */
  endedAlone(suspect: string, death: Death, deed: Deed): void;
  isSuspect(suspect: string): boolean;
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
/** Somebody else may end a process: so often it has to be for a processor that did nothing known to be wrong. */
const crashesMax = 3;
const ranks: Record<Deed["what"], number> = { load: 0, fold: 1, call: 2 };

interface Suspicion {
  deed: Deed;
  crashes: number;
  rank: number;
  /** The end of a process that it is suspected of. */
  incident: number;
}

export function createSuspects(): Suspects {
  const suspected = new Map<string, Suspicion>();
  const convicted = new Map<string, { message: string; deed: Deed }>();
  let incidents = 0;
  let lastEndAt = Number.NEGATIVE_INFINITY;

  function suspectOne({ suspect, deed }: Pick<Activity, "suspect" | "deed">, rank: number): void {
    const before = suspected.get(suspect);
    if (before !== undefined && ranks[before.deed.what] > ranks[deed.what]) return;
    suspected.delete(suspect);
    suspected.set(suspect, { deed, crashes: before?.crashes ?? 0, rank, incident: incidents });
    dropOldest(suspected, suspectsMax);
  }

  /** Each end has one who did it: the others are let go. Should there be two, the second does it again. */
  function convict(suspect: string, death: Death, deed: Deed): void {
    const { incident } = suspected.get(suspect) ?? {};
    suspected.delete(suspect);
    for (const [other, suspicion] of suspected) {
      if (suspicion.incident === incident && suspicion.crashes === 0) suspected.delete(other);
    }
    convicted.set(suspect, { message: `${whileDoing(deed)} ${whys[death]}`, deed });
    dropOldest(convicted, convictedMax);
  }

  return {
    add({ death, suspects, others }) {
      if (death === "stopped") return;
      const [only] = suspects;
      if (death === "cpu" && only !== undefined && suspects.length === 1 && others.length === 0) {
        return convict(only.suspect, death, only.deed);
      }
      incidents++;
      const now = performance.now();
      const isAgain = now - lastEndAt < againMs;
      lastEndAt = now;
      const all = isAgain ? [...suspects, ...others] : suspects;
      for (const [rank, activity] of all.entries()) suspectOne(activity, rank);
    },
    endedAlone(suspect, death, deed) {
      const crashes = (suspected.get(suspect)?.crashes ?? 0) + 1;
      if (death === "cpu" || death === "memory" || crashes >= crashesMax) return convict(suspect, death, deed);
      suspected.set(suspect, { deed, crashes, rank: 0, incident: suspected.get(suspect)?.incident ?? ++incidents });
    },
    isSuspect: (suspect) => suspected.has(suspect),
    rankOf: (suspect) => suspected.get(suspect)?.rank ?? Number.POSITIVE_INFINITY,
    convictionOf: (suspect) => convicted.get(suspect)?.message,
    tryAgain(suspect) {
      const conviction = convicted.get(suspect);
      if (conviction === undefined) return;
      convicted.delete(suspect);
      incidents++;
      suspectOne({ suspect, deed: conviction.deed }, 0);
    },
    did(suspect, done) {
      const deed = suspected.get(suspect)?.deed;
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
  memory: "took more memory than it may have, and was stopped.",
  crash: `ended the process that it ran in, ${crashesMax} times out of ${crashesMax}.`,
  stopped: "was stopped.",
};
