/**
 * Where events live. `StreamLog` is one stream, `Directory` is everything that is asked across streams. Both are
 * handles on the same store, so that a commit is one self-contained record that the store writes or does not write.
 *
 * A *record* is the JSON text of an event behind its `streamPath` and `offset`, without the opening brace:
 * `"type":"hello","payload":{},"createdAt":"..."}`. It contains no line break. The log never looks into it, but may keep
 * the code of deployments once (code-of-record.ts): whoever reads is given each record as it was appended.
 *
 * `testing` exports the suite that every adapter passes: `describeLog`.
 */

/** Where a stream ends. The engine reads `offset` and hands the whole thing back; adapters keep more in it. */
export interface Head {
  /** The last offset ever given at this path; 0 for none. A deletion does not lower it. */
  readonly offset: number;
}

/** What a path owes its ancestors: the news of a birth, of a deletion. Null when they know. */
export interface Claim {
  dueAt: number;
  kind: string;
}

export interface KeyEntry {
  key: string;
  offset: number;
  /** Of the content that was sent with the key; empty for derived keys, whose content is never compared. */
  digest: string;
}

export interface LoadedStream {
  head: Head;
  /** Absent for a path that has no stream: never born, or deleted. */
  birth?: { streamId: string; offset: number; at: number };
  /** When the last event was appended, milliseconds; 0 for none. */
  lastEventAt: number;
  /** A cache of the folded state: losing it costs time, never truth. */
  snapshot?: Snapshot;
  claim: Claim | null;
  /** When somebody must open this stream to do what it owes; null when it owes nothing by itself. */
  wakeAt: number | null;
  /** How far each consumer has come, by its name. */
  progress: readonly ProgressRow[];
}

export interface Snapshot {
  offset: number;
  state: string;
}

/** What is kept of one consumer. The log never looks into `text`; null takes the row away. */
export interface ProgressRow {
  consumer: string;
  text: string | null;
}

/** One atomic, self-contained step of ONE stream. Everything in it becomes visible together or not at all. */
export interface Commit {
  /** Offset of the first record; the others follow without a gap. */
  first: number;
  /** Empty only where progress or a wake claim is saved alone: such a commit is not visible to anyone who reads. */
  records: readonly string[];
  /** `createdAt` of the last record, milliseconds. */
  at: number;
  keys: readonly KeyEntry[];
  /** On the commit that brings the stream into being; its first record is the birth. */
  birth?: { streamId: string };
  /** What lists show; given only when it changes. */
  paused?: boolean;
  /** Given only when it changes. */
  claim?: Claim | null;
  /** The wake claim, given only when it changes. */
  wakeAt?: number | null;
  /** Rows that changed. A head that was given before another writer saved some is not the head any more. */
  progress?: readonly ProgressRow[];
  snapshot?: Snapshot;
  /** Folded states of consumers, by name. */
  snapshots?: readonly (Snapshot & { consumer: string })[];
}

export interface Committed {
  head: Head;
  /**
   * Of the last record; of a commit without records any number.
   * Increases in the order in which commits become visible in a project: whoever has seen p never finds anything
   * new at or below p.
   */
  position: number;
}

/** The expected head was not the head, or knew less than there is. Nothing was written; the caller loads the stream again. */
export class HeadConflict extends Error {
  override readonly name = "HeadConflict";
}

export interface StreamLog {
  load(): Promise<LoadedStream>;
  /**
   * Resolves when the commit is on disk.
   * @throws HeadConflict when `expected` is not the head, or a key was used before in this life; any other rejection
   * means that the outcome is unknown
   */
  append(commit: Commit, expected: Head): Promise<Committed>;
  /** Empties the path. Its head stays; the claim says who must still hear of it. */
  remove(expected: Head, claim: Claim | null): Promise<Committed>;
  /**
   * Records of `after` (exclusive) to `through` (inclusive), in order, as many as the bounds allow and at least one
   * where there is one. Empty for what is not there.
   */
  read(range: ReadRange): Promise<{ first: number; records: string[] }>;
  /** The folded state of one consumer that was saved last. */
  consumerSnapshot(consumer: string): Promise<Snapshot | undefined>;
  /** The position of the commit that has the event of this offset; undefined for what is not there. */
  positionOf(offset: number): Promise<number | undefined>;
  /** The last offset of this life at or below a position; 0 where it has none there. */
  headAt(position: number): Promise<number>;
  /** Those of the keys that were used, in this life of the stream. */
  findKeys(keys: readonly string[]): Promise<Map<string, KeyEntry>>;
}

export interface ReadRange {
  after: number;
  through: number;
  maxEvents: number;
  maxBytes: number;
}

export interface StreamSummary {
  path: string;
  head: number;
  createdAt: number;
  lastEventAt: number;
  paused: boolean;
}

/** A stream, alive or deleted, that owes something. */
export interface DueStream {
  project: string;
  path: string;
  streamId: string;
  head: Head;
  /** Offset of its `initialized` event. */
  birthOffset: number;
  deleted: boolean;
  claim: Claim;
}

/** A living stream that has to be opened at a time. */
export interface Wake {
  project: string;
  path: string;
  wakeAt: number;
}

export interface Wakes {
  wakes: Wake[];
  through: number;
  next: number | null;
}

export interface PositionedRecords {
  position: number;
  path: string;
  first: number;
  records: string[];
}

export interface Directory {
  /** A handle; nothing is read or made by asking for it. */
  log(project: string, path: string): StreamLog;
  /**
   * Living streams below a prefix, by whole segments, in order of path. `depth: "children"` leaves out what lies
   * deeper than one segment, and the prefix itself. `next` is the cursor of the following page, or null.
   */
  list(query: {
    project: string;
    prefix: string;
    depth: "all" | "children";
    cursor?: string;
    limit: number;
  }): Promise<{ streams: StreamSummary[]; next: string | null }>;
  /** Slugs of projects that have or had a stream, in order. */
  projects(query: { cursor?: string; limit: number }): Promise<{ projects: string[]; next: string | null }>;
  /** Streams whose claim is due at `now`, earliest first, and when the first later one is due. */
  due(query: { now: number; limit: number }): Promise<{ streams: DueStream[]; nextDueAt: number | null }>;
  /**
   * Wake claims after one moment (exclusive) and through another (inclusive), earliest first. `through` in the answer is
   * how far it is complete: all claims up to there are in it, also where many have the same time. `next` is the
   * first claim behind that.
   */
  wakes(query: { after: number; through: number; limit: number }): Promise<Wakes>;
  /** Replaces a claim if it still is of the kind `from`. False: somebody changed it; look again. */
  settle(head: Head, from: string, to: Claim | null): Promise<boolean>;
  /** What became visible behind a position in a subtree; `through` is how far the answer proves that nothing else is. */
  readPositions(query: {
    project: string;
    prefix: string;
    after: number;
    maxEvents: number;
    maxBytes: number;
  }): Promise<{ commits: PositionedRecords[]; through: number }>;
  /** The position of the newest commit; 0 before the first. */
  lastPosition(): Promise<number>;
  /** Finishes what was begun and lets go of the store. */
  close(): Promise<void>;
}
