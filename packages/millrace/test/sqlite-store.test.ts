/** What the SQLite log does with its database beside what every log promises. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Directory, Head } from "@millrace/engine";
import Database from "better-sqlite3";
import { createSqliteDirectory } from "millrace";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let data: string;
let directory: Directory;
let fatal: string[];
let look: Database.Database;

function open(): void {
  directory = createSqliteDirectory({ directory: data, onFatal: (message) => fatal.push(message) });
}

beforeEach(() => {
  data = mkdtempSync(path.join(tmpdir(), "millrace-store-"));
  fatal = [];
  open();
  look = new Database(path.join(data, "millrace.db"), { readonly: true });
});

afterEach(async () => {
  look.close();
  await directory.close();
  rmSync(data, { recursive: true });
  expect(fatal).toEqual([]);
});

const record = '"type":"t","payload":{},"createdAt":"2026-01-01T00:00:00.000Z"}';

/** A stream of many small commits, with keys and a snapshot. */
async function born(streamPath: string, commits: number, from?: Head): Promise<Head> {
  const log = directory.log("public", streamPath);
  let head = from ?? (await log.load()).head;
  for (let i = 0; i < commits; i++) {
    const first = head.offset + 1;
    const keys = Array.from({ length: 50 }, (_, k) => ({ key: `c:${first + k}`, offset: first + k, digest: "d" }));
    const birth = i === 0 ? { birth: { streamId: `${streamPath}@${first}` } } : {};
    const snapshot = i === 1 ? { snapshot: { offset: first + 49, state: "{}" } } : {};
    const commit = { first, records: Array(50).fill(record), at: 1, keys, ...birth, ...snapshot };
    head = (await log.append(commit, head)).head;
  }
  return head;
}

function rows(): Record<string, number> {
  const count = (table: string) => look.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
  return { streams: count("streams"), records: count("records"), keys: count("keys"), snapshots: count("snapshots") };
}

/** Asks until the rows are these, while the log answers others; bounded by the time of the test. */
async function untilRows(expected: Record<string, number>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (JSON.stringify(rows()) !== JSON.stringify(expected)) {
    if (Date.now() > deadline) expect(rows()).toEqual(expected);
    await directory.projects({ limit: 1 });
  }
}

describe("a deleted stream", () => {
  test("leaves the database by and by, all but its head", async () => {
    const head = await born("/a", 100);
    expect(rows()).toEqual({ streams: 1, records: 100, keys: 5_000, snapshots: 1 });
    await directory.log("public", "/a").remove(head, null);
    await untilRows({ streams: 1, records: 0, keys: 0, snapshots: 0 });
    expect((await directory.log("public", "/a").load()).head.offset).toBe(5_000);
  });

  test("leaves it over a restart too", async () => {
    const head = await born("/a", 100);
    await directory.log("public", "/a").remove(head, null);
    await directory.close();
    expect(rows().keys, "there was something left to do").toBeGreaterThan(0);
    open();
    await untilRows({ streams: 1, records: 0, keys: 0, snapshots: 0 });
  });

  test("leaves nothing at all when its path is used again and it owes nothing", async () => {
    let head = await born("/a", 2);
    for (let life = 0; life < 5; life++) {
      const owes = life % 2 === 0 ? { dueAt: 1, kind: "deletion" } : null;
      const removed = await directory.log("public", "/a").remove(head, owes);
      head = await born("/a", 2, removed.head);
      if (owes !== null) expect(await directory.settle(removed.head, "deletion", null)).toBe(true);
    }
    await untilRows({ streams: 1, records: 2, keys: 100, snapshots: 1 });
  });

  test("does not hold up others meanwhile", async () => {
    const head = await born("/a", 200);
    const removed = directory.log("public", "/a").remove(head, null);
    await Promise.all([removed, born("/b", 50), born("/c", 50)]);
    await untilRows({ streams: 3, records: 100, keys: 5_000, snapshots: 2 });
  });
});

describe("a short read of a long stream", () => {
  test("does not look through the rest of it", async () => {
    const head = await born("/a", 1);
    const fill = new Database(path.join(data, "millrace.db"));
    const insert = fill.prepare("INSERT INTO records (stream, last, count, at, body) VALUES (1, ?, 1, 1, ?)");
    fill.transaction(() => {
      for (let offset = head.offset + 1; offset <= 200_000; offset++) insert.run(offset, record);
    })();
    fill.close();
    const log = directory.log("public", "/a");
    await log.load();
    const time = async (maxEvents: number) => {
      const start = performance.now();
      for (let i = 0; i < 10; i++) {
        const page = await log.read({ after: 100, through: 102, maxEvents, maxBytes: 1e6 });
        expect(page.records.length).toBe(2);
      }
      return performance.now() - start;
    };
    let bounded = 0;
    let unbounded = 0;
    for (let i = 0; i < 5; i++) {
      bounded += await time(2);
      unbounded += await time(1_000);
    }
    expect(unbounded, `milliseconds, against ${bounded}`).toBeLessThan(5 * bounded + 100);
  });
});

describe("a database thread", () => {
  test("that cannot start says why", async () => {
    const other = mkdtempSync(path.join(tmpdir(), "millrace-store-"));
    await createSqliteDirectory({ directory: other, onFatal: expect.fail }).close();
    const db = new Database(path.join(other, "millrace.db"));
    db.exec("ALTER TABLE snapshots RENAME COLUMN state TO something");
    db.close();
    let broken: Directory | undefined;
    const message = await new Promise<string>((resolve) => {
      broken = createSqliteDirectory({ directory: other, onFatal: resolve });
    });
    await broken?.close();
    expect(message).toMatch(/^A database thread ended: .*(SQLITE_ERROR|no column|no such column).*\.$/);
    rmSync(other, { recursive: true });
  });

  test("answers everything that was asked before it was closed, and refuses what comes later", async () => {
    const log = directory.log("public", "/a");
    const { head } = await log.load();
    const commit = { first: 1, records: [record], at: 1, keys: [], birth: { streamId: "s" } };
    const append = log.append(commit, head);
    const list = directory.list({ project: "public", prefix: "/", depth: "all", limit: 1 });
    const closed = directory.close();
    await expect(log.load()).rejects.toThrow("the log is closed");
    await expect(log.append(commit, head)).rejects.toThrow("the log is closed");
    expect((await append).head.offset).toBe(1);
    expect((await list).next).toBeNull();
    await closed;
    open();
  });
});
