/** What `GET /api/state` shows of a stream: always of committed state. */

import { consumerName, type JsonObject, type JsonValue } from "@millrace/protocol";
import { lifecycle } from "./builtin/lifecycle.ts";
import { pause } from "./builtin/pause.ts";
import { nextTime, scheduleList, schedules } from "./builtin/schedules.ts";
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
  /** "builtin", what configured it ("processor", "bundler", "transformer", "subscription"), or "remote": somebody puts a cursor. */
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
  /** The stream above that configured it for its children. */
  inheritedFrom?: string;
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
  for (const [consumer, spec] of stream.consumers?.withSpecs() ?? []) {
    const { slug, halted, inheritedFrom } = spec;
    const { progress } = consumer.driver;
    const { lag } = consumer;
    const isTaken = states.has(slug) || slug === "tree" || consumer.kind.helps === true;
    states.set(isTaken ? consumer.name : slug, {
      kind: consumer.kind.kind,
      cursor: stream.head.offset - lag,
      lag,
      ...(progress.lastError === undefined ? {} : { lastError: progress.lastError }),
      ...(progress.nextAttemptAt === undefined || halted !== undefined
        ? {}
        : { nextAttemptAt: new Date(progress.nextAttemptAt).toISOString() }),
      ...(halted === undefined ? {} : { halted }),
      ...(inheritedFrom === undefined ? {} : { inheritedFrom }),
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
