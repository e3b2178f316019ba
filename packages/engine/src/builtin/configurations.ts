/**
 * What all consumers that events configure have in common: configured, replaced, removed, halted and resumed by
 * events of one family. Only what must be known to run them is folded; what they are to do stays in the event that
 * says so, and is read from there.
 */
import {
  type BuiltinProcessor,
  type ConsumerSpec,
  type EventInput,
  isJsonObject,
  type JsonValue,
  type Limits,
  StreamError,
  type StreamEvent,
} from "@millrace/protocol";
import { haltedHere, type InheritedState, isInheritedHere, isOfAbove, resumedHere, withEnd } from "./inherited.ts";

/** What must be known of one of them to run it; everything else stays in its event. */
const ofThisStream = " of this stream";

export interface Configured extends Omit<ConsumerSpec, "types"> {
  /** Present where it serves the streams below, too. */
  children?: ForChildren;
}

/** What a configuration says to the streams below. */
export interface ForChildren {
  /** Offset of the event that started the cursors there. */
  epoch: number;
  /** There too everything is acted on, and not only what comes after. */
  fromStart?: true;
}

export interface ConfigurationsState extends InheritedState {
  bySlug: Readonly<Record<string, Configured>>;
}

/** The events of one family. */
export interface Family {
  slug: string;
  configured: string;
  removed: string;
  halted: string;
  resumed: string;
  limit: keyof Limits;
  /** What there are many of, in the refusal of one more. */
  unit: string;
  /** A configuration may serve the streams below. */
  inheritable?: true;
  /** Whether a configuration leaves a secret to the server. */
  wantsSecret?(payload: JsonValue): boolean;
}

export function createConfigurations(family: Family): BuiltinProcessor<ConfigurationsState> {
  const { slug, limit, unit } = family;
  return {
    slug,
    version: 4,
    initialState: { bySlug: {} },

    beforeAppend({ state, judged }) {
      if (judged.event.type !== family.configured) return;
      const most = judged.limits[limit];
      const { slug } = payloadOf(judged.event);
      if (Object.keys(state.bySlug).length < most || Object.hasOwn(state.bySlug, slug)) return;
      throw new StreamError("rate_limited", `This stream has ${most} ${unit} already. Remove some.`, {
        limit: most,
        unit: ofStream(unit),
      });
    },

    reduce({ state, event }) {
      switch (event.type) {
        case family.configured:
          return afterConfigured(family, state, event);
        case family.removed:
          return withoutConfigured(family, state, event);
        case family.halted:
          if (family.inheritable && isOfAbove(event)) return haltedHere(state, event);
          return changed(state, event, (consumer) => halted(consumer, event));
        case family.resumed:
          if (family.inheritable && isInheritedHere(state, event)) return resumedHere(state, event);
          return changed(state, event, (consumer) => resumed(consumer, event));
        default:
          return state;
      }
    },
  };
}

/** What a stream may have so many of, as a refusal names it. */
function ofStream(unit: string): string {
  return `${unit}${ofThisStream}`;
}

export function isOfStream(unit: string): boolean {
  return unit.endsWith(ofThisStream);
}

/** Offset of the event that began what runs now: a configuration, or a resumption behind it. */
export function startedBy({ configuredAt, resumedAt }: Pick<Configured, "configuredAt" | "resumedAt">): number {
  return Math.max(configuredAt, resumedAt);
}

interface Payload {
  slug: string;
  startFrom?: "start" | "end" | number;
  includeChildren?: boolean;
  from?: "cursor" | "head" | number;
  offset?: number;
  message?: string;
  startedBy?: number;
}

/** Contracts have judged it; only the keys that are used here are named. */
function payloadOf(event: Pick<EventInput, "payload">): Payload {
  return event.payload as JsonValue as unknown as Payload;
}

