/** The state of a processor from a log that was exported: what it would be live, without anything being done. */
import type { Processor } from "@millrace/protocol";
import { admitAndReduce, messageOf, placeOf } from "./admit-and-reduce.ts";
import { type ExportedLog, eventsOfLog } from "./exported-log.ts";
import { copyOf } from "./json-difference.ts";

export interface RefoldOptions {
  /** Reduces each stream up to this offset, that event included. Default: all there is. */
  at?: number;
}

/**
 * Reduces a log again, each of its streams by itself, and calls no hook.
 *
 *     const states = await refold(pingPong, await readFile("me.ndjson", "utf8"));
 *     states["/me/hello"]; // {pings: 2}
 *
 * @returns the states by stream path, in the order of the log. A stream without an event up to `at` is left out.
 * @throws Error for a line that is no stored event, for a gap in a stream, and, with the event, where `reduce` fails
 */
export async function refold<State>(
  processor: Processor<State>,
  log: ExportedLog,
  { at = Number.POSITIVE_INFINITY }: RefoldOptions = {},
): Promise<Record<string, State>> {
  const states = new Map<string, State>();
  for await (const event of eventsOfLog(log)) {
    const { streamPath, offset } = event;
    if (offset > at) continue;
    const state = states.has(streamPath) ? (states.get(streamPath) as State) : copyOf(processor.initialState);
    try {
      states.set(streamPath, admitAndReduce(processor, state, event));
    } catch (error) {
      throw new Error(`${processor.slug}: reduce failed at ${placeOf(event)}: ${messageOf(error)}`, { cause: error });
    }
  }
  return Object.fromEntries(states);
}
