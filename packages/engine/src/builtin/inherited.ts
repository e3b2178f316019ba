/**
 * What a stream itself says of processors that streams above configured for it: where one was halted and how it goes on,
 * and where configurations of its own ended. Which ones there are is not in here: that stands in the streams above.
 */
import type { JsonValue, StreamEvent } from "@millrace/protocol";

export interface InheritedState {
  /** By slug. Left out while nothing was ever said. */
  inherited?: Readonly<Record<string, InheritedHere>>;
  /** Offset of the event that removed the own one of a slug. */
  endedAt?: Readonly<Record<string, number>>;
  /** Of the event that ended one for the streams below. */
  endedBelow?: Readonly<Record<string, number>>;
}

export interface InheritedHere {
  /** The configuration that was halted last. */
  from: string;
  configuredAt: number;
  halted?: { at: number; offset: number; message: string };
  /** Offset of the last resumption; 0 without one. */
  resumedAt: number;
  /** It went on from another place than its cursor, while this configuration or one after it on the same cursor ran. */
  restarted?: { at: number; startAfter: number; configuredAt: number };
}

/** Only the newest so many are kept: a stream has far fewer processors. */
const keptMax = 100;

interface Payload {
  slug: string;
  from?: "cursor" | "head" | number;
  offset?: number;
  message?: string;
  startedBy?: number;
  configuration?: { streamPath: string; offset: number };
}

/** Contracts have judged it. */
function payloadOf({ payload }: Pick<StreamEvent, "payload">): Payload {
  return payload as JsonValue as unknown as Payload;
}

/** The halt of a processor that a stream above configured. */
export function isOfAbove(event: StreamEvent): boolean {
  return payloadOf(event).configuration !== undefined;
}

/** News of a run that a resumption has ended meanwhile says nothing about the new one. */
export function haltedHere<State extends InheritedState>(state: State, event: StreamEvent): State {
  const { slug, offset = 0, message = "", startedBy = 0, configuration } = payloadOf(event);
  if (configuration === undefined) return state;
  const { streamPath: from, offset: configuredAt } = configuration;
  const before = ownOf(state.inherited, slug);
  const known = before?.from === from ? before : { resumedAt: 0 };
  if (startedBy !== known.resumedAt) return state;
  const entry = { ...known, from, configuredAt, halted: { at: event.offset, offset, message } };
  return { ...state, inherited: withNewest(state.inherited, slug, entry) };
}

/** Where the stream has a processor of its own under this slug, the resumption is for that one. */
export function isInheritedHere(state: InheritedState & { bySlug: object }, event: StreamEvent): boolean {
  const { slug } = payloadOf(event);
  return !Object.hasOwn(state.bySlug, slug) && ownOf(state.inherited, slug)?.halted !== undefined;
}

export function resumedHere<State extends InheritedState>(state: State, event: StreamEvent): State {
  const { slug, from = "cursor" } = payloadOf(event);
  const before = ownOf(state.inherited, slug);
  if (before === undefined) return state;
  const { halted: _, ...entry } = before;
  const at = event.offset;
  const restarted = {
    at,
    startAfter: from === "head" || from === "cursor" ? at : from,
    configuredAt: entry.configuredAt,
  };
  const next = { ...entry, resumedAt: at, ...(from === "cursor" ? {} : { restarted }) };
  return { ...state, inherited: withNewest(state.inherited, slug, next) };
}

/** Whoever stands above with the same slug begins behind what this one did: here, and on the streams below. */
export function withEnd<State extends InheritedState>(
  state: State,
  where: "endedAt" | "endedBelow",
  { slug, offset }: { slug: string; offset: number },
): State {
  return { ...state, [where]: withNewest(state[where], slug, offset) };
}

export function ownOf<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

/** A slug that is a whole number counts as the oldest: objects have those first. */
function withNewest<T>(record: Readonly<Record<string, T>> = {}, key: string, value: T): Readonly<Record<string, T>> {
  const { [key]: _, ...others } = record;
  const kept = Object.entries(others).slice(1 - keptMax);
  return Object.fromEntries([...kept, [key, value]]);
}
