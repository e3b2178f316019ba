/**
 * The thread that writes. Every message is a group commit: the waiting commits of many streams in one transaction and
 * one fsync, each in its own savepoint, so that a conflict fails that stream's commit alone.
 */
import { parentPort, workerData } from "node:worker_threads";
import { createCodes } from "./codes.ts";
import { openConnection, sqliteCode } from "./connection.ts";
import type { CommitWrite, PlainWrite, RemoveWrite, Run, SettleWrite, Write, WriterAnswer } from "./messages.ts";

const { file } = workerData as { file: string };
const db = openConnection(file, false);

const begin = db.prepare("BEGIN IMMEDIATE");
const commit = db.prepare("COMMIT");
const rollback = db.prepare("ROLLBACK");
const savepoint = db.prepare("SAVEPOINT one");
const release = db.prepare("RELEASE one");
const rollbackToSavepoint = db.prepare("ROLLBACK TO one");

const selectHead = db.prepare(
  "SELECT (SELECT max(last) FROM records WHERE stream = id) AS head, revision FROM streams WHERE id = ? AND deleted_head IS NULL",
);
const selectProject = db.prepare("SELECT id FROM projects WHERE slug = ?").pluck();
const insertProject = db.prepare("INSERT INTO projects (slug) VALUES (?)");
const selectLife = db
  .prepare("SELECT id, deleted_head FROM streams WHERE project = ? AND path = ? AND superseded = 0")
  .raw();
const supersede = db.prepare("UPDATE streams SET superseded = 1 WHERE id = ?");
const insertStream = db.prepare(
  "INSERT INTO streams (project, path, stream_id, birth_offset, birth_at, due_at, due_kind) VALUES (?, ?, ?, ?, ?, ?, ?)",
);
const insertRun = db.prepare("INSERT INTO records (position, stream, last, count, at, body) VALUES (?, ?, ?, ?, ?, ?)");
const insertCodeRun = db.prepare(
  "INSERT INTO records (position, stream, last, count, at, body, code, code_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
);
const codes = createCodes(db);
const insertKey = db.prepare("INSERT INTO keys (stream, key, offset, digest) VALUES (?, ?, ?, ?)");
const updatePaused = db.prepare("UPDATE streams SET paused = ? WHERE id = ?");
const updateClaim = db.prepare("UPDATE streams SET due_at = ?, due_kind = ? WHERE id = ?");
const updateWake = db.prepare("UPDATE streams SET wake_at = ? WHERE id = ?");
const updateRevision = db.prepare("UPDATE streams SET revision = ? WHERE id = ?");
const replaceProgress = db.prepare("INSERT OR REPLACE INTO progress (stream, consumer, text) VALUES (?, ?, ?)");
const dropProgress = db.prepare("DELETE FROM progress WHERE stream = ? AND consumer = ?");
const replaceConsumerSnapshot = db.prepare(
  "INSERT OR REPLACE INTO consumer_snapshots (stream, consumer, offset, state) VALUES (?, ?, ?, ?)",
);
const dropConsumerSnapshot = db.prepare("DELETE FROM consumer_snapshots WHERE stream = ? AND consumer = ?");
const replaceSnapshot = db.prepare("INSERT OR REPLACE INTO snapshots (stream, offset, state) VALUES (?, ?, ?)");
const settleClaim = db.prepare("UPDATE streams SET due_at = ?, due_kind = ? WHERE id = ? AND due_kind = ?");
const selectLastAt = db.prepare("SELECT at FROM records WHERE stream = ? AND last = ?").pluck();
const removeStream = db.prepare(
  "UPDATE streams SET deleted_head = ?, deleted_last_at = ?, due_at = ?, due_kind = ?, paused = 0, wake_at = NULL WHERE id = ? AND deleted_head IS NULL",
);
const selectToPurge = db
  .prepare("SELECT id FROM streams WHERE deleted_head IS NOT NULL AND purged = 0 ORDER BY id LIMIT 1")
  .pluck();
const purgeRecords = db
  .prepare(
    "DELETE FROM records WHERE position IN (SELECT position FROM records WHERE stream = ? LIMIT 500) RETURNING code",
  )
  .pluck();
const purgeKeys = db.prepare(
  "DELETE FROM keys WHERE (stream, key) IN (SELECT stream, key FROM keys WHERE stream = ? LIMIT 500)",
);
const purgeSnapshot = db.prepare("DELETE FROM snapshots WHERE stream = ?");
const purgeProgress = db.prepare("DELETE FROM progress WHERE stream = ?");
const purgeConsumerSnapshots = db.prepare("DELETE FROM consumer_snapshots WHERE stream = ?");
const markPurged = db.prepare("UPDATE streams SET purged = 1 WHERE id = ?");
const dropLife = db.prepare("DELETE FROM streams WHERE id = ? AND superseded = 1 AND purged = 1 AND due_at IS NULL");
const savePosition = db.prepare("INSERT OR REPLACE INTO counters (name, value) VALUES ('position', ?)");

