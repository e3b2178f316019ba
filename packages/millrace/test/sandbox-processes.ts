/** The processes in which deployed code runs, found from outside, in /proc. */
import { readdirSync } from "node:fs";
import { parentOf, textOf } from "./evaluators.ts";

/** The ids of those that this process has, or another one. */
export function sandboxesOf(parentId = process.pid): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => parentOf(name) === parentId && /\bworkerd\0serve\0/.test(textOf(name, "cmdline")))
    .map(Number);
}
