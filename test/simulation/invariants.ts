/** What has to hold of the disk after every step. Pure: the disk and the observer in, what is wrong out. */
import type { StreamEvent } from "@millrace/protocol";
import { type Deliveries, isAboutPusher } from "./deliveries.ts";
import type { Disk, StoredProgress, StoredStream } from "./disk.ts";
import { isAbout, type Observer } from "./observer.ts";
import { isRepeating, type ProcessorReference, type ScheduleReference, timeAfter } from "./reference.ts";
import { isFor } from "./scripts.ts";

/** How far each cursor was judged, so that no event is looked at twice. */
export type Judged = Map<string, number>;

export function* faultsOf(
  stream: StoredStream,
  observer: Observer,
  deliveries: Deliveries,
  judged: Judged,
): Generator<string> {
  for (const [slug, row] of stream.progress) {
    const isDone = slug.includes("/")
      ? pusherIsDone(stream, slug, row, deliveries)
      : processorIsDone(stream, slug, row, observer);
    yield* cursorFaults(stream, slug, row, isDone, judged);
  }
  for (const url of stream.reference.removals.splice(0)) {
    if (!deliveries.isGone(url)) yield `${stream.path}: what leads to ${url} was removed by the server`;
  }
  yield* claimFaults(stream);
}

type IsDone = (event: StreamEvent) => boolean;

/** It is not for the processor, or its hook has returned. */
function processorIsDone({ path }: StoredStream, slug: string, row: StoredProgress, { returned }: Observer): IsDone {
  return (event) =>
    isAbout(event, slug) || !isFor(event, slug) || returned.has(`${path}|${slug}|${row.epoch}|${event.offset}`);
}

/** It was delivered, or was not for it. */
function pusherIsDone(stream: StoredStream, slug: string, row: StoredProgress, deliveries: Deliveries): IsDone {
  const epoch = stream.reference.pushEpochs.get(slug)?.find(({ epoch }) => epoch === row.epoch);
  return (event) => epoch !== undefined && deliveries.isDone(stream, epoch, event);
}

/** The cursor never passes an event with which it is not done, and never goes back. */
function* cursorFaults(
  stream: StoredStream,
  slug: string,
  row: StoredProgress,
  isDone: IsDone,
  judged: Judged,
): Generator<string> {
  const id = `${stream.path}|${slug}|${row.epoch}`;
  const startAfter = stream.reference.starts.get(`${slug}|${row.epoch}`);
  if (startAfter === undefined) return yield `${id}: a row of an epoch that never was`;
  // `startFrom` may name an offset that is yet to come.
  if (row.cursor > Math.max(stream.head, startAfter))
    yield `${id}: the cursor ${row.cursor} is behind the head ${stream.head}`;
  const { paused, pausedAt } = stream.reference;
  if (paused && !slug.startsWith("subscription/") && row.cursor >= Math.max(pausedAt, startAfter + 1))
    yield `${id}: the cursor is at ${row.cursor}, and the stream is paused since ${pausedAt}`;
  const from = judged.get(id) ?? startAfter;
  if (row.cursor < from) yield `${id}: the cursor went back from ${from} to ${row.cursor}`;
  for (let offset = Math.max(from + 1, stream.birthOffset); offset <= row.cursor; offset++) {
    const event = stream.events[offset - stream.birthOffset];
    if (event === undefined || isDone(event)) continue;
    yield `${id}: the cursor is at ${row.cursor}, and it is not done with ${offset}`;
  }
  judged.set(id, row.cursor);
}

/** Nothing owed and no open work without a claim; a claim never later than what is due. */
function* claimFaults(stream: StoredStream): Generator<string> {
  const { wakeAt, committedAt, path } = stream;
  for (const { at, what } of owed(stream)) {
    if (wakeAt === null) yield `${path}: ${what}, and there is no claim`;
    else if (wakeAt > at) yield `${path}: ${what}, and the claim is ${wakeAt - at} ms later (commit at ${committedAt})`;
  }
}

export interface Owed {
  slug: string;
  at: number;
  what: string;
}

/** While a stream is paused, only subscriptions go on. */
export function* owed(stream: StoredStream): Generator<Owed> {
  const { reference, progress, committedAt } = stream;
  for (const [slug, pusher] of reference.pushers) {
    if (reference.paused && pusher.kind !== "subscription") continue;
    const due = owedBy(stream, slug, pusher, progress.get(slug));
    if (due !== undefined)
      yield { slug, at: Math.max(due.at ?? committedAt, committedAt), what: `${slug} ${due.what}` };
  }
  if (reference.paused) return;
  for (const [slug, processor] of reference.processors) {
    const due = owedBy(stream, slug, processor, progress.get(slug));
    if (due !== undefined)
      yield { slug, at: Math.max(due.at ?? committedAt, committedAt), what: `${slug} ${due.what}` };
  }
  for (const [slug, schedule] of reference.schedules) {
    const at = nextTick(schedule, committedAt);
    if (at !== null) yield { slug, at, what: `${slug} is due at ${at}` };
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
    if (event !== undefined && !isAboutConsumer(event, slug)) return { what: `has to act on ${offset}`, ...at };
  }
  return undefined;
}

function isAboutConsumer(event: StreamEvent, slug: string): boolean {
  const [kind = "", pusher] = slug.split("/");
  return pusher === undefined ? isAbout(event, slug) || !isFor(event, slug) : isAboutPusher(event, kind, pusher);
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
