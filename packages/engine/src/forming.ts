/**
 * Steps 1 to 3 of an append, over one forming commit: pure judgement, synchronous, no I/O. Each waiting append is
 * judged over the committed state and the earlier appends of the same commit; what is refused leaves no trace in it.
 */
import {
  type EventInput,
  type EventSource,
  isStreamError,
  type Limits,
  StreamError,
  type StreamEvent,
} from "@millrace/protocol";
import { builtins } from "./builtins.ts";
import type { Claim, KeyEntry } from "./ports/log.ts";
import { encodeRecord } from "./record.ts";
import { fold, isPaused, type Slices } from "./state.ts";

export interface Entry {
  event: EventInput;
  /** The key with its space in front: `c:` for clients', `d:` for derived ones, which no client can name. */
  key?: string;
  /** Nobody used the key before, so it is not looked for. Were it not so, the commit would be a HeadConflict. */
  isFirstUse?: boolean;
  /** Of the content; empty for derived keys. */
  digest: string;
  /** Set when code wrote it. */
  source?: EventSource;
  /** Leave it out, rather than bring a stream into being for it: news that nobody is there to hear. */
  onlyIfBorn?: boolean;
}

export interface AppendRequest {
  entries: readonly Entry[];
  /** A fact that the server states: admitted while paused, free for the breaker. */
  fromServer: boolean;
  /** As received, for the bound on what may wait. */
  bytes: number;
  /**
   * Throws when this may not be appended any more: the hook was replaced, removed, or took too long. It is asked in
   * turn, with the state right before this.
   */
  fence?(slices: Slices): void;
}

/** What became of one entry: the event at this offset, now or long ago. */
export interface Placed {
  offset: number;
  replayed: boolean;
}

export type Verdict = Placed[] | StreamError;

export interface Forming {
  readonly path: string;
  readonly project: string;
  readonly base: number;
  readonly now: number;
  readonly createdAt: string;
  /** Keys that the log knows, of those that are asked for here. */
  readonly known: ReadonlyMap<string, KeyEntry>;
  readonly newStreamId: () => string;
  readonly limits: Limits;
  streamId: string | undefined;
  born: boolean;
  /** What brought the stream into being, if this commit does. */
  first?: Entry;
  head: number;
  slices: Slices;
  records: string[];
  /** Of the records together. */
  characters: number;
  snapshotTaken: boolean;
  /** What the path owes its ancestors once this is committed; given only when it changes, for it may be settled meanwhile. */
  claim?: Claim | null;
  /** When the stream must be opened once this is committed. */
  wakeAt: number | null;
  /** When a built-in next appends something by itself. */
  dueAt: number | null;
  readonly wakeAtBefore: number | null;
  readonly pausedBefore: boolean;
  keys: Map<string, KeyEntry>;
  /** When the time of each scheduled event in it had come. */
  ticks: number[];
}

/** Judges one append. On refusal the forming commit is as it was before. */
export function judge(forming: Forming, request: AppendRequest): Verdict {
  const { head, slices, streamId, born, characters } = forming;
  const recordsBefore = forming.records.length;
  const added: string[] = [];
  const placed: Placed[] = [];
  let element = 0;
  try {
    request.fence?.(slices);
    let last: StreamEvent | undefined;
    for (; element < request.entries.length; element++) {
      const entry = request.entries[element] as Entry;
      const seen = replayOf(forming, entry);
      if (seen !== undefined) {
        placed.push({ offset: seen, replayed: true });
        continue;
      }
      if (!forming.born) {
        if (entry.onlyIfBorn) continue;
        giveBirth(forming, entry);
      }
      gate(forming, entry.event, request, head);
      last = push(forming, entry.event, entry.source, last !== undefined && entry.source?.cause === undefined);
      placed.push({ offset: forming.head, replayed: false });
      if (entry.key !== undefined) {
        forming.keys.set(entry.key, { key: entry.key, offset: forming.head, digest: entry.digest });
        added.push(entry.key);
      }
    }
    if (last !== undefined) pushRightBehind(forming, last);
    return placed;
  } catch (error) {
    if (!isStreamError(error)) throw error;
    Object.assign(forming, { head, slices, streamId, born, characters });
    forming.records.length = recordsBefore;
    for (const key of added) forming.keys.delete(key);
    return request.entries.length > 1 ? inBatch(error, element) : error;
  }
}

