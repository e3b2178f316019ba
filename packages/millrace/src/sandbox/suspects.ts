/**
 * Who is suspected of having taken a process with it. Each runs alone in a process of its own until it has done what it
 * was doing when the process ended; the one that takes that with it, too, is convicted.
 */
import type { Death, ProcessEnd } from "./workerd-process.ts";

export interface Suspects {
  /** A process ended: whoever may have done it. */
  add(end: ProcessEnd): void;
  isSuspect(suspect: string): boolean;
  /** Why it runs no more; undefined when it was not convicted. */
  convictionOf(suspect: string): string | undefined;
  convict(suspect: string, death: Death): void;
  acquit(suspect: string): void;
}

/** Of those that were convicted and are not asked for any more. */
const convictedMax = 1_000;
/** When a process ends again so soon after, and nobody was convicted, it may have been one that seemed to wait. */
const againMs = 30_000;

export function createSuspects(): Suspects {
  const suspected = new Set<string>();
  const convicted = new Map<string, string>();
  let lastEndAt = Number.NEGATIVE_INFINITY;

  return {
    add({ suspects, others }) {
      const now = performance.now();
      const isAgain = now - lastEndAt < againMs;
      lastEndAt = now;
      for (const { suspect } of isAgain ? [...suspects, ...others] : suspects) suspected.add(suspect);
    },
    isSuspect: (suspect) => suspected.has(suspect),
    convictionOf: (suspect) => convicted.get(suspect),
    convict(suspect, death) {
      suspected.delete(suspect);
      convicted.set(suspect, messages[death]);
      if (convicted.size > convictedMax) convicted.delete(convicted.keys().next().value as string);
    },
    acquit: (suspect) => suspected.delete(suspect),
  };
}

const messages: Record<Death, string> = {
  cpu: "It computed for too long without giving way, such as in an endless loop, and was stopped.",
  memory: "It took more memory than it may have, and was stopped.",
  crash: "It ended the process that it ran in.",
  stopped: "It was stopped.",
};
