/** The events of an exported log, however it is held: whole text, lines, or what was parsed already. */
import type { StreamEvent } from "@millrace/protocol";
import { show } from "./json-difference.ts";
import { isStored } from "./stored-events.ts";

/** What `millrace export` writes (NDJSON, stream by stream), its lines one by one, or its events. */
export type ExportedLog = string | Iterable<string | StreamEvent> | AsyncIterable<string | StreamEvent>;

/** @throws Error that names the line which is no stored event, or stands behind a gap in its stream */
export async function* eventsOfLog(log: ExportedLog): AsyncGenerator<StreamEvent> {
  const offsets = new Map<string, number>();
  let number = 0;
  for await (const line of typeof log === "string" ? log.split("\n") : log) {
    number++;
    if (typeof line === "string" && line.trim() === "") continue;
    const event = typeof line === "string" ? parse(line, number) : line;
    if (!isStored(event)) throw new Error(`Line ${number} is no stored event: ${show(event)}`);
    const { streamPath, offset } = event;
    const before = offsets.get(streamPath);
    if (before !== undefined && offset !== before + 1) {
      throw new Error(
        `Line ${number}: in ${streamPath}, offset ${offset} follows ${before}. A state can only be reduced from all events, in order.`,
      );
    }
    offsets.set(streamPath, offset);
    yield event;
  }
}

function parse(line: string, number: number): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`Line ${number} is no JSON: ${show(line)}`);
  }
}
