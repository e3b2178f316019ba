/** What has to hold of the disk after every step. Pure: the disk and the observer in, what is wrong out. */
import type { Disk, StoredProgress, StoredStream } from "./disk.ts";
import { isAbout, type Observer } from "./observer.ts";
import { isRepeating, type ProcessorReference, type ScheduleReference, timeAfter } from "./reference.ts";

/** How far each cursor was judged, so that no event is looked at twice. */
export type Judged = Map<string, number>;

export function* faultsOf(stream: StoredStream, observer: Observer, judged: Judged): Generator<string> {
  for (const [slug, row] of stream.progress) yield* cursorFaults(stream, slug, row, observer, judged);
  yield* claimFaults(stream);
}

/** The cursor never passes an event whose afterAppend has not returned, and never goes back. */
function* cursorFaults(
  stream: StoredStream,
  slug: string,
  row: StoredProgress,
  { returned }: Observer,
  judged: Judged,
): Generator<string> {
  const id = `${stream.path}|${slug}|${row.epoch}`;
  const startAfter = stream.reference.starts.get(`${slug}|${row.epoch}`);
  if (startAfter === undefined) return yield `${id}: a row of an epoch that never was`;
  // `startFrom` may name an offset that is yet to come.
  if (row.cursor > Math.max(stream.head, startAfter))
    yield `${id}: the cursor ${row.cursor} is behind the head ${stream.head}`;
  const from = judged.get(id) ?? startAfter;
  if (row.cursor < from) yield `${id}: the cursor went back from ${from} to ${row.cursor}`;
  for (let offset = Math.max(from + 1, stream.birthOffset); offset <= row.cursor; offset++) {
    const event = stream.events[offset - stream.birthOffset];
    if (event === undefined || isAbout(event, slug) || returned.has(`${id}|${offset}`)) continue;
    yield `${id}: the cursor is at ${row.cursor}, and the hook of ${offset} has not returned`;
  }
  judged.set(id, row.cursor);
}

/** Nothing owed and no open work without a claim; a claim never later than what is due. */
function* claimFaults(stream: StoredStream): Generator<string> {
  const { reference, wakeAt, committedAt, path } = stream;
  if (reference.paused) return;
  for (const { at, what } of owed(stream)) {
    if (wakeAt === null) yield `${path}: ${what}, and there is no claim`;
    else if (wakeAt > at) yield `${path}: ${what}, and the claim is ${wakeAt - at} ms later (commit at ${committedAt})`;
  }
}

export function* owed(stream: StoredStream): Generator<{ at: number; what: string }> {
  const { reference, progress, committedAt } = stream;
  for (const [slug, processor] of reference.processors) {
    const due = owedBy(stream, slug, processor, progress.get(slug));
    if (due !== undefined) yield { at: Math.max(due.at ?? committedAt, committedAt), what: `${slug} ${due.what}` };
  }
  for (const [slug, schedule] of reference.schedules) {
    const at = nextTick(schedule, committedAt);
    if (at !== null) yield { at, what: `${slug} is due at ${at}` };
  }
}

function owedBy(
  { events, birthOffset, head }: StoredStream,
  slug: string,
  processor: ProcessorReference,
  row: StoredProgress | undefined,
): { what: string; at?: number } | undefined {
  if (processor.halted) return undefined;
  const known = row?.epoch === processor.epoch ? row : undefined;
  if (known === undefined) return { what: "has not begun" };
  const at = known.nextAttemptAt === undefined ? {} : { at: known.nextAttemptAt };
  if (known.configuredAt !== processor.configuredAt) return { what: "has not begun its new version" };
  if (known.work.length > 0) return { what: `has open work ${known.work[0]?.name}`, ...at };
  if (known.catchUp !== undefined) return { what: "has to catch up", ...at };
  for (let offset = Math.max(known.cursor + 1, birthOffset); offset <= head; offset++) {
    const event = events[offset - birthOffset];
    if (event !== undefined && !isAbout(event, slug)) return { what: `has to act on ${offset}`, ...at };
  }
  return undefined;
}

function nextTick(schedule: ScheduleReference, committedAt: number): number | null {
  const { dueAt, skips } = schedule;
  if (dueAt === null || !skips || !isRepeating(schedule.schedule) || dueAt > committedAt) return dueAt;
  return timeAfter(schedule, committedAt);
}

/** What was acknowledged is there, as long as its stream lives. */
export function* acknowledgementFaults(disk: Disk, { acknowledged }: Observer): Generator<string> {
  for (const { path, offset, id, streamId } of acknowledged) {
    if (disk.streams.get(path)?.streamId !== streamId) continue;
    if (disk.placeOf(id) !== `${path}|${offset}`) yield `${id} was acknowledged at ${path}|${offset} and is not there`;
  }
}
