/** One step of a fold as the server makes it: the state behind an event, and what a reducer may not return. */
import { admit, type Processor, type StreamEvent } from "@millrace/protocol";

/** A reducer that returns nothing keeps the state. @throws what the reducer throws, and Error for a promise, a schema's too */
export function reduceOnce<State>(processor: Processor<State>, state: State, event: StreamEvent): State {
  const admitted = admit(processor, event);
  if (admitted instanceof Promise) {
    admitted.catch(() => {});
    throw new Error(
      `the schema of ${event.type} answered with a promise: it is asynchronous, or a transform of it threw.`,
    );
  }
  // Of a type that it has no schema for, or not what the schema asks for: told where it runs, and passed over.
  if (admitted === undefined || "fault" in admitted) return state;
  const next: unknown = processor.reduce({ state, event: admitted.event });
  if (typeof (next as { then?: unknown } | null | undefined)?.then === "function") {
    (next as Promise<unknown>).then(undefined, () => {});
    throw new Error("it returned a promise, and has to be synchronous.");
  }
  return next === undefined ? state : (next as State);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** As in `/test@4 (ping)`. */
export function placeOf({ streamPath, offset, type }: StreamEvent): string {
  return `${streamPath}@${offset} (${type})`;
}
