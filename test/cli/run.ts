/** The command line as a user has it: a process with arguments, an environment and what is piped into it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export const main: string = fileURLToPath(new URL("../../packages/millrace/dist/cli/main.js", import.meta.url));

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  exited: Promise<Ran>;
}

export function start(args: string[], env: Record<string, string> = {}): Running {
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith("MILLRACE_") && name !== "NO_COLOR");
  const child = spawn(process.execPath, [main, ...args], { env: { ...Object.fromEntries(ours), ...env } });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
    });
  }
  // A command that does not read its stdin may be gone before it was written.
  child.stdin.on("error", () => {});
  const exited = once(child, "close").then(([code]): Ran => ({ code: code as number | null, ...text }));
  return { child, stdout: () => text.stdout, stderr: () => text.stderr, exited };
}

/** Runs to the end. Without `input` stdin is empty. */
export function run(args: string[], env: Record<string, string> = {}, input = ""): Promise<Ran> {
  const running = start(args, env);
  running.child.stdin?.end(input);
  return running.exited;
}

/** Looks until it is so; the test's own timeout is the limit. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20));
}

export const lines = (text: string): unknown[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
