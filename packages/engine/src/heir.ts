/**
 * How a stream comes to know what it inherits: asked when it is loaded, and again when something above changes. While it
 * does not know, everything goes on that does not need to know; it asks again by itself, at growing distances.
 */

import type { HeirPlace } from "./consumer/inheritance.ts";
import type { Inherited } from "./consumer/inherited-specs.ts";

export interface HeirHouse {
  lookUp(place: HeirPlace): Promise<readonly Inherited[]>;
  /** Calls `askAgain` at about that time, if the stream is still wanted then. */
  callIn(delayMs: number): void;
  onFailure(error: unknown): void;
}

export interface Heard {
  inherited: readonly Inherited[];
  /** False once something above has changed since. */
  isCurrent(): boolean;
}

const firstDelayMs = 1_000;
const longestDelayMs = 60_000;

export class Heir {
  /** Somebody waits for an answer, and will do something with it. */
  asking = 0;
  readonly #house: HeirHouse;
  #changes = 0;
  #failures = 0;

  constructor(house: HeirHouse) {
    this.#house = house;
  }

  /** Something above changes: whoever asks now asks once more. */
  outdate(): void {
    this.#changes++;
  }

  /** Undefined where it cannot be known now. */
  async ask(place: () => HeirPlace): Promise<Heard | undefined> {
    this.asking++;
    try {
      for (;;) {
        const asked = this.#changes;
        const inherited = await this.#house.lookUp(place());
        if (asked !== this.#changes) continue;
        this.#failures = 0;
        return { inherited, isCurrent: () => asked === this.#changes };
      }
    } catch (error) {
      this.#house.onFailure(error);
      this.#house.callIn(Math.min(firstDelayMs * 2 ** Math.min(this.#failures++, 6), longestDelayMs));
      return undefined;
    } finally {
      this.asking--;
    }
  }
}
