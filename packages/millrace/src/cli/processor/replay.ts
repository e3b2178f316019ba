/** The pure half of a processor, over a history: each stream's events folded in order, nothing done because of them. */
import { type Admitted, admit, type LoadedProcessor, reduceOnce, type StreamEvent } from "@millrace/protocol";
import { note, type Output } from "../output.ts";
import { counted, createProgress } from "../progress.ts";
import { errorText } from "./author-line.ts";
import type { Loaded } from "./load.ts";

interface Replayed {
  offset: number;
  events: number;
  state: unknown;
}

/** Prints a state for each stream. Resolves with the exit code; rejects when the reducer throws. */
export async function replayAll(
  { processor, files }: Loaded,
  events: AsyncIterable<StreamEvent>,
  output: Output,
): Promise<number> {
  const began = performance.now();
  const streams = new Map<string, Replayed>();
  const progress = createProgress();
  let count = 0;
  let passedOver = 0;
  let firstFault = "";
  try {
    for await (const event of events) {
      const replayed = replayedOf(streams, event, processor);
      const admitted = await admittedOf(processor, event, files);
      if (admitted !== undefined && "fault" in admitted) {
        firstFault ||= admitted.fault;
        passedOver++;
      } else if (admitted !== undefined) fold(processor, replayed, admitted.event, files);
      replayed.offset = event.offset;
      replayed.events++;
      count++;
      progress.update(() => `${counted(count)} events`);
    }
  } finally {
    progress.end();
  }
  const milliseconds = Math.round(performance.now() - began);
  const paths = [...streams.keys()].sort();
  for (const streamPath of paths) await output.item({ streamPath, ...streams.get(streamPath) });
  if (passedOver > 0) note(`passed over ${counted(passedOver)} that do not parse; the first: ${firstFault}`);
  const folded = count === 1 ? "1 event" : `${counted(count)} events`;
  const from = paths.length === 1 ? "1 stream" : `${counted(paths.length)} streams`;
  note(`${processor.slug}: ${folded} of ${from} in ${counted(milliseconds)} ms`);
  return 0;
}

function replayedOf(streams: Map<string, Replayed>, event: StreamEvent, processor: LoadedProcessor): Replayed {
  const { streamPath, offset } = event;
  let replayed = streams.get(streamPath);
  if (replayed === undefined) {
    replayed = { offset: 0, events: 0, state: processor.initialState };
    streams.set(streamPath, replayed);
  }
  if (offset > replayed.offset) return replayed;
  throw new Error(
    `${streamPath}@${offset} stands behind ${streamPath}@${replayed.offset}: expected each event once, in order.`,
  );
}

async function admittedOf(
  processor: LoadedProcessor,
  event: StreamEvent,
  files: ReadonlySet<string>,
): Promise<Admitted> {
  try {
    return await admit(processor, event);
  } catch (error) {
    throw failed(processor, event, error, files);
  }
}

function fold(processor: LoadedProcessor, replayed: Replayed, event: StreamEvent, files: ReadonlySet<string>): void {
  try {
    replayed.state = reduceOnce(processor, replayed.state, event);
  } catch (error) {
    throw failed(processor, event, error, files);
  }
}

function failed(
  { slug }: LoadedProcessor,
  { streamPath, offset, type }: StreamEvent,
  error: unknown,
  files: ReadonlySet<string>,
): Error {
  return new Error(`${slug} failed at ${streamPath}@${offset} (${type}): ${errorText(error, files)}`);
}
