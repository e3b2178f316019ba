/** What `GET /api/state` shows of a stream: always of committed state. */
import type { BuiltinProcessor, JsonObject, JsonValue } from "@millrace/protocol";
import { StreamError } from "@millrace/protocol";
import { lifecycle } from "./builtin/lifecycle.ts";
import { pause } from "./builtin/pause.ts";
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
}

export interface ConsumerState {
  kind: "builtin";
  /** Up to where it has acted. */
  cursor: number;
  /** How many events behind the head that is. */
  lag: number;
  nextAttemptAt?: string;
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
    paused: paused.offset > 0,
    ...(paused.offset > 0 ? { pause: paused } : {}),
    metadata: sliceOf(stream.slices, lifecycle).metadata,
    consumers: { tree },
  };
}

/** The state of a built-in at an offset, folded afresh from the log when it is not the present one. */
export async function stateAt(
  stream: Stream,
  builtin: BuiltinProcessor<unknown>,
  at: number | undefined,
): Promise<ProcessorState> {
  const version = String(builtin.version);
  const head = stream.head.offset;
  if (at === undefined || at === head) return { state: sliceOf(stream.slices, builtin), offset: head, version };
  if (at > head) {
    throw new StreamError("offset_conflict", `There is no event ${at}: the head is ${head}.`, { head, expected: at });
  }
  let state = builtin.initialState;
  let offset = stream.birthOffset - 1;
  while (offset < at) {
    const page = await stream.log.read({ after: offset, through: at, maxEvents: 1_000, maxBytes: 1024 * 1024 });
    if (page.records.length === 0) break;
    for (const record of page.records) {
      const event = decodeRecord(stream.path, ++offset, record);
      state = builtin.reduce({ state, event, continued: continuesBatch(record) });
    }
  }
  return { state, offset, version };
}
