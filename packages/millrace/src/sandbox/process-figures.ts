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

/** What RLIMIT_DATA counts, bytes: also what was asked for and not touched. */
export function dataBytesOf(pid: number): number | undefined {
  const kilobytes = /^VmData:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
}

/** The one at the end of a chain of wrappers that each started the next. */
export function innermostOf(pid: number): number {
  const child = read(`/proc/${pid}/task/${pid}/children`)?.split(" ")[0];
  return child === undefined || child === "" ? pid : innermostOf(Number(child));
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
