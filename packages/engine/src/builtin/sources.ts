/**
 * Which deployed processors a stream has as unbundled code, by slug. The files stay in the event that brought them.
 * A consumer of each bundles them: it begins right before its first source, so that it acts on that one too.
 */
import { type BuiltinProcessor, StreamError, type StreamEvent } from "@millrace/protocol";
import { type Configured, startedBy } from "./configurations.ts";

export interface Source extends Configured {
  /** Offset of the configuration that somebody else appended behind the newest source: that one is not to be replaced. */
  overtakenAt?: number;
}

export interface SourcesState {
  bySlug: Readonly<Record<string, Source>>;
}

const prefix = "https://events.iterate.com/events/stream/dynamic-worker/";
export const sourceConfigured = "https://events.iterate.com/events/stream/dynamic-worker/source-configured";

export const sources: BuiltinProcessor<SourcesState> = {
  slug: "sources",
  version: 1,
  initialState: { bySlug: {} },

  beforeAppend({ state: { bySlug }, judged }) {
    if (judged.event.type !== sourceConfigured) return;
    const limit = judged.limits.processorsPerStream;
    if (Object.keys(bySlug).length < limit || Object.hasOwn(bySlug, payloadOf(judged.event).slug)) return;
    throw new StreamError("rate_limited", `This stream has ${limit} sources of processors already. Remove some.`, {
      limit,
      unit: "sources of this stream",
    });
  },

  reduce({ state, event }) {
    switch (event.type) {
      case sourceConfigured:
        return put(state, configured(state, event));
      case `${prefix}removed`:
        return without(state, payloadOf(event).slug);
      case `${prefix}configured`:
        return changed(state, event, (source) => overtaken(source, event));
      case `${prefix}halted`:
        return changed(state, event, (source) => halted(source, event));
      case `${prefix}resumed`:
        return changed(state, event, (source) => resumed(source, event));
      default:
        return state;
    }
  },
};

/** Contracts have judged it; only the keys that are used here are named. */
function payloadOf({ payload }: { payload?: unknown }): Named {
  return payload as Named;
}

interface Named {
  slug: string;
  offset: number;
  message: string;
  startedBy?: number;
  /** Of a halt whose processor another stream configured. */
  configuration?: unknown;
}

function configured({ bySlug }: SourcesState, event: StreamEvent): Source {
  const { slug } = payloadOf(event);
  const { offset } = event;
  const epoch = Object.hasOwn(bySlug, slug) ? (bySlug[slug]?.epoch ?? offset) : offset;
  return { slug, epoch, configuredAt: offset, startAfter: epoch - 1, resumedAt: 0 };
}

/** Its own answer does not overtake a source. */
function overtaken(source: Source, { offset, source: from }: StreamEvent): Source {
  if (from?.kind === "server" && from.cause?.offset === source.configuredAt) return source;
  return { ...source, overtakenAt: offset };
}

function halted(source: Source, event: StreamEvent): Source {
  const { offset, message, startedBy: run, configuration } = payloadOf(event);
  return configuration === undefined && run === startedBy(source)
    ? { ...source, halted: { at: event.offset, offset, message } }
    : source;
}

/** From where is said to the processor of the same slug; whoever bundles goes on where it was. */
function resumed(source: Source, { offset }: StreamEvent): Source {
  if (source.halted === undefined) return source;
  const { halted: _, ...going } = source;
  return { ...going, resumedAt: offset };
}

function changed(state: SourcesState, event: StreamEvent, change: (source: Source) => Source): SourcesState {
  const { slug } = payloadOf(event);
  const source = Object.hasOwn(state.bySlug, slug) ? state.bySlug[slug] : undefined;
  const next = source === undefined ? undefined : change(source);
  return next === undefined || next === source ? state : put(state, next);
}

function put({ bySlug }: SourcesState, source: Source): SourcesState {
  return { bySlug: { ...bySlug, [source.slug]: source } };
}

function without(state: SourcesState, slug: string): SourcesState {
  if (!Object.hasOwn(state.bySlug, slug)) return state;
  const { [slug]: _, ...bySlug } = state.bySlug;
  return { bySlug };
}
