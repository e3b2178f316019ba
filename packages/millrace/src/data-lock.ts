/**
 * One server for each data directory. The lock is SQLite's own file lock on a small database, so the operating system
 * takes it back when the process dies, however it dies; a note beside it says who holds it.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import Database from "better-sqlite3";
import { sqliteCode } from "./sqlite/connection.ts";

export interface DataLock {
  /** Says where this server listens, for whoever tries to start a second one. */
  announce(url: string): void;
  release(): void;
}

/** @throws Error that names the holder */
export function lockData(directory: string): DataLock {
  mkdirSync(directory, { recursive: true });
  const note = path.join(directory, "server.json");
  const db = new Database(path.join(directory, "lock.db"), { timeout: 0 });
  try {
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if (!sqliteCode(error).startsWith("SQLITE_BUSY")) throw error;
    throw new Error(`${directory} is in use by ${holderOf(note)}. Stop it, or choose another --data directory.`);
  }
  const write = (url?: string) => {
    writeFileSync(note, `${JSON.stringify({ pid: process.pid, url, startedAt: new Date().toISOString() })}\n`);
  };
  write();
  return {
    announce: write,
    release() {
      rmSync(note, { force: true });
      db.close();
    },
  };
}

function holderOf(note: string): string {
  try {
    const { pid, url, startedAt } = JSON.parse(readFileSync(note, "utf8")) as Record<string, unknown>;
    return `the Millrace server with process id ${pid}${url === undefined ? "" : ` at ${url}`}, running since ${startedAt}`;
  } catch {
    return "another Millrace server";
  }
}
