/** The frames of a live read as items. Parsing is `eventsource-parser`; this file knows what each frame means. */
import type { StreamEvent } from "@millrace/protocol";
import { createParser } from "eventsource-parser";

export type Item =
  | { kind: "event"; event: StreamEvent; cursor: string | undefined }
  | { kind: "caught-up"; cursor: string }
  | { kind: "deleted" };

export interface FrameParser {
  /** The items that are complete with this text. */
  feed(text: string): Item[];
}

/** @param onRetry hears how long the server asks to wait before a connection is opened again */
export function createFrameParser(onRetry: (ms: number) => void = () => {}): FrameParser {
  let items: Item[] = [];
  const parser = createParser({
    onRetry,
    onEvent({ id, event = "message", data }) {
      if (event === "message") items.push({ kind: "event", event: JSON.parse(data) as StreamEvent, cursor: id });
      else if (event === "caught-up" && id !== undefined) items.push({ kind: "caught-up", cursor: id });
      else if (event === "deleted") items.push({ kind: "deleted" });
      // Frames that this version does not know are passed over: the server may learn new ones.
    },
  });
  return {
    feed(text) {
      parser.feed(text);
      const complete = items;
      items = [];
      return complete;
    },
  };
}
