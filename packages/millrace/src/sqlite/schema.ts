/**
 * The database. One row of `streams` is one life of a path; a deletion leaves the row (its head must never be given
 * again), and the next birth supersedes it. Its id is never given twice, because somebody may still hold a head of the
 * old life and settle what it owed. One row of `records` is a run of consecutive events of one commit; its rowid is
 * the position, so appending touches the end of the table, and reading by position is a scan of it.
 */
import type { Database } from "better-sqlite3";

export const schemaVersion = 1;
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
  purged INTEGER NOT NULL DEFAULT 0
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

/** Makes the tables of a new database, or checks that an old one is ours and not newer than this program. */
export function prepareSchema(db: Database, file: string): void {
  const version = db.pragma("user_version", { simple: true }) as number;
  const application = db.pragma("application_id", { simple: true }) as number;
  if (version === 0 && application === 0 && isEmpty(db)) {
    db.transaction(() => {
      db.exec(tables);
      db.pragma(`application_id = ${applicationId}`);
      db.pragma(`user_version = ${schemaVersion}`);
    })();
    return;
  }
  if (application !== applicationId)
    throw new Error(`${file} is a database of another program. Choose another --data directory.`);
  if (version > schemaVersion) {
    throw new Error(
      `${file} has schema version ${version}; this Millrace knows versions up to ${schemaVersion}. Start a newer Millrace on it, or choose another --data directory.`,
    );
  }
}

function isEmpty(db: Database): boolean {
  return db.prepare("SELECT count(*) FROM sqlite_schema").pluck().get() === 0;
}