/** Positions are never given twice, not even after the records that had the highest ones were purged. */
let position = Math.max(
  (db.prepare("SELECT max(position) FROM records").pluck().get() as number | null) ?? 0,
  (db.prepare("SELECT value FROM counters WHERE name = 'position'").pluck().get() as number | undefined) ?? 0,
);
const projects = new Map<string, number>();
/** Heads of the streams written last, by row: spares a look-up for each commit. */
const heads = new Map<number, number>();
/** Revisions of those of them that are not 0. */
const revisions = new Map<number, number>();
const headsMax = 50_000;

class Conflict extends Error {}

parentPort?.on("message", (writes: Write[]) => parentPort?.postMessage(writeAll(writes)));
purgeLater();

function writeAll(writes: Write[]): WriterAnswer {
  const positionBefore = position;
  try {
    begin.run();
    const results: number[] = [];
    for (const write of writes) {
      const row = writeOne(write);
      results.push(row, row === 0 ? 0 : position);
    }
    commit.run();
    if (writes.some((write) => !Array.isArray(write) && write.kind === "remove")) purgeLater();
    return { kind: "written", results };
  } catch (error) {
    forgetHeads();
    projects.clear();
    position = positionBefore;
    return failure(error);
  }
}

const whatNow = "Nothing that was acknowledged is lost; start again when the disk is well.";

/** After a failed fsync the kernel may have dropped the pages: what is on disk is unknown, and retrying would lie. */
function failure(error: unknown): WriterAnswer {
  const code = sqliteCode(error);
  const { message } = error as Error;
  if (code === "SQLITE_IOERR_FSYNC" || code === "SQLITE_IOERR_DIR_FSYNC") {
    return { kind: "fatal", message: `The disk failed to sync ${file} (${message}). ${whatNow}` };
  }
  try {
    if (db.inTransaction) rollback.run();
  } catch (second) {
    // Some errors are told twice, and the transaction is over all the same.
    const reason = (second as Error).message;
    if (db.inTransaction) {
      return { kind: "fatal", message: `The transaction on ${file} could not be rolled back (${reason}). ${whatNow}` };
    }
  }
  return { kind: "failed", code, message };
}

/** The row that was written, or 0 when it could not be because another writer was first. */
function writeOne(write: Write): number {
  // One statement, which undoes itself when it fails: a savepoint around it would double its cost.
  if (Array.isArray(write)) return orConflict(() => applyPlain(write));
  savepoint.run();
  const row = orConflict(() => apply(write));
  if (row === 0) rollbackToSavepoint.run();
  release.run();
  return row;
}

/** 0 when the write met another writer's; every other failure is the whole transaction's. */
function orConflict(write: () => number): number {
  try {
    return write();
  } catch (error) {
    if (!(error instanceof Conflict) && !sqliteCode(error).startsWith("SQLITE_CONSTRAINT")) throw error;
    forgetHeads();
    projects.clear();
    return 0;
  }
}

function apply(write: Exclude<Write, PlainWrite>): number {
  switch (write.kind) {
    case "commit":
      return applyCommit(write);
    case "remove":
      return applyRemove(write);
    case "settle":
      return applySettle(write);
  }
}

function applyPlain([row, head, revision, at, count, body]: PlainWrite): number {
  checkHead(row, head);
  if (revision !== (revisions.get(row) ?? 0)) throw new Conflict();
  insertRun.run(++position, row, head + count, count, at, body);
  remember(row, head + count, revision);
  return row;
}

function applyCommit(write: CommitWrite): number {
  const row = write.birth === undefined ? write.row : bear(write);
  if (write.birth === undefined) {
    checkHead(row, write.head);
    if (write.revision !== (revisions.get(row) ?? 0)) throw new Conflict();
    if (write.claim !== undefined) updateClaim.run(write.claim?.dueAt ?? null, write.claim?.kind ?? null, row);
  }
  let last = write.head;
  for (const run of write.runs) {
    last += run.count;
    saveRun(row, last, write.at, run);
  }
  if (write.keys !== undefined)
    for (const { key, offset, digest } of write.keys) insertKey.run(row, key, offset, digest);
  if (write.paused !== undefined) updatePaused.run(write.paused ? 1 : 0, row);
  if (write.wakeAt !== undefined) updateWake.run(write.wakeAt, row);
  if (write.progress !== undefined) saveProgress(row, write);
  if (write.snapshot !== undefined) replaceSnapshot.run(row, write.snapshot.offset, write.snapshot.state);
  remember(row, last, write.revision + (write.progress === undefined ? 0 : 1));
  return row;
}

