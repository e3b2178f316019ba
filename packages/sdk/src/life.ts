/**
 * Which life of a path a read is in. An answer names it in a header, and `initialized` begins another; so a reader that
 * comes back knows that the stream was deleted meanwhile: what is there now is another stream at the same path, or none.
 */
import type { StreamEvent } from "@millrace/protocol";
import type { Answer } from "./transport.ts";

const header = "millrace-stream-id";
const noStream = "none";
const birth = "https://events.iterate.com/events/stream/initialized";

export interface Life {
  /** Whether what answers is what was read so far, as far as can be told: a proxy may take the header away. */
  isOf(answer: Pick<Answer, "headers">): boolean;
  /** A live reader may be there before the stream is. */
  hear(event: StreamEvent): void;
}

export function createLife(): Life {
  let streamId: string | undefined;
  return {
    isOf({ headers }) {
      const answering = headers.get(header);
      if (answering === null) return true;
      if (streamId !== undefined) return answering === streamId;
      if (answering !== noStream) streamId = answering;
      return true;
    },
    hear({ type, payload }) {
      if (type === birth) ({ streamId } = payload as { streamId: string });
    },
  };
}
