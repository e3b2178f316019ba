/**
 * How a stream comes to know what it inherits: asked when it is loaded, and again when something above changes. While it
 * does not know, everything goes on that does not need to know; it asks again by itself, at growing distances.
 */

import type { HeirPlace } from "./consumer/inheritance.ts";
import { type Inherited, isOfEpoch } from "./consumer/inherited-specs.ts";
import type { LoadedStream, ProgressRow } from "./ports/log.ts";
import type { Stream } from "./stream.ts";

export interface HeirHouse {
  lookUp(place: HeirPlace): Promise<readonly Inherited[]>;
  /** Calls `askAgain` at about that time, if the stream is still wanted then. */
  callIn(delayMs: number): void;
  onFailure(error: unknown): void;
}

export interface Heard {
  inherited: readonly Inherited[];
  /** The life of the stream that it was asked for. */
  streamId: string | undefined;
  /** False once something above has changed since. */
  isCurrent(): boolean;
}

const firstDelayMs = 1_000;
const longestDelayMs = 60_000;

export class Heir {
  readonly #house: HeirHouse;
  #asking = 0;
  /** Until no commit is in flight. */
  #heard: Heard | undefined;
  #changes = 0;
  #failures = 0;

  constructor(house: HeirHouse) {
    this.#house = house;
  }

  /** Something above changes: whoever asks now asks once more. */
  outdate(): void {
    this.#changes++;
  }

  /** Nobody waits for an answer that he will do something with. */
  get idle(): boolean {
    return this.#asking === 0 && this.#heard === undefined;
  }

  /** Whoever asks already hears that something has changed, so nobody needs to ask beside him. */
  async askAgain(place: () => HeirPlace): Promise<void> {
    if (this.#asking === 0) this.#heard = await this.ask(place);
  }

  /** What `askAgain` heard, once, if it still is so. */
  take(): Heard | undefined {
    const heard = this.#heard;
    this.#heard = undefined;
    return heard?.isCurrent() ? heard : undefined;
  }

  /** Undefined where it cannot be known now. */
  async ask(place: () => HeirPlace): Promise<Heard | undefined> {
    this.#asking++;
    try {
      for (;;) {
        const asked = this.#changes;
        const heir = place();
        const inherited = await this.#house.lookUp(heir);
        if (asked !== this.#changes) continue;
        this.#failures = 0;
        return { inherited, streamId: heir.streamId, isCurrent: () => asked === this.#changes };
      }
    } catch (error) {
      this.#house.onFailure(error);
      this.#house.callIn(Math.min(firstDelayMs * 2 ** Math.min(this.#failures++, 6), longestDelayMs));
      return undefined;
    } finally {
      this.#asking--;
    }
  }
}

/** The other side: whether a commit is in flight that changes what streams below inherit. */
export class Shares {
  changing: Promise<void> | undefined;
  #end = () => {};

  begin(): void {
    this.changing = new Promise<void>((resolve) => {
      this.#end = resolve;
    });
  }

  end(): void {
    this.changing = undefined;
    this.#end();
  }
}

export function placeOf({ path, log, head, streamId, consumers }: Stream): HeirPlace {
  const hasProgress = (name: string, epoch: number) => consumers?.hasProgress(name, epoch) ?? false;
  return { path, log, head: head.offset, streamId, hasProgress };
}

/** Of a stream that is being loaded. */
export function placeOfLoaded(
  { path, log }: Pick<Stream, "path" | "log">,
  { head, birth }: LoadedStream,
  rows: readonly ProgressRow[],
): HeirPlace {
  const texts = new Map(rows.map(({ consumer, text }) => [consumer, text]));
  const hasProgress = (name: string, epoch: number) => isOfEpoch(texts.get(name), epoch);
  return { path, log, head: head.offset, streamId: birth?.streamId, hasProgress };
}
