/** Environment variables of a stream's deployed processors: where each was set last. The values stay in their events. */
import { type BuiltinProcessor, StreamError } from "@millrace/protocol";

export interface EnvironmentState {
  /** Offset of the event that set it last, by name. */
  setAt: Readonly<Record<string, number>>;
  /** Of the newest of them; 0 without one. */
  changedAt: number;
}

export const environmentVariableSet = "https://events.iterate.com/events/stream/dynamic-worker/env-var-set";
const variablesMax = 100;

export const environment: BuiltinProcessor<EnvironmentState> = {
  slug: "environment",
  version: 1,
  initialState: { setAt: {}, changedAt: 0 },

  beforeAppend({ state: { setAt }, judged }) {
    if (judged.event.type !== environmentVariableSet) return;
    if (Object.keys(setAt).length < variablesMax || Object.hasOwn(setAt, keyOf(judged.event.payload))) return;
    const message = `This stream has ${variablesMax} environment variables already.`;
    throw new StreamError("rate_limited", message, {
      limit: variablesMax,
      unit: "environment variables of this stream",
    });
  },

  reduce({ state, event }) {
    if (event.type !== environmentVariableSet) return state;
    return { setAt: { ...state.setAt, [keyOf(event.payload)]: event.offset }, changedAt: event.offset };
  },
};

/** Its contract has judged it. */
function keyOf(payload: unknown): string {
  return (payload as { key: string }).key;
}
