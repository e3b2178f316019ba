/** A database of an older version: upgraded at the start, after a copy, with everything in it; or left as it was. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import Database from "better-sqlite3";
import { createSqliteDirectory } from "millrace";
import { afterEach, expect, test } from "vitest";
import { append, getJson, readAll } from "../../../test/processes/http.ts";
import { startServer } from "../../../test/processes/server-process.ts";
import { createDisk, noDisks } from "./disks.ts";

/** The tables of version 1, as they were. */
const tablesOfVersion1 = `
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

/** What made version 2 of it, as it was. */
const upgradeToVersion2 = `
ALTER TABLE streams ADD COLUMN wake_at INTEGER;
ALTER TABLE streams ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
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
PRAGMA user_version = 2;
`;

const at = Date.UTC(2026, 0, 1);
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function temporary(): string {
  const data = mkdtempSync(path.join(tmpdir(), "millrace-upgrade-"));
  cleanups.push(() => rmSync(data, { recursive: true }));
  return data;
}

function body(type: string, payload: object): string {
  return `"type":${JSON.stringify(type)},"payload":${JSON.stringify(payload)},"createdAt":"2026-01-01T00:00:00.000Z"}`;
}

/** A living stream with a key, a deleted one, and one of another project. */
function writeVersion1(data: string, filling = 0): string {
  mkdirSync(data, { recursive: true });
  const file = path.join(data, "millrace.db");
  const db = new Database(file);
  db.exec(tablesOfVersion1);
  db.pragma(`application_id = ${0x4d4c5243}`);
  db.pragma("user_version = 1");
  const stream = db.prepare(
    "INSERT INTO streams (id, project, path, stream_id, birth_offset, birth_at, deleted_head, deleted_last_at, purged) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)",
  );
  const run = db.prepare("INSERT INTO records (position, stream, last, count, at, body) VALUES (?, ?, ?, ?, ?, ?)");
  db.exec("INSERT INTO projects (id, slug) VALUES (1, 'public'), (2, 'other')");
  stream.run(1, 1, "/a", "id-a", at, null, null, 0);
  stream.run(2, 1, "/gone", "id-gone", at, 7, at, 1);
  stream.run(3, 2, "/a", "id-other", at, null, null, 0);
  const born = (streamId: string, projectSlug = "public") =>
    body("https://events.iterate.com/events/stream/initialized", { projectSlug, path: "/a", streamId });
  run.run(11, 1, 1, 1, at, born("id-a"));
  run.run(12, 1, 3, 2, at, `${body("one", { n: 1 })}\n${body("two", { filling: "x".repeat(filling) })}`);
  run.run(13, 3, 2, 2, at, `${born("id-other", "other")}\n${body("elsewhere", {})}`);
  db.exec("INSERT INTO keys (stream, key, offset, digest) VALUES (1, 'c:k', 2, 'digest')");
  db.pragma("journal_mode = WAL");
  db.close();
  return file;
}

function open(data: string) {
  const fatal: string[] = [];
  const directory = createSqliteDirectory({ directory: data, onFatal: (message) => fatal.push(message) });
  cleanups.push(async () => {
    await directory.close();
    expect(fatal).toEqual([]);
  });
  return directory;
}

/** That there is version 1, whole, with everything that was written into it. */
function expectVersion1(file: string): void {
  const db = new Database(file, { readonly: true });
  try {
    expect(db.pragma("user_version", { simple: true })).toBe(1);
    expect(db.pragma("application_id", { simple: true })).toBe(0x4d4c5243);
    expect(db.pragma("integrity_check", { simple: true })).toBe("ok");
    expect(db.prepare("SELECT count(*), sum(count), max(position) FROM records").raw().get()).toEqual([3, 5, 13]);
    expect(db.prepare("SELECT path FROM streams ORDER BY id").pluck().all()).toEqual(["/a", "/gone", "/a"]);
    expect(db.prepare("SELECT count(*) FROM pragma_table_info('streams') WHERE name = 'wake_at'").pluck().get()).toBe(
      0,
    );
  } finally {
    db.close();
  }
}

test("everything of version 1 is there after the upgrade, can be added to, and a copy of before stays", async () => {
  const data = temporary();
  const file = writeVersion1(data);
  const directory = open(data);
  expectVersion1(`${file}.version-1`);
  const log = directory.log("public", "/a");
  const loaded = await log.load();
  expect(loaded).toMatchObject({
    head: { offset: 3 },
    birth: { streamId: "id-a", offset: 1, at },
    lastEventAt: at,
    claim: null,
    wakeAt: null,
    progress: [],
  });
  const { records } = await log.read({ after: 1, through: 3, maxEvents: 10, maxBytes: 1e6 });
  expect(records.map((record) => JSON.parse(`{${record}`).type)).toEqual(["one", "two"]);
  expect([...(await log.findKeys(["c:k"])).values()]).toEqual([{ key: "c:k", offset: 2, digest: "digest" }]);
  expect((await directory.log("public", "/gone").load()).head.offset, "the head of what was deleted").toBe(7);
  expect((await directory.log("other", "/a").load()).head.offset).toBe(2);
  const progress = [{ consumer: "p", text: "{}" }];
  const commit = { first: 4, records: [body("four", {})], at, keys: [], progress, wakeAt: at + 5 };
  expect((await log.append(commit, loaded.head)).position).toBe(14);
  expect(await log.load()).toMatchObject({ head: { offset: 4 }, progress, wakeAt: at + 5 });
  expect((await directory.wakes({ after: 0, through: at + 5, limit: 5 })).wakes).toHaveLength(1);
});

test("a deployment of version 2 stays as it is, and the next of the same code is kept apart", async () => {
  const data = temporary();
  const file = writeVersion1(data);
  const type = "https://events.iterate.com/events/stream/dynamic-worker/configured";
  const deployment = body(type, { slug: "p", script: "x".repeat(5_000) });
  const db = new Database(file);
  db.exec(upgradeToVersion2);
  db.prepare("INSERT INTO records (position, stream, last, count, at, body) VALUES (14, 1, 4, 1, ?, ?)").run(
    at,
    deployment,
  );
  db.close();
  const directory = open(data);
  expect(existsSync(`${file}.version-2`)).toBe(true);
  const log = directory.log("public", "/a");
  const { head } = await log.load();
  await log.append({ first: 5, records: [deployment], at, keys: [] }, head);
  const { records } = await log.read({ after: 3, through: 5, maxEvents: 10, maxBytes: 1e6 });
  expect(records).toEqual([deployment, deployment]);
  const look = new Database(file, { readonly: true });
  cleanups.push(() => look.close());
  expect(look.pragma("user_version", { simple: true })).toBe(3);
  const lengths = look.prepare("SELECT length(body), code FROM records WHERE stream = 1 AND last > 3").raw().all();
  expect(lengths).toEqual([
    [deployment.length, null],
    [deployment.length - 5_002, 1],
  ]);
});

test("a server starts on it, once upgraded it is not upgraded again, and the copy is a database to go back to", async () => {
  const data = temporary();
  const file = writeVersion1(data);
  for (const head of [4, 5]) {
    const server = await startServer({ data });
    expect((await append(server.url, "/a", { type: "t" }))[0]?.offset).toBe(head);
    await server.stop("SIGTERM");
    expectVersion1(`${file}.version-1`);
  }
  const back = path.join(data, "back");
  writeVersion1(back);
  const again = await startServer({ data: back });
  expect((await readAll(again.url, "/a")).map(({ type }) => type).slice(1)).toEqual(["one", "two"]);
  expect((await getJson(again.url, "/api/streams")).streams).toHaveLength(1);
  await again.stop("SIGTERM");
});

test.each([
  ["half a copy", ".version-1.part"],
  ["a copy of an upgrade that did not come to its end", ".version-1"],
])("after an interruption that left %s it begins again", async (_, name) => {
  const data = temporary();
  const file = writeVersion1(data);
  writeFileSync(file + name, "SQLite format 3 and then the power failed");
  const directory = open(data);
  expect((await directory.log("public", "/a").load()).head.offset).toBe(3);
  expectVersion1(`${file}.version-1`);
  expect(existsSync(`${file}.version-1.part`)).toBe(false);
});

test.each([".version-1", ".version-1.part"])(
  "a copy that cannot be made (%s is in the way) leaves all as it was",
  (name) => {
    const data = temporary();
    const file = writeVersion1(data);
    mkdirSync(path.join(file + name, "in the way"), { recursive: true });
    expect(() => createSqliteDirectory({ directory: data, onFatal: () => {} })).toThrow(
      /^.*millrace\.db has schema version 1 and is copied to .*millrace\.db\.version-1 before it is upgraded to 3; that failed \(.*\)\. Nothing was changed\. Make room .* start again\.$/,
    );
    expectVersion1(file);
    rmSync(file + name, { recursive: true });
    open(data);
    expectVersion1(`${file}.version-1`);
  },
);

test("a disk that has no room for a copy leaves all as it was, and no half copy", async ({ skip }) => {
  if (noDisks !== undefined) return skip(noDisks);
  const disk = createDisk("6m");
  cleanups.push(() => disk.remove());
  const data = path.join(disk.directory, "data");
  const file = writeVersion1(data, 4 * 1024 * 1024);
  const before = readdirSync(data);
  expect(() => createSqliteDirectory({ directory: data, onFatal: () => {} })).toThrow(
    /Nothing was changed\. Make room/,
  );
  expectVersion1(file);
  expect(readdirSync(data).filter((name) => name.includes("version"))).toEqual([]);
  expect(before).toContain("millrace.db");
  disk.grow("20m");
  const directory = open(data);
  expect((await directory.log("public", "/a").load()).head.offset).toBe(3);
  expectVersion1(`${file}.version-1`);
});
