/** One step of a fold, the same wherever a processor runs: the state behind an event, and what a reducer may not return. */
import type { StreamEvent } from "./event.ts";
import type { Processor } from "./processor.ts";
import { isThenable } from "./thenable.ts";

/**
 * A reducer that returns nothing keeps the state.
 * @param event as the schemas of the processor parsed it
 * @throws what the reducer throws, and Error for a promise
 */
export function reduceOnce<State>(
  processor: Pick<Processor<State>, "reduce">,
  state: State,
  event: StreamEvent,
): State {
  const next: unknown = processor.reduce({ state, event });
  if (next === undefined) return state;
  if (!isThenable(next)) return next as State;
  // Should it reject, nobody else would hear of it, which ends a process.
  next.then(undefined, () => {});
  throw new Error("reduce returned a promise; it has to be synchronous.");
}
