/** The processes that evaluate expressions, found from outside, in /proc. */
import { readdirSync, readFileSync } from "node:fs";

/** The ids of those that this process has, or another one. */
export function evaluatorsOf(parentId = process.pid): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(name) === parentId && textOf(name, "cmdline").includes("/expressions/evaluator.js"))
    .map(Number);
}

/** A process that ended but that nobody has asked about stays in the table as a zombie. */
export function isAlive(id: number): boolean {
  return !["", "Z", "X"].includes(fieldsOf(String(id))[0] ?? "");
}

/** Time that it has computed, in hundredths of a second: how a test sees that an expression has begun. */
export function processorTicks(id: number): number {
  const fields = fieldsOf(String(id));
  return Number(fields[11]) + Number(fields[12]);
}

export function parentOf(id: string): number {
  return Number(fieldsOf(id)[1]);
}

/** From the third field on: the second is the name, in brackets, and may hold anything. */
function fieldsOf(id: string): string[] {
  return textOf(id, "stat")
    .replace(/^.*\) /s, "")
    .split(" ");
}

export function textOf(id: string | number, file: string): string {
  try {
    return readFileSync(`/proc/${id}/${file}`, "utf8");
  } catch {
    return "";
  }
}
