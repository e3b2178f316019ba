/**
 * What comes before a hook is called: code is loaded, and events are folded. Code may take as long as it likes for both,
 * so nobody has to see the end of it: whoever leaves is not held up, and whatever comes of it then is nobody's.
 */
import { type FoldError, isFoldError } from "./folded.ts";

export class Preparing {
  #leaveLoad: AbortController | undefined;
  #leaveFold: (() => void) | undefined;

  /** Rejects as `load` does, which ends soon once its signal aborts. */
  async load<Code>(load: (left: AbortSignal) => Promise<Code>): Promise<Code> {
    this.#leaveLoad = new AbortController();
    try {
      return await load(this.#leaveLoad.signal);
    } finally {
      this.#leaveLoad = undefined;
    }
  }

  /** What was wrong with what was folded, if anything. Rejects where something else was. */
  async fold(folding: Promise<void>): Promise<FoldError | undefined> {
    const left = new Promise<void>((resolve) => (this.#leaveFold = resolve));
    try {
      await Promise.race([folding, left]);
      return undefined;
    } catch (error) {
      if (isFoldError(error)) return error;
      throw error;
    } finally {
      this.#leaveFold = undefined;
    }
  }

  leave(): void {
    this.#leaveLoad?.abort();
    this.#leaveFold?.();
  }
}
