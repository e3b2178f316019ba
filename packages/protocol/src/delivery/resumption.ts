/** A consumer that could not append to a paused stream tries again when that is resumed. */
import type { DeliveryHouse } from "./house.ts";

export class Resumption {
  readonly #onResumed: DeliveryHouse["onResumed"];
  #takeBack: (() => void) | undefined;

  constructor({ onResumed }: Pick<DeliveryHouse, "onResumed">) {
    this.#onResumed = onResumed;
  }

  get isAwaited(): boolean {
    return this.#takeBack !== undefined;
  }

  /** Of one stream at a time. Should it be missed, the ladder comes to the next attempt as well. */
  awaitOf(path: string, then: () => void): void {
    this.#takeBack?.();
    this.#takeBack = this.#onResumed(path, () => {
      this.#takeBack = undefined;
      then();
    });
  }

  stop(): void {
    this.#takeBack?.();
    this.#takeBack = undefined;
  }
}
