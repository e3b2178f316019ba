/** One step of a fold as the server makes it: an event is admitted, parsed and reduced, or passed over. */
import { admit, type Processor, reduceOnce, type StreamEvent } from "@millrace/protocol";

/** @throws what the reducer throws, and Error for a promise, a schema's too */
export function admitAndReduce<State>(processor: Processor<State>, state: State, event: StreamEvent): State {
  const admitted = admit(processor, event);
  if (admitted instanceof Promise) {
    admitted.catch(() => {});
    throw new Error(
      `the schema of ${event.type} answered with a promise: it is asynchronous, or a transform of it threw.`,
    );
  }
  // Of a type that it has no schema for, or not what the schema asks for: told where it runs, and passed over.
  if (admitted === undefined || "fault" in admitted) return state;
  return reduceOnce(processor, state, admitted.event);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** As in `/test@4 (ping)`. */
export function placeOf({ streamPath, offset, type }: StreamEvent): string {
  return `${streamPath}@${offset} (${type})`;
}
