/** What a server finds at its start and will not use: one clear message, exit code 1, and nothing is changed. */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import Database from "better-sqlite3";
import { createSqliteDirectory } from "millrace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { append, breakerOff, readAll } from "../../../test/processes/http.ts";
import { type Exit, spawnCommand, startServer, temporaryDirectory } from "../../../test/processes/server-process.ts";
import { createDisk, noDisks } from "./disks.ts";

const temporary = temporaryDirectory();
let used: string;

/** Data as a server leaves it after a clean end: some streams, some hundred kilobytes. */
beforeAll(async () => {
  used = path.join(temporary.directory, "used");
  const server = await startServer({ data: used });
  for (let n = 0; n < 20; n++) {
    await append(server.url, `/s${n}`, breakerOff);
    for (let i = 0; i < 5; i++) await append(server.url, `/s${n}`, { type: "t", payload: "x".repeat(5_000) });
  }
  await server.stop("SIGTERM");
});

afterAll(() => temporary.remove());

let directories = 0;

function copyOfUsed(): { data: string; file: string } {
  const data = path.join(temporary.directory, `copy-${++directories}`);
  cpSync(used, data, { recursive: true });
  return { data, file: path.join(data, "millrace.db") };
}

function emptyDirectory(): { data: string; file: string } {
  const data = path.join(temporary.directory, `new-${++directories}`);
  mkdirSync(data);
  return { data, file: path.join(data, "millrace.db") };
}

/** Runs to its end; a server that wants to stay is ended after a while. */
async function serve(data: string): Promise<Exit> {
  const { child, exited } = spawnCommand(["serve", "--port", "0", "--data", data, "--log-level", "warn"]);
  const timer = setTimeout(() => child.kill(), 10_000);
  const exit = await exited;
  clearTimeout(timer);
  return exit;
}

/** It said one line, and no more. */
function expectRefusal(exit: Exit, message: RegExp): void {
  expect(exit.stderr).toMatch(message);
  expect(exit.stderr.trimEnd().split("\n"), "one message").toHaveLength(1);
  expect(exit.stderr).toMatch(/^millrace: .*\.\n$/);
  expect([exit.code, exit.stdout]).toEqual([1, ""]);
}

const hashOf = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");

