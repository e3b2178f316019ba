/**
 * Which processors a stream has: configured, replaced, removed, halted and resumed by events. Only what must be known
 * to run them; their code stays in the event that brought it, and is read from there.
 */
import {
  type BuiltinProcessor,
  type EventInput,
  isJsonObject,
  StreamError,
  type StreamEvent,
} from "@millrace/protocol";

export interface ConfiguredProcessor {
  slug: string;
  /** Offset of the event that started the cursor: a hot swap keeps it. */
  epoch: number;
  /** Offset of the newest configuration. */
  configuredAt: number;
  /** Where the cursor of this epoch begins. */
  startAfter: number;
  /** Offset of the event that last let it go on after a halt; 0 without one. */
  resumedAt: number;
  /** Set while it is halted. */
  halted?: { at: number; offset: number; message: string };
}

export interface ProcessorsState {
  bySlug: Readonly<Record<string, ConfiguredProcessor>>;
}

export const processors: BuiltinProcessor<ProcessorsState> = {
  slug: "processors",
  version: 1,
  initialState: { bySlug: {} },

  beforeAppend({ state, judged }) {
    if (judged.event.type !== "https://events.iterate.com/events/stream/dynamic-worker/configured") return;
    const limit = judged.limits.processorsPerStream;
    const { slug } = payloadOf(judged.event);
    if (Object.keys(state.bySlug).length < limit || Object.hasOwn(state.bySlug, slug)) return;
    throw new StreamError("rate_limited", `This stream has ${limit} processors already. Remove some.`, {
      limit,
      unit: "processors of this stream",
    });
  },

  reduce({ state, event }) {
    switch (event.type) {
      case "https://events.iterate.com/events/stream/dynamic-worker/configured":
        return withProcessor(state, configured(state, event));
      case "https://events.iterate.com/events/stream/dynamic-worker/removed":
        return withoutProcessor(state, payloadOf(event).slug);
      case "https://events.iterate.com/events/stream/dynamic-worker/halted":
        return changed(state, event, (processor) => halted(processor, event));
      case "https://events.iterate.com/events/stream/dynamic-worker/resumed":
        return changed(state, event, (processor) => resumed(processor, event));
      default:
        return state;
    }
  },
};

interface Payload {
  slug: string;
  startFrom?: "start" | "end" | number;
  from?: "cursor" | "head" | number;
  offset?: number;
  message?: string;
}

/** Contracts have judged it; only the keys that are used here are named. */
function payloadOf(event: Pick<EventInput, "payload">): Payload {
  return event.payload as unknown as Payload;
}

function configured({ bySlug }: ProcessorsState, event: StreamEvent): ConfiguredProcessor {
  const { slug, startFrom } = payloadOf(event);
  const { offset } = event;
  const before = Object.hasOwn(bySlug, slug) ? bySlug[slug] : undefined;
  if (before !== undefined && startFrom === undefined) {
    const { halted: _, ...kept } = before;
    return { ...kept, configuredAt: offset };
  }
  const startAfter = startFrom === "start" ? 0 : typeof startFrom === "number" ? startFrom : offset;
  return { slug, epoch: offset, configuredAt: offset, startAfter, resumedAt: 0 };
}

function halted(processor: ConfiguredProcessor, event: StreamEvent): ConfiguredProcessor {
  const { offset = 0, message = "" } = payloadOf(event);
  return { ...processor, halted: { at: event.offset, offset, message } };
}

/** Going on from another place than the cursor is a new epoch: what lies there is acted on again, with keys of its own. */
function resumed({ halted: _, ...processor }: ConfiguredProcessor, event: StreamEvent): ConfiguredProcessor {
  const { from = "cursor" } = payloadOf(event);
  const { offset } = event;
  if (from === "cursor") return { ...processor, resumedAt: offset };
  return { ...processor, epoch: offset, startAfter: from === "head" ? offset : from, resumedAt: offset };
}

function changed(
  state: ProcessorsState,
  event: StreamEvent,
  change: (processor: ConfiguredProcessor) => ConfiguredProcessor,
): ProcessorsState {
  if (!isJsonObject(event.payload)) return state;
  const { slug } = payloadOf(event);
  const processor = Object.hasOwn(state.bySlug, slug) ? state.bySlug[slug] : undefined;
  return processor === undefined ? state : withProcessor(state, change(processor));
}

function withProcessor({ bySlug }: ProcessorsState, processor: ConfiguredProcessor): ProcessorsState {
  return { bySlug: { ...bySlug, [processor.slug]: processor } };
}

function withoutProcessor(state: ProcessorsState, slug: string): ProcessorsState {
  if (!Object.hasOwn(state.bySlug, slug)) return state;
  const { [slug]: _, ...bySlug } = state.bySlug;
  return { bySlug };
}
