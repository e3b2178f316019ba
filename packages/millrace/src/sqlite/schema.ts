/**
 * The database. One row of `streams` is one life of a path; a deletion leaves the row (its head must never be given
 * again), and the next birth supersedes it. Its id is never given twice, because somebody may still hold a head of the
 * old life and settle what it owed. One row of `records` is a run of consecutive events of one commit; its rowid is
 * the position, so appending touches the end of the table, and reading by position is a scan of it.
 */
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import type { Database } from "better-sqlite3";
import { DataFault } from "../data-fault.ts";

export const schemaVersion = 3;
/** "MLRC": tells our file from another program's. */
const applicationId = 0x4d4c5243;

const tables = `
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE projects (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE);
CREATE TABLE streams (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  project INTEGER NOT NULL,
  path TEXT NOT NULL,
  stream_id TEXT NOT NULL,
  birth_offset INTEGER NOT NULL,
  birth_at INTEGER NOT NULL,
  paused INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER,
  due_kind TEXT,
  deleted_head INTEGER,
  deleted_last_at INTEGER,
  superseded INTEGER NOT NULL DEFAULT 0,
  purged INTEGER NOT NULL DEFAULT 0,
  wake_at INTEGER,
  revision INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX streams_by_path ON streams (project, path) WHERE superseded = 0;
CREATE INDEX streams_due ON streams (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX streams_to_purge ON streams (id) WHERE deleted_head IS NOT NULL AND purged = 0;
CREATE TABLE records (
  position INTEGER PRIMARY KEY,
  stream INTEGER NOT NULL,
  last INTEGER NOT NULL,
  count INTEGER NOT NULL,
  at INTEGER NOT NULL,
  body TEXT NOT NULL
);
CREATE UNIQUE INDEX records_by_offset ON records (stream, last);
CREATE TABLE keys (
  stream INTEGER NOT NULL,
  key TEXT NOT NULL,
  offset INTEGER NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (stream, key)
) WITHOUT ROWID;
CREATE TABLE snapshots (stream INTEGER PRIMARY KEY, offset INTEGER NOT NULL, state TEXT NOT NULL);
`;

/** Since version 2: what is kept of consumers, and when a stream must be opened for what it owes. */
const consumerTables = `
CREATE INDEX streams_wakes ON streams (wake_at) WHERE wake_at IS NOT NULL;
CREATE TABLE progress (
  stream INTEGER NOT NULL,
  consumer TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (stream, consumer)
) WITHOUT ROWID;
CREATE TABLE consumer_snapshots (
  stream INTEGER NOT NULL,
  consumer TEXT NOT NULL,
  offset INTEGER NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (stream, consumer)
) WITHOUT ROWID;
`;

/** Since version 3: code of deployed processors, which belongs into the body of a record behind `code_at` characters. */
const codeTables = `
CREATE TABLE codes (
  id INTEGER PRIMARY KEY,
  project INTEGER NOT NULL,
  hash BLOB NOT NULL,
  text TEXT NOT NULL
);
CREATE UNIQUE INDEX codes_by_hash ON codes (project, hash);
ALTER TABLE records ADD COLUMN code INTEGER;
ALTER TABLE records ADD COLUMN code_at INTEGER;
CREATE INDEX records_by_code ON records (code) WHERE code IS NOT NULL;
`;

/** What brings a database of the version before to each version. */
const upgrades: Record<number, string> = {
  2: `
ALTER TABLE streams ADD COLUMN wake_at INTEGER;
ALTER TABLE streams ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
${consumerTables}`,
  3: codeTables,
};

/** Each comes to the end of one tree and reads one row there, however long the tree is. */
const ends = [
  "at FROM records ORDER BY position",
  "at FROM records ORDER BY position DESC",
  "last FROM records ORDER BY stream DESC, last DESC",
  "paused FROM streams ORDER BY id DESC",
  "path FROM streams WHERE superseded = 0 ORDER BY project DESC, path DESC",
  "due_at FROM streams WHERE due_at IS NOT NULL ORDER BY due_at",
  "id FROM streams WHERE deleted_head IS NOT NULL AND purged = 0 ORDER BY id",
  "id FROM projects ORDER BY id DESC",
  "slug FROM projects ORDER BY slug DESC",
  "key FROM keys ORDER BY stream DESC, key DESC",
  "offset FROM snapshots ORDER BY stream DESC",
  "value FROM counters ORDER BY name",
  "wake_at FROM streams WHERE wake_at IS NOT NULL ORDER BY wake_at",
  "text FROM progress ORDER BY stream DESC, consumer DESC",
  "offset FROM consumer_snapshots ORDER BY stream DESC, consumer DESC",
  "code FROM records WHERE code IS NOT NULL ORDER BY code DESC",
  "hash FROM codes ORDER BY project DESC, hash DESC",
  "id FROM codes ORDER BY id DESC",
  "seq FROM sqlite_sequence",
];

/** @throws DataFault when it is another program's or a newer Millrace's. Changes nothing. */
export function checkOwner(db: Database, file: string): void {
  if (isNew(db)) return;
  const version = db.pragma("user_version", { simple: true }) as number;
  if (db.pragma("application_id", { simple: true }) !== applicationId)
    throw new DataFault(`${file} is a database of another program. Choose another --data directory.`);
  if (version > schemaVersion) {
    throw new DataFault(
      `${file} has schema version ${version}; this Millrace knows versions up to ${schemaVersion}. Start a newer Millrace on it, or choose another --data directory.`,
    );
  }
}

/** Makes the tables of a new database, upgrades an old one, or looks whether this one can be read. */
export function prepareSchema(db: Database, file: string): void {
  if (!isNew(db)) {
    upgrade(db, file);
    for (const end of ends) db.prepare(`SELECT ${end} LIMIT 1`).all();
    return;
  }
  db.transaction(() => {
    db.exec(tables);
    db.exec(consumerTables);
    db.exec(codeTables);
    db.pragma(`application_id = ${applicationId}`);
    db.pragma(`user_version = ${schemaVersion}`);
  })();
}

/** Forward only, in one transaction, and after a copy that stays beside the database. */
function upgrade(db: Database, file: string): void {
  const from = db.pragma("user_version", { simple: true }) as number;
  if (from === schemaVersion) return;
  keepCopy(db, file, from);
  db.transaction(() => {
    for (let version = from + 1; version <= schemaVersion; version++) db.exec(upgrades[version] as string);
    db.pragma(`user_version = ${schemaVersion}`);
  })();
}

/** Beside the database, whole and on disk before anything is changed: under its name there is never half a copy. */
function keepCopy(db: Database, file: string, version: number): void {
  const copy = `${file}.version-${version}`;
  const part = `${copy}.part`;
  try {
    rmSync(part, { force: true });
    db.prepare("VACUUM INTO ?").run(part);
    sync(part);
    renameSync(part, copy);
    sync(path.dirname(copy));
  } catch (error) {
    throw new DataFault(
      `${file} has schema version ${version} and is copied to ${copy} before it is upgraded to ${schemaVersion}; that failed (${(error as Error).message}). Nothing was changed. Make room for a second file of its size, then start again.`,
    );
  } finally {
    removeIfPossible(part);
  }
}

function sync(file: string): void {
  const descriptor = openSync(file, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function removeIfPossible(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // It is in the way of the next upgrade, which says so.
  }
}

function isNew(db: Database): boolean {
  const version = db.pragma("user_version", { simple: true });
  const application = db.pragma("application_id", { simple: true });
  return version === 0 && application === 0 && isEmpty(db);
}

function isEmpty(db: Database): boolean {
  return db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get() === 0;
}
