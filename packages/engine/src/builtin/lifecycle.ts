/** Birth and metadata: what a stream is, before anything happens in it. */
import { type BuiltinProcessor, isJsonObject, type JsonObject } from "@millrace/protocol";

export interface LifecycleState {
  metadata: JsonObject;
}

const initialState: LifecycleState = { metadata: {} };

export const lifecycle: BuiltinProcessor<LifecycleState> = {
  slug: "lifecycle",
  version: 1,
  initialState,

  reduce({ state, event }) {
    if (event.type !== "https://events.iterate.com/events/stream/metadata-updated") return state;
    const metadata = isJsonObject(event.payload) ? event.payload.metadata : undefined;
    return isJsonObject(metadata) ? { metadata } : state;
  },
};
