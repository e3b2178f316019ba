/**
 * Pauses that end early once something is over. A race with a promise of that would leave a little behind in the
 * promise each time, and a process is asked twenty times a second what it does, for as long as it runs.
 */
export class Pauses {
  readonly #waking = new Set<() => void>();
  #isOver = false;

  /** Resolves after so long, or when it is over. */
  pause(milliseconds: number): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        // A timer that is left would hold up the end of the server.
        clearTimeout(timer);
        this.#waking.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      this.#waking.add(wake);
    });
  }

  over(): void {
    this.#isOver = true;
    for (const wake of [...this.#waking]) wake();
  }
}
