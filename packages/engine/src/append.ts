/**
 * The life of an append. This is the function to read first: its steps are the promises of ARCHITECTURE.md section 2,
 * in their order.
 *
 * At most one commit of a stream is in flight. What arrives meanwhile waits unjudged, and then forms the next commit
 * together; so a hot stream costs one record and one sync for many appends, and nobody is ever answered, refused or
 * shown anything from a state that is not on disk.
 */
import type { Saving } from "./consumer/stream-consumers.ts";
import { judgeCursors } from "./cursors.ts";
import { type Entry, type Forming, judge, nextDue, type Placed, pushDue, type Verdict } from "./forming.ts";
import { type Commit, type Committed, HeadConflict, type KeyEntry, type ProgressRow } from "./ports/log.ts";
import { encodeSnapshot, isPaused, type Slices } from "./state.ts";
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
  const others: Pick<Waiting, "reject">[] = [];
  try {
    //   1 key       what the log knows of the keys that are asked for
    const looking = knownKeys(stream, waiting);
    const known = looking instanceof Promise ? await looking : looking;
    // Only now: what is saved here, and was asked to be, is told with this commit, and not behind the next one.
    const [errands, puts] = [stream.takeErrands(), stream.takePuts()];
    others.push(...errands, ...puts);
    const forming = startForming(stream, known);
    //   1-3         key, gate, reduce: each waiting append in order, over the state behind the earlier ones
    const verdicts = waiting.map(({ request }) => judge(forming, request));
    //             what built-ins append by themselves because its time has come
    const moreDue = pushDue(forming);
    //             how far remote processors say they have come
    const cursors = puts.length === 0 ? undefined : judgeCursors(stream, forming.now, puts);
    //   4 commit    events, keys, progress, claims: one self-contained record for one stream
    const saving = forming.born ? savingOf(stream, waiting, forming.slices, errands.length > 0) : undefined;
    const rows = [...(saving?.rows ?? []), ...(cursors?.rows ?? [])];
    forming.dueAt = nextDue(forming.slices, forming.now);
    forming.wakeAt = wakeAfter(stream, forming, saving);
    const nothing = forming.records.length === 0 && rows.length === 0 && forming.wakeAt === stream.wakeAt;
    //             what it configures may begin what takes a while
    if (forming.records.length > 0) stream.consumers?.foresee(forming.slices);
    //             streams below are to know what it changes for them
    const below = stream.beginSharing(forming.slices);
    if (below !== undefined) await below;
    const committed = nothing ? undefined : await commit(stream, forming, rows, saving?.snapshots ?? []);
    //   5 publish   live readers see only what is on disk
    const owedBefore = stream.claim;
    stream.advance(forming, committed);
    if (cursors !== undefined) stream.cursors = cursors.cursors;
    saving?.saved();
    //   6 effects   wake whoever has work because of it
    if (stream.claim !== owedBefore) stream.wakeTree();
    stream.wakeConsumers(forming);
    for (const { resolve } of errands) resolve();
    cursors?.answer();
    if (moreDue) stream.errand().catch(() => {});
    const reading = answer(stream, waiting, verdicts, forming);
    // Nothing else happens to the stream before: a deletion would take the events away that are being read.
    if (reading !== undefined) await reading;
  } catch (error) {
    refuseAll(stream, [...waiting, ...others], error);
  } finally {
    stream.endSharing();
  }
}

/**
 * Progress rides on commits that were asked for, on those of hooks, and on those that configure: another version begins
 * where the one before has come to, also when the server ends right behind this.
 */
function savingOf(
  { consumers }: Stream,
  waiting: readonly Waiting[],
  slices: Slices,
  hasErrands: boolean,
): Saving | undefined {
  const isOfHook = ({ request }: Waiting) => request.fence !== undefined;
  if (consumers?.isConfiguredOtherwise(slices) === true) return consumers.saving(slices);
  return hasErrands || waiting.some(isOfHook) ? consumers?.saving() : undefined;
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
    for (const { key, isFirstUse } of request.entries) if (key !== undefined && isFirstUse !== true) keys.push(key);
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
    limits: stream.limits,
    streamId: stream.streamId,
    born: stream.streamId !== undefined,
    head: stream.head.offset,
    slices: stream.slices,
    records: [],
    characters: 0,
    snapshotTaken: false,
    wakeAt: stream.wakeAt,
    dueAt: null,
    wakeAtBefore: stream.wakeAt,
    pausedBefore: stream.paused,
    keys: new Map(),
    ticks: [],
  };
}

/**
 * When the stream must be opened should the process end right behind this commit: the earliest of what is due by
 * itself and of what its consumers owe. A claim that is due already stays as it is: it costs a write to change it.
 */
function wakeAfter(stream: Stream, forming: Forming, saving: Saving | undefined): number | null {
  // An errand that comes after a deletion must not be the birth of a stream without events.
  if (!forming.born) return null;
  const { slices, records, now, dueAt: due } = forming;
  // What is owed already is claimed for no later than the last event: so whoever loads this knows it from what is only
  // to be tried again, whatever its clock says.
  const lastAt = records.length > 0 ? now : stream.lastEventAt;
  const owed = stream.consumers?.dueAfter(slices, records, isPaused(slices), saving, lastAt) ?? null;
  const next = due === null || (owed !== null && owed < due) ? owed : due;
  const dueBy = next !== null && next <= lastAt ? lastAt : now;
  const dueAlready = next !== null && next <= now && stream.wakeAt !== null && stream.wakeAt <= dueBy;
  return dueAlready ? stream.wakeAt : next;
}

function commit(
  stream: Stream,
  forming: Forming,
  rows: readonly ProgressRow[],
  snapshots: Saving["snapshots"],
): Promise<Committed> {
  const commit: Commit = {
    first: forming.base + 1,
    records: forming.records,
    at: forming.now,
    keys: forming.keys.size === 0 ? [] : [...forming.keys.values()],
  };
  if (stream.streamId === undefined) {
    commit.birth = { streamId: forming.streamId as string };
    const claim = stream.claimAtBirth(forming.now, forming.first as Entry);
    forming.claim = claim;
    commit.claim = claim;
  }
  const paused = isPaused(forming.slices);
  if (paused !== stream.paused) commit.paused = paused;
  if (forming.wakeAt !== stream.wakeAt) commit.wakeAt = forming.wakeAt;
  // A claim that changes alone is progress, too: whoever does not know it must not write another one.
  if (rows.length > 0 || forming.records.length === 0) commit.progress = rows;
  if (snapshots.length > 0) commit.snapshots = snapshots;
  const tailCharacters = stream.tailCharacters + forming.characters;
  const tailEvents = forming.head - stream.snapshotOffset;
  // A large state is not written again for a tail that weighs less.
  const long = tailEvents >= tailEventsMax && tailCharacters >= Math.min(stream.snapshotCharacters, tailCharactersMax);
  if (forming.records.length > 0 && (long || tailCharacters >= tailCharactersMax)) {
    forming.snapshotTaken = true;
    const state = encodeSnapshot(forming.slices);
    stream.snapshotCharacters = state.length;
    commit.snapshot = { offset: forming.head, state };
  }
  stream.wakeAtTried = forming.wakeAt;
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
function refuseAll(stream: Stream, waiting: Pick<Waiting, "reject">[], error: unknown): void {
  stream.fail(error);
  const refusal =
    error instanceof HeadConflict
      ? unavailable("Another writer appended to this stream. Send it again, with the same idempotency key.")
      : unavailable("The log could not commit. Send it again, with the same idempotency key.");
  refusal.cause = error;
  for (const { reject } of waiting) reject(refusal);
}
