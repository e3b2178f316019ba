/**
 * The durable log: SQLite in WAL mode, written by one thread and read by another, so that no query and no sync ever
 * blocks the thread that serves requests. See schema.ts for the tables and writer.ts for what a commit is.
 */
import { mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";
import {
  type Claim,
  type Commit,
  type Committed,
  type Directory,
  type Head,
  HeadConflict,
  type KeyEntry,
  mayCarryCode,
  type StreamLog,
  splitCode,
} from "@millrace/engine";
import { DataFault, explainDataFault } from "../data-fault.ts";
import { openConnection } from "./connection.ts";
import type { Answers, CommitWrite, DueRow, Query, Run, Write, WriterAnswer } from "./messages.ts";
import { checkOwner, prepareSchema } from "./schema.ts";
import { createReaderThread, createWriterThread, DatabaseError } from "./thread.ts";

export interface SqliteOptions {
  /** The data directory; made when it is missing. */
  directory: string;
  /** What is on disk is not known any more. The process has to end; nothing is acknowledged from here on. */
  onFatal(message: string): void;
}

interface SqliteHead extends Head {
  /** The life that the head belongs to; 0 for a path that never had one. */
  row: number;
  /** Counts the commits of this life that saved progress. */
  revision: number;
}

/** A run is one row, small enough that reading one event does not load a batch of 8 MiB. */
const runCharactersMax = 64 * 1024;

/** @throws Error with one clear message when the database cannot be used */
export function createSqliteDirectory({ directory, onFatal }: SqliteOptions): Directory {
  const file = path.join(directory, "millrace.db");
  prepareFile(directory, file);
  const writer = new Worker(new URL("./writer.js", import.meta.url), { workerData: { file } });
  const reader = new Worker(new URL("./reader.js", import.meta.url), { workerData: { file } });
  let closing = false;
  for (const worker of [writer, reader]) {
    worker.on("error", (error) => onFatal(`A database thread ended: ${reasonOf(error)}.`));
    worker.on("exit", (code) => {
      if (!closing) onFatal(`A database thread ended with code ${code}.`);
    });
  }

  const { write, finish: finishWrites } = createWriterThread<Write>(writer, (message) => {
    const answer = message as WriterAnswer;
    if (answer.kind === "written") return answer.results;
    if (answer.kind === "failed") return new DatabaseError(answer.code, answer.message);
    onFatal(answer.message);
    return new DatabaseError("", answer.message);
  });
  const { ask, finish: finishReads } = createReaderThread<Query>(reader);
  const query = <Kind extends Query["kind"]>(question: Extract<Query, { kind: Kind }>): Promise<Answers[Kind]> =>
    ask(question) as Promise<Answers[Kind]>;

  function log(project: string, streamPath: string): StreamLog {
    /** The life that reads go to: the one last loaded or written. */
    let current = 0;

    function written(request: Write, expected: Head, head: number, revision: number): Promise<Committed> {
      return write(request, (row, position) => {
        if (row === 0) throw new HeadConflict(`${streamPath} is not at offset ${expected.offset}`);
        current = row;
        const newHead: SqliteHead = { offset: head, row, revision };
        return { head: newHead, position };
      });
    }

    return {
      async load() {
        const { row, head: offset, revision, ...loaded } = await query({ kind: "load", project, path: streamPath });
        current = loaded.birth === undefined ? 0 : row;
        const head: SqliteHead = { offset, row, revision };
        return { ...loaded, head };
      },

      append(commit, expected) {
        const last = commit.first + commit.records.length - 1;
        const head = expected as SqliteHead;
        const revision = revisionAfter(commit, head);
        return written(toWrite(commit, head, project, streamPath), expected, last, revision);
      },

      async remove(expected, claim) {
        const { row, offset } = expected as SqliteHead;
        const removed = await written({ kind: "remove", row, head: offset, claim }, expected, offset, 0);
        current = 0;
        return removed;
      },

      async read({ after, through, maxEvents, maxBytes }) {
        if (current === 0) return { first: after + 1, records: [] };
        const page = await query({ kind: "read", row: current, after, through, maxEvents, maxBytes });
        const records = linesOf(page.bodies);
        const from = Math.max(after + 1, page.first);
        const to = Math.min(through, from + maxEvents - 1);
        const whole = from === page.first && page.first + records.length - 1 <= to;
        const found = whole ? records : records.slice(from - page.first, to - page.first + 1);
        // The first run comes whole, so it alone can be larger than what was asked for.
        const tooLarge = page.bodies.length === 1 && (page.bodies[0] as string).length > maxBytes;
        return { first: from, records: tooLarge ? within(found, maxBytes) : found };
      },

      async consumerSnapshot(consumer) {
        return current === 0 ? undefined : query({ kind: "consumerSnapshot", row: current, consumer });
      },

      async positionOf(offset) {
        return current === 0 ? undefined : query({ kind: "positionOf", row: current, offset });
      },

      async headAt(position) {
        return current === 0 ? 0 : query({ kind: "headAt", row: current, position });
      },

      async findKeys(keys) {
        const found = new Map<string, KeyEntry>();
        if (current === 0) return found;
        for (const entry of await query({ kind: "keys", row: current, keys })) found.set(entry.key, entry);
        return found;
      },
    };
  }

  return {
    log,
    list: (list) => query({ kind: "list", ...list }),
    projects: (page) => query({ kind: "projects", ...page }),

    async due(now) {
      const { streams, nextDueAt } = await query({ kind: "due", ...now });
      return { streams: streams.map(toDueStream), nextDueAt };
    },

    wakes: (range) => query({ kind: "wakes", ...range }),

    settle(head: Head, from: string, to: Claim | null) {
      return write({ kind: "settle", row: (head as SqliteHead).row, from, to }, (row) => row !== 0);
    },

    lastPosition: () => query({ kind: "lastPosition" }),

    async readPositions(range) {
      const { commits, through } = await query({ kind: "positions", ...range });
      return { commits: commits.map(({ body, ...commit }) => ({ ...commit, records: body.split("\n") })), through };
    },

    async close() {
      await Promise.all([finishWrites(), finishReads()]);
      closing = true;
      await Promise.all([writer.terminate(), reader.terminate()]);
      checkpoint(file);
    },
  };
}

/** Everything that can be wrong with the files is found here, before a thread exists, and said in one sentence. */
function prepareFile(directory: string, file: string): void {
  try {
    mkdirSync(directory, { recursive: true });
    // SQLite takes an empty file for a new database; here it is one that lost what was in it.
    if (statSync(file, { throwIfNoEntry: false })?.size === 0) {
      throw new DataFault(`${file} is empty. Restore it from a copy, or remove it if nothing was ever kept here.`);
    }
    const db = openConnection(file, false, (opened) => checkOwner(opened, file));
    try {
      prepareSchema(db, file);
      // A write that changes nothing: a read-only disk is found now, not at the first append.
      db.exec("BEGIN IMMEDIATE; DELETE FROM counters WHERE name = ''; COMMIT");
    } finally {
      db.close();
    }
  } catch (error) {
    throw explainDataFault(error, directory, file);
  }
}

/** An error that comes from another thread may have lost all but its own properties. */
function reasonOf(error: Partial<Error> & { code?: string }): string {
  return error.message ?? error.code ?? String(error);
}

/** Leaves one file behind instead of a database and its log. What this does not finish, the next start does. */
function checkpoint(file: string): void {
  try {
    openConnection(file, false).close();
  } catch {
    // A disk that fails now has nothing to lose: every commit is in the log.
  }
}

function toWrite(commit: Commit, expected: SqliteHead, project: string, streamPath: string): Write {
  const { row, offset: head } = expected;
  const revision = commit.birth === undefined ? expected.revision : 0;
  if (isPlain(commit)) return [row, head, revision, commit.at, commit.records.length, commit.records.join("\n")];
  const write: CommitWrite = { kind: "commit", row, head, revision, at: commit.at, runs: toRuns(commit.records) };
  if (commit.keys.length > 0) write.keys = commit.keys;
  if (commit.birth !== undefined) write.birth = { project, path: streamPath, streamId: commit.birth.streamId };
  if (commit.paused !== undefined) write.paused = commit.paused;
  if (commit.claim !== undefined) write.claim = commit.claim;
  if (commit.wakeAt !== undefined) write.wakeAt = commit.wakeAt;
  if (commit.progress !== undefined) write.progress = commit.progress;
  if (commit.snapshot !== undefined) write.snapshot = commit.snapshot;
  if (commit.snapshots !== undefined) write.snapshots = commit.snapshots;
  return write;
}

function revisionAfter(commit: Commit, expected: SqliteHead): number {
  const before = commit.birth === undefined ? expected.revision : 0;
  return commit.progress === undefined ? before : before + 1;
}

/** Nothing but records, and few enough for one run. */
function isPlain(commit: Commit): boolean {
  if (commit.birth !== undefined || commit.paused !== undefined || commit.claim !== undefined) return false;
  if (commit.snapshot !== undefined || commit.keys.length > 0) return false;
  if (commit.wakeAt !== undefined || commit.progress !== undefined || commit.snapshots !== undefined) return false;
  let characters = 0;
  for (const record of commit.records) {
    if (mayCarryCode(record)) return false;
    characters += record.length;
  }
  return commit.records.length === 1 || characters <= runCharactersMax;
}

/** A deployment is a run by itself. */
function toRuns(records: readonly string[]): Run[] {
  const runs: Run[] = [];
  let from = 0;
  let characters = 0;
  const end = (at: number) => {
    if (at > from) runs.push(runOf(records.slice(from, at)));
    from = at;
    characters = 0;
  };
  for (const [i, record] of records.entries()) {
    if (characters + record.length > runCharactersMax) end(i);
    characters += record.length;
    if (!mayCarryCode(record)) continue;
    end(i);
    end(i + 1);
  }
  end(records.length);
  return runs;
}

function runOf(records: readonly string[]): Run {
  const [first = ""] = records;
  const split = records.length === 1 ? splitCode(first) : undefined;
  if (split === undefined) return { count: records.length, body: records.length === 1 ? first : records.join("\n") };
  const { before, code, after } = split;
  return { count: 1, body: before + after, code: { text: code, at: before.length } };
}

function linesOf(bodies: string[]): string[] {
  if (bodies.length === 1) return (bodies[0] as string).split("\n");
  return bodies.flatMap((body) => body.split("\n"));
}

/** As many as the bytes allow, and at least one. */
function within(records: string[], maxBytes: number): string[] {
  let bytes = 0;
  const end = records.findIndex((record, i) => {
    bytes += record.length;
    return i > 0 && bytes > maxBytes;
  });
  return end === -1 ? records : records.slice(0, end);
}

function toDueStream({ row, head: offset, ...due }: DueRow) {
  // For `settle`, which asks for nothing but the life: a revision is not looked up.
  const head: SqliteHead = { offset, row, revision: 0 };
  return { ...due, head };
}
