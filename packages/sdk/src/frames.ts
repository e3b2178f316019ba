/** The frames of a live read as items. Parsing is `eventsource-parser`; this file knows what each frame means. */
import type { StreamEvent } from "@millrace/protocol";
import { createParser } from "eventsource-parser";

export type Item =
  | { kind: "event"; event: StreamEvent; cursor: string | undefined }
  | { kind: "caught-up"; cursor: string }
  /** Nothing up to here matched the types that were asked for. */
  | { kind: "scanned"; cursor: string }
  | { kind: "deleted" };

export interface FrameParser {
  /** The items that are complete with this text. */
  feed(text: string): Item[];
}

export interface FrameOptions {
  /** The read has types, so the server also says how far it has scanned. */
  filtered?: boolean;
  /** Hears how long the server asks to wait before a connection is opened again. */
  onRetry?(ms: number): void;
}

export function createFrameParser({ filtered = false, onRetry = () => {} }: FrameOptions = {}): FrameParser {
  let items: Item[] = [];
  const parser = createParser({
    onRetry,
    onEvent({ id, event = "message", data }) {
      if (event === "message") items.push({ kind: "event", event: JSON.parse(data) as StreamEvent, cursor: id });
      else if (event === "deleted") items.push({ kind: "deleted" });
      else if (id !== undefined && (event === "caught-up" || event === "scanned"))
        items.push({ kind: event, cursor: id });
      // Frames that this version does not know are passed over: the server may learn new ones.
    },
  });
  const prepare = filtered ? createScannedNames() : (text: string) => text;
  return {
    feed(text) {
      parser.feed(prepare(text));
      const complete = items;
      items = [];
      return complete;
    },
  };
}

/**
 * A frame that is an id alone means "scanned up to here". The library keeps it to itself, as a browser does, so it is
 * given a name and data before the library sees it. For that lines have to be whole, and an id waits for what follows.
 */
function createScannedNames(): (text: string) => string {
  let waiting = "";
  return (text) => {
    const all = waiting + text;
    let end = all.lastIndexOf("\n") + 1;
    const lastLine = all.lastIndexOf("\n", end - 2) + 1;
    if (all.startsWith("id:", lastLine)) end = lastLine;
    waiting = all.slice(end);
    // Not `^` with the flag `m`: that also matches behind U+2028, which may stand in an event.
    return all.slice(0, end).replace(/(^|\n)(id: [^\r\n]*)\r?\n(?=\r?\n)/g, "$1$2\nevent: scanned\ndata\n");
  };
}
