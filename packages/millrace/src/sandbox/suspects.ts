/**
 * Who is suspected of having taken a process with it. Each runs alone in a process of its own until it has done what it
 * was doing when the process ended; the one that takes that with it, too, is convicted.
 */
import type { Activity, Death, Deed, ProcessEnd } from "./workerd-process.ts";

export interface Suspects {
  /** A process ended that many share: whoever may have done it. */
  add(end: ProcessEnd): void;
  /** The process ended in which this one was alone. */
  endedAlone(suspect: string, death: Death): void;
  isSuspect(suspect: string): boolean;
  /** Why it runs no more; undefined when it was not convicted. */
  convictionOf(suspect: string): string | undefined;
  /** It did this, alone, and nothing happened. */
  did(suspect: string, deed: Deed): void;
  acquit(suspect: string): void;
}

/** Of those that were convicted and are not asked for any more. */
const convictedMax = 1_000;
/** When a process ends again so soon after, and nobody was convicted, it may have been one that seemed to wait. */
const againMs = 30_000;
/** Somebody else may end a process: so often it has to be for a processor that did nothing known to be wrong. */
const crashesMax = 3;
const ranks: Record<Deed["what"], number> = { load: 0, fold: 1, call: 2 };

export function createSuspects(): Suspects {
  const suspected = new Map<string, { deed: Deed; crashes: number }>();
  const convicted = new Map<string, string>();
  let lastEndAt = Number.NEGATIVE_INFINITY;

  function suspectOne({ suspect, deed }: Activity): void {
    const before = suspected.get(suspect);
    if (before === undefined || ranks[before.deed.what] <= ranks[deed.what]) {
      suspected.set(suspect, { deed, crashes: before?.crashes ?? 0 });
    }
  }

  function convict(suspect: string, death: Death): void {
    suspected.delete(suspect);
    convicted.set(suspect, messages[death]);
    if (convicted.size > convictedMax) convicted.delete(convicted.keys().next().value as string);
  }

  return {
    add({ death, suspects, others }) {
      if (death === "stopped") return;
      const [only] = suspects;
      if (death === "cpu" && suspects.length === 1 && others.length === 0)
        return convict((only as Activity).suspect, death);
      const now = performance.now();
      const isAgain = now - lastEndAt < againMs;
      lastEndAt = now;
      for (const activity of isAgain ? [...suspects, ...others] : suspects) suspectOne(activity);
    },
    endedAlone(suspect, death) {
      const crashes = (suspected.get(suspect)?.crashes ?? 0) + 1;
      if (death === "cpu" || death === "memory" || crashes >= crashesMax) return convict(suspect, death);
      const deed = suspected.get(suspect)?.deed ?? { what: "load", through: 0 };
      suspected.set(suspect, { deed, crashes });
    },
    isSuspect: (suspect) => suspected.has(suspect),
    convictionOf: (suspect) => convicted.get(suspect),
    did(suspect, done) {
      const deed = suspected.get(suspect)?.deed;
      if (deed !== undefined && ranks[done.what] >= ranks[deed.what] && done.through >= deed.through) {
        suspected.delete(suspect);
      }
    },
    acquit: (suspect) => suspected.delete(suspect),
  };
}

const messages: Record<Death, string> = {
  cpu: "It computed for too long without giving way, as in an endless loop, and was stopped.",
  memory: "It took more memory than it may have, and was stopped.",
  crash: "It ended the process that it ran in, every time.",
  stopped: "It was stopped.",
};
