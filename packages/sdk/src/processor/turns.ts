/** Lets so many at once, the others in the order in which they came; whoever is aborted meanwhile leaves the queue. */
export type Turns = <Value>(work: () => Value | Promise<Value>, signal?: AbortSignal) => Promise<Value>;

export function createTurns(atOnce: number): Turns {
  let free = atOnce;
  const waiting = new Set<() => void>();

  function turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiting.delete(begin);
        reject(signal?.reason);
      };
      const begin = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      waiting.add(begin);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  function next(): void {
    const [begin] = waiting;
    if (begin === undefined) {
      free++;
      return;
    }
    waiting.delete(begin);
    begin();
  }

  return async (work, signal) => {
    signal?.throwIfAborted();
    if (free > 0) free--;
    else await turn(signal);
    try {
      // Between its turn and here it may have been aborted as well.
      signal?.throwIfAborted();
      return await work();
    } finally {
      next();
    }
  };
}
