/** The events of a stream that are still to have their turn, read ahead of it a page at a time. */
import type { StreamEvent } from "@millrace/protocol";
import type { ConsumerPlace } from "./spec.ts";

export interface Upcoming {
  /** The first event behind an offset; undefined where there is none yet. Rejects when the log cannot be read. */
  behind(offset: number): Promise<StreamEvent | undefined>;
  /** Keeps nothing in memory. */
  forget(): void;
}

/** Of the present life of the stream, and never of another one. */
export function createUpcoming(place: ConsumerPlace): Upcoming {
  const streamId = place.streamId();
  let page: readonly StreamEvent[] = [];

  const inPage = (after: number) => page[after + 1 - (page[0]?.offset ?? 0)];

  return {
    async behind(after) {
      const known = inPage(after);
      if (known !== undefined) return known;
      page = [];
      const head = place.head();
      if (after >= head) return undefined;
      const { events } = await place.read(after, head, { types: undefined, shared: true });
      if (place.streamId() !== streamId) return undefined;
      page = events;
      return inPage(after);
    },
    forget() {
      page = [];
    },
  };
}
