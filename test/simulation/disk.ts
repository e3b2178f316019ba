/**
 * The disk: one memory directory, which is all that survives a crash, and beside it what the simulation knows to stand
 * in it. It is read again after every operation that changed it, by the port, as any server would.
 */
import { createMemoryDirectory, type Directory, decodeRecord, type LoadedStream } from "@millrace/engine";
import type { Progress, StreamEvent } from "@millrace/protocol";
import { epochTaking, outputKey, outputOf } from "./outputs.ts";
import { builtin, foldReference, newReference, type Reference } from "./reference.ts";
import { type FoldState, foldState, initialFold } from "./scripts.ts";

export const project = "public";

export interface StoredProgress extends Progress {
  epoch: number;
  configuredAt: number;
  resumedAt: number;
}

/** A living stream. */
export interface StoredStream {
  path: string;
  streamId: string;
  birthOffset: number;
  head: number;
  events: StreamEvent[];
  /** What every processor under test folds, behind each event. */
  folds: FoldState[];
  /** At which commit of the disk each event came. */
  moments: number[];
  reference: Reference;
  /** By slug, of transformers and subscriptions with their kind: `transformer/slug`. */
  progress: Map<string, StoredProgress>;
  wakeAt: number | null;
  /** By the clock of whoever committed last. */
  committedAt: number;
}

export interface Disk {
  readonly directory: Directory;
  readonly streams: ReadonlyMap<string, StoredStream>;
  /** How many commits there were. */
  readonly commits: number;
  /** At which commit this was last appended: see `outputKey`. */
  readonly outputs: ReadonlyMap<string, number>;
  /** Where an event with this id stands, as `path|offset`. */
  placeOf(id: string): string | undefined;
  /** Reads a path again. Throws an Error about what is wrong with its events. */
  look(path: string, committedAt: number | undefined): Promise<void>;
}

export function createDisk(): Disk {
  const directory = createMemoryDirectory();
  const streams = new Map<string, StoredStream>();
  const places = new Map<string, string>();
  const outputs = new Map<string, number>();
  /** How often each output is in each life of a stream. */
  const taken = new Map<string, number>();
  let commits = 0;

  function forget({ path, events }: StoredStream): void {
    streams.delete(path);
    for (const event of events) {
      const id = idOf(event);
      if (id !== undefined) places.delete(id);
    }
  }

  function take(stream: StoredStream, event: StreamEvent): void {
    const { path, events, folds, moments, reference } = stream;
    const id = idOf(event);
    const place = `${path}|${event.offset}`;
    if (id !== undefined && places.has(id)) throw new Error(`${id} is in the log twice: ${places.get(id)}, ${place}`);
    if (id !== undefined) places.set(id, place);
    events.push(event);
    moments.push(commits);
    folds.push(foldState(folds.at(-1) ?? initialFold, event));
    const kind = event.source?.kind;
    if (kind === "transformer" || kind === "subscription") takeOutput(stream, event);
    const wrong = foldReference(reference, event);
    if (wrong !== undefined) throw new Error(`${place}: ${wrong}`);
  }

  function takeOutput({ path, streamId, birthOffset }: StoredStream, event: StreamEvent): void {
    const output = outputOf(event);
    if (event.type.startsWith(builtin(""))) throw new Error(`${path}|${event.offset} is built in, and was forwarded`);
    outputs.set(outputKey(output), commits);
    const source = streams.get(output.path);
    // Of a life that is over.
    if (source === undefined || output.offset < source.birthOffset) return;
    const epochs = source.reference.pushEpochs.get(output.consumer) ?? [];
    const times = (taken.get(`${streamId}|${outputKey(output)}`) ?? 0) + 1;
    taken.set(`${streamId}|${outputKey(output)}`, times);
    if (times > epochs.length) throw new Error(`${path}|${event.offset}: ${outputKey(output)} is there ${times} times`);
    // A stream that was born again has forgotten what it had, and may get it once more behind what came since.
    if (birthOffset > 1 && path !== output.path) return;
    const epoch = epochTaking(epochs, streamId, output);
    if (epoch === undefined) throw new Error(`${path}|${event.offset}: ${outputKey(output)} is twice or out of order`);
    epoch.last.set(streamId, output);
  }

  return {
    directory,
    streams,
    outputs,
    get commits() {
      return commits;
    },
    placeOf: (id) => places.get(id),
    async look(path, committedAt) {
      commits++;
      const log = directory.log(project, path);
      const loaded = await log.load();
      const known = streams.get(path);
      if (known !== undefined && known.streamId !== loaded.birth?.streamId) forget(known);
      if (loaded.birth === undefined) return;
      const stream = streams.get(path) ?? newStream(path, loaded);
      streams.set(path, stream);
      if (committedAt !== undefined) stream.committedAt = committedAt;
      stream.wakeAt = loaded.wakeAt;
      stream.head = loaded.head.offset;
      stream.progress = new Map(loaded.progress.map(({ consumer, text }) => [slugOf(consumer), parse(text)]));
      const after = stream.birthOffset - 1 + stream.events.length;
      const bounds = { maxEvents: Number.MAX_SAFE_INTEGER, maxBytes: Number.MAX_SAFE_INTEGER };
      const { first, records } = await log.read({ after, through: stream.head, ...bounds });
      for (const [i, record] of records.entries()) take(stream, decodeRecord(path, first + i, record));
    },
  };
}

function newStream(path: string, { birth, head, lastEventAt }: LoadedStream): StoredStream {
  return {
    path,
    streamId: birth?.streamId as string,
    birthOffset: birth?.offset as number,
    head: head.offset,
    events: [],
    folds: [],
    moments: [],
    reference: newReference(),
    progress: new Map(),
    wakeAt: null,
    committedAt: lastEventAt,
  };
}

/** What was forwarded is the same event in another place, and is counted by its cause. */
function idOf({ payload, source }: StreamEvent): string | undefined {
  if (source?.kind === "subscription") return undefined;
  return (payload as { id?: string } | null)?.id;
}

/** A processor by its slug, others with their kind in front. */
function slugOf(consumer: string): string {
  return decodeURIComponent(consumer.startsWith("processor/") ? consumer.slice("processor/".length) : consumer);
}

function parse(text: string | null): StoredProgress {
  return JSON.parse(text as string) as StoredProgress;
}
