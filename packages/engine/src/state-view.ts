/** What `GET /api/state` shows of a stream: always of committed state. */

import {
  admit,
  type Consumer,
  consumerName,
  type JsonObject,
  type JsonValue,
  StreamError,
  type StreamEvent,
} from "@millrace/protocol";
import { lifecycle } from "./builtin/lifecycle.ts";
import { pause } from "./builtin/pause.ts";
import { nextTime, scheduleList, schedules } from "./builtin/schedules.ts";
import { builtins } from "./builtins.ts";
import { continuesBatch, decodeRecord } from "./record.ts";
import { sliceOf } from "./state.ts";
import type { Stream } from "./stream.ts";

export interface StreamState {
  projectSlug: string;
  path: string;
  streamId: string;
  head: number;
  createdAt: string;
  lastEventAt: string;
  paused: boolean;
  /** Only while paused: the event that paused it. */
  pause?: { offset: number; since: string; reason?: string; cause?: JsonValue };
  metadata: JsonObject;
  consumers: Record<string, ConsumerState>;
  /** Left out where there is none. */
  schedules?: Record<string, ScheduleState>;
}

export interface ConsumerState {
  /** "builtin", what configured it ("processor", "transformer", "subscription"), or "remote": somebody puts a cursor. */
  kind: string;
  /** Up to where it has acted. */
  cursor: number;
  /** How many events behind the head that is. */
  lag: number;
  /** Why its last attempt failed, while it is to be repeated. */
  lastError?: string;
  nextAttemptAt?: string;
  /** Where and why it goes no further. */
  halted?: { offset: number; message: string; at: number };
  /** Names of the work that it has open. */
  work?: readonly string[];
}

export interface ScheduleState {
  schedule: JsonValue;
  missed: "fire-once" | "skip";
  /** Of the event that configured it. */
  offset: number;
  /** When it fires next; left out while the stream is paused. */
  nextAt?: string;
  lastAt?: string;
  ticks: number;
}

export interface ProcessorState {
  state: unknown;
  /** The last event that is folded in. */
  offset: number;
  version: string;
}

export function stateOf(stream: Stream): StreamState {
  const paused = sliceOf(stream.slices, pause);
  const head = stream.head.offset;
  // The tree acts on births alone, so what it has scanned is either everything or everything before the birth.
  const cursor = stream.claim === null ? head : stream.birthOffset - 1;
  const tree: ConsumerState = { kind: "builtin", cursor, lag: head - cursor };
  if (stream.claim !== null) tree.nextAttemptAt = new Date(stream.claim.dueAt).toISOString();
  return {
    projectSlug: stream.project,
    path: stream.path,
    streamId: stream.streamId as string,
    head,
    createdAt: new Date(stream.createdAt).toISOString(),
    lastEventAt: new Date(stream.lastEventAt).toISOString(),
    paused: stream.paused,
    ...(paused.offset > 0 ? { pause: paused } : {}),
    metadata: sliceOf(stream.slices, lifecycle).metadata,
    consumers: { tree, ...consumersOf(stream) },
    ...schedulesOf(stream),
  };
}

function consumersOf(stream: Stream): Record<string, ConsumerState> {
  const states = new Map<string, ConsumerState>();
  for (const consumer of stream.consumers ?? []) {
    const { slug, halted } = consumer.spec;
    const { progress } = consumer.driver;
    const { lag } = consumer;
    states.set(states.has(slug) || slug === "tree" ? consumer.name : slug, {
      kind: consumer.kind.kind,
      cursor: stream.head.offset - lag,
      lag,
      ...(progress.lastError === undefined ? {} : { lastError: progress.lastError }),
      ...(progress.nextAttemptAt === undefined || halted !== undefined
        ? {}
        : { nextAttemptAt: new Date(progress.nextAttemptAt).toISOString() }),
      ...(halted === undefined ? {} : { halted }),
      ...(progress.work.length === 0 ? {} : { work: progress.work.map(({ name }) => name) }),
    });
  }
  for (const [slug, { offset }] of stream.cursors) {
    const name = states.has(slug) || slug === "tree" ? consumerName("cursor", slug) : slug;
    states.set(name, { kind: "remote", cursor: offset, lag: stream.head.offset - offset });
  }
  return Object.fromEntries(states);
}

