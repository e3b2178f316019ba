/** What the server's thread and the two database threads say to each other. Plain data: it is copied between them. */
import type { Claim, KeyEntry, ProgressRow, Snapshot, StreamSummary, Wakes } from "@millrace/engine";

/** A run of consecutive records of one commit: one row. `body` is the records, a line each. */
export interface Run {
  count: number;
  body: string;
  /** Of a deployment, in a run by itself: what was taken out of the body, and where it belongs. */
  code?: { text: string; at: number };
}

export interface CommitWrite {
  kind: "commit";
  /** The life that it goes on; 0 for a birth on a path that never had one. */
  row: number;
  head: number;
  /** Of the progress that was saved; 0 for a birth. */
  revision: number;
  at: number;
  runs: Run[];
  keys?: readonly KeyEntry[];
  birth?: { project: string; path: string; streamId: string };
  paused?: boolean;
  claim?: Claim | null;
  wakeAt?: number | null;
  progress?: readonly ProgressRow[];
  snapshot?: Snapshot;
  snapshots?: readonly (Snapshot & { consumer: string })[];
}

export interface RemoveWrite {
  kind: "remove";
  row: number;
  head: number;
  claim: Claim | null;
}

export interface SettleWrite {
  kind: "settle";
  row: number;
  from: string;
  to: Claim | null;
}

/**
 * By far the most frequent write: one run onto a living stream, and nothing else. A bare list, because copying names
 * of properties between threads costs more than the rest of handing a commit over.
 */
export type PlainWrite = [row: number, head: number, revision: number, at: number, count: number, body: string];

export type Write = PlainWrite | CommitWrite | RemoveWrite | SettleWrite;

export type WriterAnswer =
  /**
   * For each write its row and its position, one behind the other. Both 0 say that the head was another one (or the
   * claim, for a settle): nothing was written.
   */
  | { kind: "written"; results: number[] }
  /** The transaction was rolled back; nothing of it is on disk. */
  | { kind: "failed"; code: string; message: string }
  /** What is on disk is not known any more: the process must end. */
  | { kind: "fatal"; message: string };

export interface LoadQuery {
  kind: "load";
  project: string;
  path: string;
}

export interface ReadQuery {
  kind: "read";
  row: number;
  after: number;
  through: number;
  maxEvents: number;
  maxBytes: number;
}

export interface KeysQuery {
  kind: "keys";
  row: number;
  keys: readonly string[];
}

export interface ListQuery {
  kind: "list";
  project: string;
  prefix: string;
  depth: "all" | "children";
  cursor?: string;
  limit: number;
}

export interface ProjectsQuery {
  kind: "projects";
  cursor?: string;
  limit: number;
}

export interface DueQuery {
  kind: "due";
  now: number;
  limit: number;
}

export interface PositionsQuery {
  kind: "positions";
  project: string;
  prefix: string;
  after: number;
  maxEvents: number;
  maxBytes: number;
}

export interface WakesQuery {
  kind: "wakes";
  after: number;
  through: number;
  limit: number;
}

export interface ConsumerSnapshotQuery {
  kind: "consumerSnapshot";
  row: number;
  consumer: string;
}

export interface PositionOfQuery {
  kind: "positionOf";
  row: number;
  offset: number;
}

export interface HeadAtQuery {
  kind: "headAt";
  row: number;
  position: number;
}

export interface LastPositionQuery {
  kind: "lastPosition";
}

export type Query =
  | LastPositionQuery
  | LoadQuery
  | ReadQuery
  | KeysQuery
  | ListQuery
  | ProjectsQuery
  | DueQuery
  | WakesQuery
  | ConsumerSnapshotQuery
  | PositionOfQuery
  | HeadAtQuery
  | PositionsQuery;

export interface Loaded {
  row: number;
  head: number;
  lastEventAt: number;
  birth?: { streamId: string; offset: number; at: number };
  snapshot?: Snapshot;
  claim: Claim | null;
  wakeAt: number | null;
  revision: number;
  progress: ProgressRow[];
}

export interface DueRow {
  row: number;
  project: string;
  path: string;
  streamId: string;
  birthOffset: number;
  head: number;
  deleted: boolean;
  claim: Claim;
}

export interface Answers {
  load: Loaded;
  /** `first` is the offset of the first line of the first body; lines before `after` may stand in front. */
  read: { first: number; bodies: string[] };
  keys: KeyEntry[];
  list: { streams: StreamSummary[]; next: string | null };
  projects: { projects: string[]; next: string | null };
  due: { streams: DueRow[]; nextDueAt: number | null };
  wakes: Wakes;
  consumerSnapshot: Snapshot | undefined;
  positionOf: number | undefined;
  headAt: number;
  lastPosition: number;
  positions: { commits: { position: number; path: string; first: number; body: string }[]; through: number };
}

export type ReaderAnswer = { id: number; value: unknown } | { id: number; error: { code: string; message: string } };
