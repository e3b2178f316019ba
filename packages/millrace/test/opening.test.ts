/** Opening a database costs the same however much is in it. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { append, getJson, readAll } from "../../../test/processes/http.ts";
import { startServer, temporaryDirectory } from "../../../test/processes/server-process.ts";

const temporary = temporaryDirectory();
const small = path.join(temporary.directory, "small");
const large = path.join(temporary.directory, "large");
const streams = 5_000;
const eventsEach = 60;

/** One server has made both; the large one is then filled as if it had run for long. */
beforeAll(async () => {
  for (const data of [small, large]) {
    const server = await startServer({ data });
    await append(server.url, "/a", { type: "t" });
    await append(server.url, "/gone", { type: "t" });
    await fetch(`${server.url}/api/streams/gone`, { method: "DELETE" });
    await untilNothingIsOwed(path.join(data, "millrace.db"), server.url);
    await server.stop("SIGTERM");
  }
  fill(path.join(large, "millrace.db"));
}, 60_000);

afterAll(() => temporary.remove());

/** What a server still had to announce or to empty, the next one would do at its start. */
async function untilNothingIsOwed(file: string, url: string): Promise<void> {
  const db = new Database(file, { readonly: true });
  const owed = db
    .prepare("SELECT count(*) FROM streams WHERE due_at IS NOT NULL OR (deleted_head IS NOT NULL AND purged = 0)")
    .pluck();
  while (owed.get() !== 0) await getJson(url, "/readyz");
  db.close();
}

function fill(file: string): void {
  const db = new Database(file);
  const insertStream = db.prepare(
    "INSERT INTO streams (project, path, stream_id, birth_offset, birth_at) VALUES (1, ?, ?, 1, 1)",
  );
  const insertRun = db.prepare(
    "INSERT INTO records (position, stream, last, count, at, body) VALUES (?, ?, ?, 1, 1, ?)",
  );
  const insertKey = db.prepare("INSERT INTO keys (stream, key, offset, digest) VALUES (?, ?, ?, 'd')");
  const body = `"type":"t","payload":"${"x".repeat(150)}","createdAt":"2026-01-01T00:00:00.000Z"}`;
  let position = db.prepare("SELECT max(position) FROM records").pluck().get() as number;
  db.transaction(() => {
    for (let n = 0; n < streams; n++) {
      const { lastInsertRowid } = insertStream.run(`/many/${n}`, `id-${n}`);
      for (let offset = 1; offset <= eventsEach; offset++) {
        insertRun.run(++position, lastInsertRowid, offset, body);
        insertKey.run(lastInsertRowid, `c:${offset}`, offset);
      }
    }
  })();
  db.close();
}

/** What a server executes until it is at work, and how many bytes the process has read by then. */
async function open(data: string): Promise<{ statements: string[]; bytesRead: number }> {
  const file = path.join(temporary.directory, `statements-${path.basename(data)}`);
  const preload = pathToFileURL(path.join(import.meta.dirname, "count-statements.mjs")).href;
  const env = { NODE_OPTIONS: `--import=${preload}`, STATEMENTS_FILE: file };
  const server = await startServer({ data, env });
  await getJson(server.url, "/readyz");
  // Two appends, so that the thread that writes has begun as well.
  for (let i = 0; i < 2; i++) await append(server.url, "/a", { type: "t" });
  const bytesRead = Number(/^rchar: (\d+)$/m.exec(ioOf(server.pid))?.[1] ?? 0);
  const statements = readFileSync(file, "utf8").trim().split("\n");
  await server.stop("SIGTERM");
  return { statements, bytesRead };
}

function ioOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/io`, "utf8");
  } catch {
    return "";
  }
}

test("with the same statements, reading the same few pages", async () => {
  const few = await open(small);
  const many = await open(large);
  expect(few.statements.length).toBeGreaterThan(20);
  expect(few.statements.some((sql) => sql.includes("user_version"))).toBe(true);
  expect(
    few.statements.some((sql) => sql.includes("due_at")),
    "in the threads too",
  ).toBe(true);
  expect([...many.statements].sort()).toEqual([...few.statements].sort());
  const size = streams * eventsEach * 250;
  expect(many.bytesRead - few.bytesRead, "bytes beyond the small one's").toBeLessThan(size / 50);
});

test("and it is all there", async () => {
  const server = await startServer({ data: large });
  expect((await readAll(server.url, "/many/4999")).length).toBe(eventsEach);
  expect((await getJson(server.url, "/api/streams?prefix=/many&limit=1000")).streams).toHaveLength(1_000);
  expect((await append(server.url, "/many/17", { type: "t" }))[0]?.offset).toBe(eventsEach + 1);
  await server.stop("SIGTERM");
});
