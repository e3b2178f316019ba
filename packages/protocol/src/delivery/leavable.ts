/** Something that is waited for until it is over, or until nobody wants it any more: then it ends where nobody looks. */
export class Leavable {
  #leave: (() => void) | undefined;

  /** Rejects as `doing` does, unless it was left. */
  over(doing: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#leave = resolve;
      const done = () => {
        this.#leave = undefined;
      };
      doing.finally(done).then(resolve, reject);
    });
  }

  leave(): void {
    this.#leave?.();
  }
}