function configured({ bySlug }: ConfigurationsState, event: StreamEvent): Configured {
  const { slug, startFrom } = payloadOf(event);
  const { offset } = event;
  const before = Object.hasOwn(bySlug, slug) ? bySlug[slug] : undefined;
  if (before !== undefined && startFrom === undefined) {
    const { halted: _, children: __, ...kept } = before;
    return { ...kept, configuredAt: offset };
  }
  const startAfter = startFrom === "start" ? 0 : typeof startFrom === "number" ? startFrom : offset;
  return { slug, epoch: offset, configuredAt: offset, startAfter, resumedAt: 0 };
}

function afterConfigured(family: Family, state: ConfigurationsState, event: StreamEvent): ConfigurationsState {
  const { bySlug } = state;
  const { slug, includeChildren, startFrom } = payloadOf(event);
  const { offset } = event;
  const before = Object.hasOwn(bySlug, slug) ? bySlug[slug]?.children : undefined;
  const consumer = withSecret(family, state, event, configured(state, event));
  if (family.inheritable === undefined || includeChildren !== true) {
    const configuredHere = withConfigured(state, consumer);
    return before === undefined ? configuredHere : withEnd(configuredHere, "endedBelow", { slug, offset });
  }
  const anew: ForChildren = { epoch: offset, ...(startFrom === "start" ? { fromStart: true } : {}) };
  const children = before === undefined || startFrom !== undefined ? anew : before;
  return withConfigured(state, { ...consumer, children });
}

function withoutConfigured(family: Family, state: ConfigurationsState, event: StreamEvent): ConfigurationsState {
  const { slug } = payloadOf(event);
  const after = without(state, slug);
  if (after === state || family.inheritable === undefined) return after;
  const end = { slug, offset: event.offset };
  const ended = withEnd(after, "endedAt", end);
  return state.bySlug[slug]?.children === undefined ? ended : withEnd(ended, "endedBelow", end);
}

function withSecret(
  { wantsSecret }: Family,
  { bySlug }: ConfigurationsState,
  { payload, offset }: StreamEvent,
  { secretAt: _, ...consumer }: Configured,
): Configured {
  if (wantsSecret?.(payload) !== true) return consumer;
  const before = Object.hasOwn(bySlug, consumer.slug) ? bySlug[consumer.slug]?.secretAt : undefined;
  return { ...consumer, secretAt: before ?? offset };
}

/** News of a run that another configuration or a resumption has ended meanwhile says nothing about the new one. */
function halted(consumer: Configured, event: StreamEvent): Configured {
  const { offset = 0, message = "", startedBy: run = startedBy(consumer) } = payloadOf(event);
  if (run !== startedBy(consumer)) return consumer;
  return { ...consumer, halted: { at: event.offset, offset, message } };
}

/** Going on from another place than the cursor is a new epoch: what lies there is acted on again, with keys of its own. */
function resumed({ halted: _, ...consumer }: Configured, event: StreamEvent): Configured {
  const { from = "cursor" } = payloadOf(event);
  const { offset } = event;
  if (from === "cursor") return { ...consumer, resumedAt: offset };
  return { ...consumer, epoch: offset, startAfter: from === "head" ? offset : from, resumedAt: offset };
}

function changed(
  state: ConfigurationsState,
  event: StreamEvent,
  change: (consumer: Configured) => Configured,
): ConfigurationsState {
  if (!isJsonObject(event.payload)) return state;
  const { slug } = payloadOf(event);
  const consumer = Object.hasOwn(state.bySlug, slug) ? state.bySlug[slug] : undefined;
  if (consumer === undefined) return state;
  const next = change(consumer);
  return next === consumer ? state : withConfigured(state, next);
}

function withConfigured(state: ConfigurationsState, consumer: Configured): ConfigurationsState {
  return { ...state, bySlug: { ...state.bySlug, [consumer.slug]: consumer } };
}

function without(state: ConfigurationsState, slug: string): ConfigurationsState {
  if (!Object.hasOwn(state.bySlug, slug)) return state;
  const { [slug]: _, ...bySlug } = state.bySlug;
  return { ...state, bySlug };
}
