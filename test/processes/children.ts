/** The child processes of a process, as Linux shows them. Elsewhere none are seen. */
import { readdirSync, readFileSync } from "node:fs";

export interface ProcessId {
  pid: number;
  /** In ticks since the machine started: a number that was given to another process has another one. */
  startedAt: string;
}

/** Whether children can be seen at all. */
export const showsChildren = process.platform === "linux";

export function childrenOf(parent: number): ProcessId[] {
  if (!showsChildren) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const status = statusOf(Number(name));
      return status?.parent === parent ? [{ pid: Number(name), startedAt: status.startedAt }] : [];
    });
}

/** False as soon as it has ended, whether or not anybody has asked how. */
export function isRunning({ pid, startedAt }: ProcessId): boolean {
  const status = statusOf(pid);
  return status !== undefined && status.startedAt === startedAt && status.state !== "Z" && status.state !== "X";
}

function statusOf(pid: number): { state: string; parent: number; startedAt: string } | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // ended between the two looks
  }
  // The name of the program stands in parentheses, and may hold blanks and parentheses itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] as string, parent: Number(fields[1]), startedAt: fields[19] as string };
}