/** At most so many in one commit; the others are still due, and stand in the next one. */
const dueEventsMax = 500;

/**
 * What built-ins append by themselves because its time has come. Nothing fires while the stream is paused, and the
 * breaker may pause it in the middle. True when some are left.
 */
export function pushDue(forming: Forming): boolean {
  if (!forming.born) return false;
  let pushed = 0;
  for (let i = 0; i < builtins.length; i++) {
    const builtin = builtins[i];
    if (builtin?.whenDue === undefined) continue;
    while (!isPaused(forming.slices)) {
      const due = builtin.whenDue({ state: forming.slices[i], now: forming.now, streamPath: forming.path });
      if (due === undefined) break;
      if (++pushed > dueEventsMax) return true;
      if (due.source.kind === "schedule") forming.ticks.push(due.at);
      pushRightBehind(forming, push(forming, due.event, due.source, false));
    }
  }
  return false;
}

/** When a built-in next appends something by itself, over the state at the end of the forming commit. */
export function nextDue(slices: Slices, now: number): number | null {
  if (isPaused(slices)) return null;
  let next: number | null = null;
  for (let i = 0; i < builtins.length; i++) {
    const at = builtins[i]?.dueAt?.({ state: slices[i], now }) ?? null;
    if (at !== null && (next === null || at < next)) next = at;
  }
  return next;
}

/** Step 1. The offset of the stored event when the key was used before with the same content. */
function replayOf(forming: Forming, { key, digest }: Entry): number | undefined {
  if (key === undefined) return undefined;
  const seen = forming.keys.get(key) ?? forming.known.get(key);
  if (seen === undefined) return undefined;
  if (seen.digest === digest || digest === "") return seen.offset;
  throw new StreamError(
    "idempotency_conflict",
    `Idempotency key "${key.slice(2)}" was used for event ${seen.offset} with other content. Use a new key for new content.`,
    { idempotencyKey: key.slice(2), offset: seen.offset },
  );
}

/** Step 2: everything that may refuse. */
function gate(forming: Forming, event: EventInput, request: AppendRequest, headBefore: number): void {
  const offset = forming.head + 1;
  if (event.offset !== undefined && event.offset !== offset) {
    throw new StreamError(
      "offset_conflict",
      `Expected offset ${event.offset}, but this event would get ${offset}: the head is ${headBefore}.`,
      { head: headBefore, expected: event.offset },
    );
  }
  const judged = { event, offset, now: forming.now, fromServer: request.fromServer, limits: forming.limits };
  for (let i = 0; i < builtins.length; i++) builtins[i]?.beforeAppend?.({ state: forming.slices[i], judged });
}

/** Step 3: the event with its offset, folded into the next state. */
function push(forming: Forming, input: EventInput, source: EventSource | undefined, continued: boolean): StreamEvent {
  const { createdAt } = forming;
  const event: StreamEvent = {
    streamPath: forming.path,
    offset: ++forming.head,
    type: input.type,
    payload: input.payload === undefined ? {} : input.payload,
    createdAt,
  };
  if (source !== undefined) event.source = source;
  const record = encodeRecord(input, createdAt, source, continued);
  forming.records.push(record);
  forming.characters += record.length;
  forming.slices = fold(forming.slices, event, continued);
  return event;
}

function pushRightBehind(forming: Forming, event: StreamEvent): void {
  for (let i = 0; i < builtins.length; i++) {
    const builtin = builtins[i];
    const behind = builtin?.rightBehind?.({ state: forming.slices[i], event });
    if (builtin === undefined || behind === undefined) continue;
    const cause = { streamPath: forming.path, offset: event.offset };
    push(forming, behind, { kind: "server", slug: builtin.slug, cause, depth: (event.source?.depth ?? 0) + 1 }, false);
  }
}

function giveBirth(forming: Forming, first: Entry): void {
  forming.born = true;
  forming.first = first;
  forming.streamId = forming.newStreamId();
  const { project: projectSlug, path, streamId } = forming;
  push(
    forming,
    { type: "https://events.iterate.com/events/stream/initialized", payload: { projectSlug, path, streamId } },
    undefined,
    false,
  );
}

function inBatch(error: StreamError, element: number): StreamError {
  return new StreamError(error.code, `Element ${element} of the batch: ${error.message} Nothing of it was appended.`, {
    ...error.data,
    element,
  } as never);
}
