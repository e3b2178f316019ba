/**
 * One server for each data directory. The lock is SQLite's own file lock on a small database, so the operating system
 * takes it back when the process dies, however it dies; a note beside it says who holds it.
 */
import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import Database from "better-sqlite3";
import { DataFault, explainDataFault } from "./data-fault.ts";
import { sqliteCode } from "./sqlite/connection.ts";

export interface DataLock {
  /** Says where this server listens, for whoever tries to start a second one. */
  announce(url: string): void;
  release(): void;
}

/** @throws DataFault that names the holder, or says why the directory cannot be used */
export function lockData(directory: string): DataLock {
  const file = path.join(directory, "lock.db");
  const note = path.join(directory, "server.json");
  let db: Database.Database | undefined;
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
    db = new Database(file, { timeout: 0 });
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db?.close();
    if (!sqliteCode(error).startsWith("SQLITE_BUSY")) throw explainDataFault(error, directory, file);
    throw new DataFault(`${directory} is in use by ${holderOf(note)}. Stop it, or choose another --data directory.`);
  }
  write(note);
  return {
    announce: (url) => write(note, url),
    release() {
      rmSync(note, { force: true });
      db.close();
    },
  };
}

/** Only a message lives on it, so a full disk must not end a server over it. */
function write(note: string, url?: string): void {
  const holder = { pid: process.pid, url, startedAt: new Date().toISOString() };
  try {
    writeFileSync(note, `${JSON.stringify(holder)}\n`);
  } catch {
    rmSync(note, { force: true });
  }
}

function holderOf(note: string): string {
  try {
    const { pid, url, startedAt } = JSON.parse(readFileSync(note, "utf8")) as Record<string, unknown>;
    return `the Millrace server with process id ${pid}${url === undefined ? "" : ` at ${url}`}, running since ${startedAt}`;
  } catch {
    return "another Millrace server";
  }
}
