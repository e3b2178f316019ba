/**
 * Pause and resume. While a stream is paused the gate admits what repairs or ends something (each contract says so of
 * itself) and facts that the server states; everything else is refused, and the refusal says how to go on.
 */
import { type BuiltinProcessor, contractFor, isJsonObject, type JsonValue, StreamError } from "@millrace/protocol";

export interface PauseState {
  /** Offset of the `paused` event; 0 while the stream runs. */
  offset: number;
  since: string;
  reason?: string;
  cause?: JsonValue;
}

const running: PauseState = { offset: 0, since: "" };

export const pause: BuiltinProcessor<PauseState> = {
  slug: "pause",
  version: 1,
  initialState: running,

  beforeAppend({ state, judged }) {
    if (state.offset === 0 || judged.fromServer) return;
    if (contractFor(judged.event.type)?.whilePaused) return;
    const because = state.reason === undefined ? "" : `: ${state.reason.replace(/\.$/, "")}`;
    throw new StreamError("stream_paused", `The stream is paused since ${state.since}${because}. ${howToResume}`, {
      ...(state.reason === undefined ? {} : { reason: state.reason }),
      since: state.since,
      howToResume,
    });
  },

  reduce({ state, event }) {
    switch (event.type) {
      case "https://events.iterate.com/events/stream/paused": {
        const { reason, cause } = isJsonObject(event.payload) ? event.payload : {};
        return {
          offset: event.offset,
          since: event.createdAt,
          ...(typeof reason === "string" ? { reason } : {}),
          ...(cause === undefined ? {} : { cause }),
        };
      }
      case "https://events.iterate.com/events/stream/resumed":
        return running;
      default:
        return state;
    }
  },
};

const howToResume = 'Append {"type":"https://events.iterate.com/events/stream/resumed"} to this stream to go on.';
