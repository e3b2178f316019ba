/**
 * One process for each file: a note beside it says who holds it. What a process left behind that is no more is taken
 * over, also when its number was given to another one since.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";

interface Holder {
  pid: number;
  host: string;
  /** When the process began, as the system counts it; tells two with the same number apart. */
  began: string | undefined;
  since: string;
}

/** Of this process, whose number says nothing about a lock of itself. */
const held = new Set<string>();

/**
 * @returns how to give it back
 * @throws Error that names the holder
 */
export function lockFile(file: string): () => void {
  const lock = `${file}.lock`;
  const own = `${lock}.${process.pid}`;
  const note: Holder = {
    pid: process.pid,
    host: hostname(),
    began: beganOf(process.pid),
    since: new Date().toISOString(),
  };
  writeFileSync(own, `${JSON.stringify(note)}\n`);
  try {
    take(file, lock, own);
  } finally {
    rmSync(own, { force: true });
  }
  held.add(lock);
  return () => {
    held.delete(lock);
    rmSync(lock, { force: true });
  };
}

/** A link is made whole or not at all, so nobody reads half a note. */
function take(file: string, lock: string, own: string): void {
  for (;;) {
    try {
      linkSync(own, lock);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const text = noteOf(lock);
    if (text === undefined) continue;
    const holder = parse(text);
    if (holder === undefined || lives(holder, lock)) throw new Error(inUse(file, lock, holder));
    remove(lock, text, `${own}.stale`);
  }
}

/** Somebody else may have taken it over since it was read: what is moved away then is put back. */
function remove(lock: string, text: string, stale: string): void {
  try {
    renameSync(lock, stale);
    if (readFileSync(stale, "utf8") !== text) linkSync(stale, lock);
  } catch (error) {
    if (!["ENOENT", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  } finally {
    rmSync(stale, { force: true });
  }
}

function lives({ pid, host, began }: Holder, lock: string): boolean {
  // Of another machine nothing is known.
  if (host !== hostname()) return true;
  if (pid === process.pid) return held.has(lock);
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  const now = beganOf(pid);
  return began === undefined || now === undefined || began === now;
}

function inUse(file: string, lock: string, holder: Holder | undefined): string {
  if (holder === undefined) return `${file} is in use; remove ${lock} if nobody uses it any more.`;
  const { pid, host, since } = holder;
  const own = pid === process.pid && host === hostname();
  const who = own ? `this process (${pid})` : `the process ${pid} of ${host}`;
  const elsewhere = host === hostname() ? "" : ` If that machine is no more, remove ${lock}.`;
  return `${file} is in use by ${who} since ${since}. Stop it, or name another file.${elsewhere}`;
}

function noteOf(lock: string): string | undefined {
  try {
    return readFileSync(lock, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function parse(text: string): Holder | undefined {
  try {
    const note = JSON.parse(text) as Holder;
    return typeof note.pid === "number" ? note : undefined;
  } catch {
    return undefined;
  }
}

/** Linux tells; elsewhere the number alone has to do. */
function beganOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[19];
  } catch {
    return undefined;
  }
}