function saveRun(row: number, last: number, at: number, { count, body, code }: Run): void {
  if (code === undefined) insertRun.run(++position, row, last, count, at, body);
  else insertCodeRun.run(++position, row, last, count, at, body, codes.keep(row, code.text), code.at);
}

function saveProgress(row: number, { revision, progress = [], snapshots = [] }: CommitWrite): void {
  updateRevision.run(revision + 1, row);
  for (const { consumer, text } of progress) {
    if (text !== null) replaceProgress.run(row, consumer, text);
    else {
      dropProgress.run(row, consumer);
      dropConsumerSnapshot.run(row, consumer);
    }
  }
  for (const { consumer, offset, state } of snapshots) replaceConsumerSnapshot.run(row, consumer, offset, state);
}

function bear(write: CommitWrite): number {
  const { project, path, streamId } = write.birth as NonNullable<CommitWrite["birth"]>;
  const projectId = projectOf(project);
  const life = selectLife.get(projectId, path) as [number, number | null] | undefined;
  if ((life?.[0] ?? 0) !== write.row || (life !== undefined && life[1] !== write.head)) throw new Conflict();
  if (life !== undefined) {
    supersede.run(life[0]);
    dropLife.run(life[0]);
  }
  const { dueAt = null, kind = null } = write.claim ?? {};
  const inserted = insertStream.run(projectId, path, streamId, write.head + 1, write.at, dueAt, kind);
  return Number(inserted.lastInsertRowid);
}

function applyRemove(write: RemoveWrite): number {
  checkHead(write.row, write.head);
  const { dueAt = null, kind = null } = write.claim ?? {};
  const lastAt = selectLastAt.get(write.row, write.head);
  const { changes } = removeStream.run(write.head, lastAt, dueAt, kind, write.row);
  if (changes === 0) throw new Conflict();
  heads.delete(write.row);
  revisions.delete(write.row);
  return write.row;
}

function applySettle(write: SettleWrite): number {
  const { changes } = settleClaim.run(write.to?.dueAt ?? null, write.to?.kind ?? null, write.row, write.from);
  if (changes === 0) return 0;
  if (write.to === null) dropLife.run(write.row);
  return write.row;
}

/** Whoever is not in memory is looked up; then its revision is known as well. */
function checkHead(row: number, expected: number): void {
  let head = heads.get(row);
  if (head === undefined) {
    const found = selectHead.get(row) as { head: number; revision: number } | undefined;
    head = found?.head;
    if (found !== undefined && found.revision !== 0) revisions.set(row, found.revision);
  }
  if (head !== expected) throw new Conflict();
}

function remember(row: number, head: number, revision: number): void {
  if (heads.size >= headsMax) forgetHeads();
  heads.set(row, head);
  if (revision === 0) revisions.delete(row);
  else revisions.set(row, revision);
}

function forgetHeads(): void {
  heads.clear();
  revisions.clear();
}

function projectOf(slug: string): number {
  let id = projects.get(slug) ?? (selectProject.get(slug) as number | undefined);
  if (id === undefined) id = Number(insertProject.run(slug).lastInsertRowid);
  projects.set(slug, id);
  return id;
}

/** Deleted streams are emptied in small transactions between the commits, so that nobody waits for a large one. */
function purgeLater(): void {
  setImmediate(() => {
    try {
      if (purgeSome()) purgeLater();
    } catch (error) {
      // On a full disk the next deletion or start goes on. What is no fault of the disk ends the thread, loudly.
      if (sqliteCode(error) === "") throw error;
      const answer = failure(error);
      if (answer.kind === "fatal") parentPort?.postMessage(answer);
    }
  });
}

/** False when nothing is left to purge. */
function purgeSome(): boolean {
  const row = selectToPurge.get() as number | undefined;
  if (row === undefined) return false;
  begin.run();
  savePosition.run(position);
  const purged = purgeRecords.all(row) as (number | null)[];
  codes.released(purged);
  if (purged.length + purgeKeys.run(row).changes === 0) {
    purgeSnapshot.run(row);
    purgeProgress.run(row);
    purgeConsumerSnapshots.run(row);
    markPurged.run(row);
    dropLife.run(row);
  }
  commit.run();
  return true;
}
