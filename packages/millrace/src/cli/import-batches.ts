/**
 * Groups what is sent into batches, each for one stream. Exports are ordered by stream; files in the order of commits
 * are not, so batches of several streams fill up side by side, within bounds.
 */
import type { EventInput } from "@millrace/protocol";

export interface Batch {
  path: string;
  events: EventInput[];
  bytes: number;
}

const batchEvents = 500;
/** Half of what the server takes in one request. */
const batchBytes = 4 * 1_024 * 1_024;
/** Of all batches that are not full yet. */
const waitingEvents = 10_000;
const waitingBytes = 32 * 1_024 * 1_024;

export async function* batchesOf(
  items: AsyncIterable<{ path: string; event: EventInput }>,
): AsyncGenerator<Batch, void, undefined> {
  const waiting = new Map<string, Batch>();
  let events = 0;
  let bytes = 0;
  for await (const { path, event } of items) {
    const size = Buffer.byteLength(JSON.stringify(event));
    let batch = waiting.get(path);
    if (batch !== undefined && (batch.events.length === batchEvents || batch.bytes + size > batchBytes)) {
      waiting.delete(path);
      events -= batch.events.length;
      bytes -= batch.bytes;
      yield batch;
      batch = undefined;
    }
    if (batch === undefined) {
      batch = { path, events: [], bytes: 0 };
      waiting.set(path, batch);
    }
    batch.events.push(event);
    batch.bytes += size;
    events++;
    bytes += size;
    if (events >= waitingEvents || bytes >= waitingBytes) {
      yield* waiting.values();
      waiting.clear();
      events = 0;
      bytes = 0;
    }
  }
  yield* waiting.values();
}