describe("a server refuses", () => {
  test("a database of a newer version, and names both versions", async () => {
    const { data, file } = copyOfUsed();
    const db = new Database(file);
    db.pragma("user_version = 7");
    db.close();
    expectRefusal(await serve(data), /millrace\.db has schema version 7; this Millrace knows versions up to 3\./);
  });

  test.each([
    {
      name: "with tables",
      make: (db: Database.Database) => db.exec("CREATE TABLE notes (text); INSERT INTO notes VALUES (1)"),
    },
    { name: "with a version", make: (db: Database.Database) => db.pragma("user_version = 1") },
    { name: "with an application id", make: (db: Database.Database) => db.pragma("application_id = 77") },
  ])("a database of another program, $name, and does not touch it", async ({ make }) => {
    const { data, file } = emptyDirectory();
    const db = new Database(file);
    make(db);
    db.close();
    const before = hashOf(file);
    expectRefusal(await serve(data), /millrace\.db is a database of another program\./);
    expect(hashOf(file)).toBe(before);
  });

  const mebibyte = Buffer.alloc(1024 * 1024, "not a database ");
  test.each<{ name: string; damage(file: string): void; message: RegExp }>([
    { name: "garbage", damage: (file) => writeFileSync(file, mebibyte), message: /is not a database, or is damaged/ },
    {
      name: "a few bytes",
      damage: (file) => writeFileSync(file, "hello"),
      message: /is not a database, or is damaged/,
    },
    { name: "nothing in it", damage: (file) => truncateSync(file, 0), message: /millrace\.db is empty/ },
    { name: "its second half missing", damage: (file) => truncateSync(file, 200 * 1024), message: /is damaged/ },
    {
      name: "its last page missing",
      damage: (file) => truncateSync(file, readFileSync(file).length - 4_096),
      message: /is damaged/,
    },
    {
      name: "garbage behind its first page",
      damage: (file) => overwrite(file, 4_096, mebibyte),
      message: /is damaged/,
    },
    {
      name: "garbage in its header",
      damage: (file) => overwrite(file, 16, mebibyte.subarray(0, 100)),
      message: /damaged/,
    },
  ])("a file with $name, and leaves it as it is", async ({ damage, message }) => {
    const { data, file } = copyOfUsed();
    damage(file);
    const before = hashOf(file);
    expectRefusal(await serve(data), message);
    expect(hashOf(file)).toBe(before);
  });

  test("a file with garbage in the first page of any of its tables and indexes", () => {
    const { file: healthy } = copyOfUsed();
    const db = new Database(healthy);
    const trees = db.prepare("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0").all();
    db.close();
    expect(trees.length).toBeGreaterThan(10);
    for (const { name, rootpage } of trees as { name: string; rootpage: number }[]) {
      const { data, file } = copyOfUsed();
      overwrite(file, (rootpage - 1) * 4_096, mebibyte.subarray(0, 4_096));
      expect(() => createSqliteDirectory({ directory: data, onFatal: expect.fail }), name).toThrow(/is damaged/);
    }
  });

  test("a directory that another server uses, and names that server", async () => {
    const { data } = copyOfUsed();
    const server = await startServer({ data });
    const exit = await serve(data);
    expectRefusal(exit, /is in use by the Millrace server with process id/);
    expect(exit.stderr).toContain(String(server.pid));
    expect(exit.stderr).toContain(server.url);
    expect((await append(server.url, "/s1", { type: "still here" }))[0]?.offset).toBe(8);
    await server.stop();
    const next = await startServer({ data });
    expect((await readAll(next.url, "/s1")).length, "after SIGKILL nobody holds it any more").toBe(8);
    await next.stop("SIGTERM");
  });

  test.each<{ name: string; make(data: string): string; message: RegExp }>([
    {
      name: "a file",
      make(data) {
        writeFileSync(path.join(data, "file"), "");
        return path.join(data, "file");
      },
      message: /file is not a directory/,
    },
    {
      name: "below a file",
      make(data) {
        writeFileSync(path.join(data, "file"), "");
        return path.join(data, "file/data");
      },
      message: /cannot be made/,
    },
    {
      name: "with a directory where the database belongs",
      make(data) {
        mkdirSync(path.join(data, "millrace.db"));
        return data;
      },
      message: /millrace\.db cannot be opened/,
    },
  ])("a data directory that is $name", async ({ make, message }) => {
    const { data } = emptyDirectory();
    expectRefusal(await serve(make(data)), message);
  });

  test("a read-only disk, whether there is data on it or not", async ({ skip }) => {
    if (noDisks !== undefined) return skip(noDisks);
    const disk = createDisk("8m");
    try {
      cpSync(used, path.join(disk.directory, "used"), { recursive: true });
      disk.remountReadOnly();
      for (const name of ["used", "new"]) {
        expectRefusal(await serve(path.join(disk.directory, name)), /cannot be written to|cannot be made/);
      }
    } finally {
      disk.remove();
    }
  });

  test("a disk that is full, and starts as soon as there is room", async ({ skip }) => {
    if (noDisks !== undefined) return skip(noDisks);
    const disk = createDisk("2m");
    try {
      const data = path.join(disk.directory, "used");
      cpSync(used, data, { recursive: true });
      fill(path.join(disk.directory, "filling"));
      for (const name of ["used", "new"]) {
        expectRefusal(
          await serve(path.join(disk.directory, name)),
          /The disk of .* is full\. Make room, then start again\./,
        );
      }
      disk.grow("20m");
      for (const name of ["used", "new"]) {
        const server = await startServer({ data: path.join(disk.directory, name) });
        await append(server.url, "/a", { type: "t" });
        expect((await readAll(server.url, "/s1")).length).toBe(name === "used" ? 7 : 0);
        await server.stop("SIGTERM");
      }
    } finally {
      disk.remove();
    }
  });
});

function overwrite(file: string, position: number, bytes: Buffer): void {
  const content = readFileSync(file);
  bytes.copy(content, position);
  writeFileSync(file, content);
}

function fill(file: string): void {
  try {
    for (;;) writeFileSync(file, Buffer.alloc(4_096), { flag: "a" });
  } catch (error) {
    expect((error as { code?: string }).code).toBe("ENOSPC");
  }
}
