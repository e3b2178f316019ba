/** What the system knows of a process: its CPU time and memory; undefined where that cannot be known, or it is gone. */
import { readFileSync } from "node:fs";

const tickMs = 10;

/** Milliseconds. */
export function cpuMsOf(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // Behind the name, which may hold anything: the third field, so user and system time are the 12th and 13th here.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

/** How the main thread of a process spent its time so far, milliseconds. */
export interface Spent {
  at: number;
  ranMs: number;
  /** It wanted to run and others had the cores. 0 where the system does not say. */
  waitedMs: number;
}

export function spentOf(pid: number): Spent | undefined {
  const at = performance.now();
  const [ran, waited] = (read(`/proc/${pid}/schedstat`) ?? "").split(" ").map(Number);
  if (ran && waited !== undefined) return { at, ranMs: ran / 1e6, waitedMs: waited / 1e6 };
  const ranMs = cpuMsOf(pid);
  return ranMs === undefined ? undefined : { at, ranMs, waitedMs: 0 };
}

/** What it has of the machine's memory that is no file's, bytes, also where that was swapped out. */
export function heldBytesOf(pid: number): number | undefined {
  const status = read(`/proc/${pid}/status`) ?? "";
  const [held, swapped] = ["RssAnon", "VmSwap"].map(
    (name) => new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1],
  );
  return held === undefined ? undefined : (Number(held) + Number(swapped ?? 0)) * 1_024;
}

/** What RLIMIT_DATA counts, bytes: also what was asked for and not touched. */
export function dataBytesOf(pid: number): number | undefined {
  const kilobytes = /^VmData:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
}

/** Of whom nothing is known. */
const nobody = -1;

/**
 * The one at the end of a chain of wrappers that each started the next. Not every system says who started whom: then
 * nothing is known of it, which is better than what the wrapper does, who only waits.
 */
export function innermostOf(pid: number): number {
  const children = read(`/proc/${pid}/task/${pid}/children`);
  if (children === undefined) return nobody;
  const [child] = children.split(" ");
  return child === undefined || child === "" ? pid : innermostOf(Number(child));
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
