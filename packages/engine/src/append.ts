/**
 * The life of an append. This is the function to read first: its steps are the promises of ARCHITECTURE.md section 2,
 * in their order.
 *
 * At most one commit of a stream is in flight. What arrives meanwhile waits unjudged, and then forms the next commit
 * together; so a hot stream costs one record and one sync for many appends, and nobody is ever answered, refused or
 * shown anything from a state that is not on disk.
 */
import { pause } from "./builtin/pause.ts";
import { type Forming, judge, type Placed, type Verdict } from "./forming.ts";
import { type Commit, type Committed, HeadConflict, type KeyEntry } from "./ports/log.ts";
import { encodeSnapshot, sliceOf } from "./state.ts";
import type { Appended, Stream, Waiting } from "./stream.ts";
import { unavailable } from "./unavailable.ts";

/** Bounds of one formed commit, beyond its first append: large enough to share a sync, small enough to stay quick. */
const commitEventsMax = 1_000;
const commitBytesMax = 1024 * 1024;
/** A snapshot rides on the commit that makes the tail this long, so that opening a stream folds at most this much. */
const tailEventsMax = 1_000;
const tailCharactersMax = 4 * 1024 * 1024;

export async function commitNext(stream: Stream): Promise<void> {
  const waiting = takeWaiting(stream);
  try {
    //   1 key       what the log knows of the keys that are asked for
    const looking = knownKeys(stream, waiting);
    const known = looking instanceof Promise ? await looking : looking;
    const forming = startForming(stream, known);
    //   1-3         key, gate, reduce: each waiting append in order, over the state behind the earlier ones
    const verdicts = waiting.map(({ request }) => judge(forming, request));
    //   4 commit    events, keys, wake claim: one self-contained record for one stream
    const committed = forming.records.length === 0 ? undefined : await commit(stream, forming);
    //   5 publish   live readers see only what is on disk
    const owedBefore = stream.claim;
    stream.advance(forming, committed);
    //   6 effects   wake whoever has work because of it
    if (stream.claim !== owedBefore) stream.wakeConsumers();
    const reading = answer(stream, waiting, verdicts, forming);
    // Nothing else happens to the stream before: a deletion would take the events away that are being read.
    if (reading !== undefined) await reading;
  } catch (error) {
    refuseAll(stream, waiting, error);
  }
}

function takeWaiting(stream: Stream): Waiting[] {
  const { queue } = stream;
  let events = 0;
  let bytes = 0;
  let count = 0;
  for (const { request } of queue) {
    events += request.entries.length;
    bytes += request.bytes;
    if (count > 0 && (events > commitEventsMax || bytes > commitBytesMax)) break;
    count++;
  }
  const taken = count === queue.length ? queue : queue.slice(0, count);
  stream.queue = count === queue.length ? [] : queue.slice(count);
  for (const { request } of taken) stream.waitingBytes -= request.bytes;
  return taken;
}

const noKeys: ReadonlyMap<string, KeyEntry> = new Map();

function knownKeys(
  stream: Stream,
  waiting: Waiting[],
): ReadonlyMap<string, KeyEntry> | Promise<ReadonlyMap<string, KeyEntry>> {
  if (stream.streamId === undefined) return noKeys;
  const keys: string[] = [];
  for (const { request } of waiting) {
    for (const { key } of request.entries) if (key !== undefined) keys.push(key);
  }
  return keys.length === 0 ? noKeys : stream.log.findKeys(keys);
}

function startForming(stream: Stream, known: ReadonlyMap<string, KeyEntry>): Forming {
  const now = Math.max(stream.clock.now(), stream.lastEventAt);
  return {
    path: stream.path,
    project: stream.project,
    base: stream.head.offset,
    now,
    createdAt: stream.isoTime(now),
    known,
    newStreamId: stream.newStreamId,
    streamId: stream.streamId,
    born: stream.streamId !== undefined,
    head: stream.head.offset,
    slices: stream.slices,
    records: [],
    characters: 0,
    snapshotTaken: false,
    claim: stream.claim,
    keys: new Map(),
  };
}

function commit(stream: Stream, forming: Forming): Promise<Committed> {
  const commit: Commit = {
    first: forming.base + 1,
    records: forming.records,
    at: forming.now,
    keys: forming.keys.size === 0 ? [] : [...forming.keys.values()],
  };
  if (stream.streamId === undefined) {
    commit.birth = { streamId: forming.streamId as string };
    forming.claim = stream.claimAtBirth(forming.now);
    commit.claim = forming.claim;
  }
  const paused = sliceOf(forming.slices, pause).offset > 0;
  if (paused !== sliceOf(stream.slices, pause).offset > 0) commit.paused = paused;
  const tailCharacters = stream.tailCharacters + forming.characters;
  if (forming.head - stream.snapshotOffset >= tailEventsMax || tailCharacters >= tailCharactersMax) {
    forming.snapshotTaken = true;
    commit.snapshot = { offset: forming.head, state: encodeSnapshot(forming.slices) };
  }
  return stream.log.append(commit, stream.head);
}

/** Returns what is still to be read from the log, if anything. */
function answer(
  stream: Stream,
  waiting: Waiting[],
  verdicts: Verdict[],
  forming: Forming,
): Promise<unknown> | undefined {
  const reading: Promise<void>[] = [];
  for (let i = 0; i < waiting.length; i++) {
    const { resolve, reject } = waiting[i] as Waiting;
    const verdict = verdicts[i] as Verdict;
    if (!Array.isArray(verdict)) reject(verdict);
    else if (verdict.every(({ offset }) => offset > forming.base)) resolve(fromCommit(verdict, forming));
    else reading.push(withStored(stream, verdict, forming).then(resolve, reject));
  }
  return reading.length === 0 ? undefined : Promise.all(reading);
}

function fromCommit(placed: Placed[], forming: Forming): Appended[] {
  return placed.map(({ offset, replayed }) => ({
    offset,
    record: forming.records[offset - forming.base - 1] as string,
    replayed,
  }));
}

/** A replay of an event that is older than this commit is read back from the log. */
async function withStored(stream: Stream, placed: Placed[], forming: Forming): Promise<Appended[]> {
  const appended: Appended[] = [];
  for (const { offset, replayed } of placed) {
    let record = forming.records[offset - forming.base - 1];
    if (record === undefined) {
      const page = await stream.log.read({ after: offset - 1, through: offset, maxEvents: 1, maxBytes: 1 });
      record = page.records[0];
    }
    if (record === undefined) throw unavailable("The stored event could not be read.");
    appended.push({ offset, record, replayed });
  }
  return appended;
}

/** The outcome is unknown: everybody is told so, and the stream is loaded again before anything else is judged. */
function refuseAll(stream: Stream, waiting: Waiting[], error: unknown): void {
  stream.fail(error);
  const refusal =
    error instanceof HeadConflict
      ? unavailable("Another writer appended to this stream. Send it again, with the same idempotency key.")
      : unavailable("The log could not commit. Send it again, with the same idempotency key.");
  refusal.cause = error;
  for (const { reject } of waiting) reject(refusal);
}