function schedulesOf(stream: Stream): { schedules?: Record<string, ScheduleState> } {
  const all = scheduleList(sliceOf(stream.slices, schedules));
  if (all.length === 0) return {};
  const states = all.map((entry) => {
    const { slug, schedule, missed, offset, lastAt, ticks } = entry;
    const nextAt = nextTime(entry, stream.clock.now());
    const next = nextAt === null || stream.paused ? {} : { nextAt: new Date(nextAt).toISOString() };
    const last = lastAt === undefined ? {} : { lastAt: new Date(lastAt).toISOString() };
    return [slug, { schedule: schedule as unknown as JsonValue, missed, offset, ticks, ...next, ...last }] as const;
  });
  return { schedules: Object.fromEntries(states) };
}

/** Who folds the events of a stream, whatever it is. */
export interface Folder {
  version: string;
  initialState: unknown;
  /** Left out where it is given every event as it is. */
  admit?(event: StreamEvent): ReturnType<typeof admit>;
  reduce(args: { state: unknown; event: StreamEvent; continued: boolean }): unknown;
  /** The state that is at hand, and up to where it goes. */
  present: { state: unknown; offset: number } | undefined;
}

/** A built-in of this slug, or else a consumer that runs on this stream. @throws StreamError `not_found` */
export async function folderOf(stream: Stream, slug: string): Promise<Folder> {
  const builtin = builtins.find((candidate) => candidate.slug === slug);
  if (builtin !== undefined) {
    const present = { state: sliceOf(stream.slices, builtin), offset: stream.head.offset };
    const { initialState, version } = builtin;
    return { version: String(version), initialState, present, reduce: (args) => builtin.reduce(args) };
  }
  const consumer = foldersOf(stream).find(({ spec }) => spec.slug === slug);
  if (consumer === undefined) throw noProcessor(stream, slug);
  const processor = consumer.folded?.processor ?? (await consumer.code());
  const { folded } = consumer;
  return {
    version: String(consumer.spec.configuredAt),
    initialState: processor.initialState,
    present: folded === undefined ? undefined : { state: folded.value, offset: folded.offset },
    // As for the consumer itself: what is not for it is passed over, and a reducer that returns nothing keeps the state.
    admit: (event) => admit(processor, event),
    reduce: ({ state, event }) => processor.reduce({ state, event }) ?? state,
  };
}

/** The consumers that have a state at all: what only passes events on has none. */
function foldersOf({ consumers }: Stream): Consumer[] {
  return [...(consumers ?? [])].filter(({ kind }) => !kind.stateless);
}

function noProcessor(stream: Stream, slug: string): StreamError<"not_found"> {
  const consumers = foldersOf(stream).map(({ spec }) => spec.slug);
  const known = [...builtins.map((builtin) => builtin.slug), ...consumers].join(", ");
  return new StreamError("not_found", `This stream has no processor "${slug}"; it has ${known}.`, {});
}

/** The state of a processor at an offset, folded afresh from the log when it is not the one at hand. */
export async function stateAt(stream: Stream, folder: Folder, at: number | undefined): Promise<ProcessorState> {
  const { version, present } = folder;
  const head = stream.head.offset;
  if (at !== undefined && at > head) {
    throw new StreamError("offset_conflict", `There is no event ${at}: the head is ${head}.`, { head, expected: at });
  }
  if (present !== undefined && (at === undefined || at === present.offset)) return { ...present, version };
  let state = folder.initialState;
  let offset = stream.birthOffset - 1;
  const through = at ?? head;
  while (offset < through) {
    const page = await stream.log.read({ after: offset, through, maxEvents: 1_000, maxBytes: 1024 * 1024 });
    if (page.records.length === 0) break;
    for (const record of page.records) {
      const event = decodeRecord(stream.path, ++offset, record);
      const admitted = folder.admit === undefined ? { event } : await folder.admit(event);
      if (admitted === undefined || !("event" in admitted)) continue;
      state = folder.reduce({ state, event: admitted.event, continued: continuesBatch(record) });
    }
  }
  return { state, offset, version };
}
