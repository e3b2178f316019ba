/** Some at a time; whoever waits has its turn by rank, and not by when it came. */

export interface Turns {
  /** Resolves with what gives the turn to the next. */
  take(rank: () => number): Promise<() => void>;
  /** The same, where it is at once. */
  takeNow(): (() => void) | undefined;
}

export function createTurns(atATime: number): Turns {
  const waiting: { rank: () => number; begin(): void }[] = [];
  let free = atATime;

  function next(): void {
    if (free === 0 || waiting.length === 0) return;
    free--;
    const [first] = [...waiting].sort((a, b) => a.rank() - b.rank());
    waiting.splice(waiting.indexOf(first as (typeof waiting)[number]), 1);
    first?.begin();
  }

  function leaveOnce(): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      free++;
      next();
    };
  }

  return {
    take(rank) {
      return new Promise((resolve) => {
        waiting.push({ rank, begin: () => resolve(leaveOnce()) });
        next();
      });
    },
    takeNow() {
      if (free === 0) return undefined;
      free--;
      return leaveOnce();
    },
  };
}
