/** A server as users start it: the built command line in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { lastLines, within } from "./within.ts";

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ServerProcess {
  url: string;
  port: number;
  pid: number;
  output(): { stdout: string; stderr: string };
  /** Sends the signal (SIGKILL if none is named) and waits for the end, for half a minute. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
  /** SIGKILL: nothing can be said or saved any more. */
  kill(): Promise<Exit>;
  exited: Promise<Exit>;
}

export interface StartOptions {
  data: string;
  args?: string[];
  env?: Record<string, string>;
  port?: number;
  /** Another file than the command line, which takes the same arguments. */
  file?: string;
}

const main = fileURLToPath(new URL("../../packages/millrace/dist/cli/main.js", import.meta.url));
const startMs = 20_000;

/** Whatever happens to the tests, no process is left behind. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Runs the command line to its end. */
export function runCommand(args: string[], env: Record<string, string> = {}): Promise<Exit> {
  return spawnCommand(args, env).exited;
}

/** Starts a server and waits for its line. */
export async function startServer(options: StartOptions): Promise<ServerProcess> {
  const { data, args = [], env = {}, port = 0, file = main } = options;
  const all = ["serve", "--port", String(port), "--data", data, "--log-level", "warn", ...args];
  return whenListening(spawnProgram(process.execPath, [file, ...all], env));
}

export async function whenListening(command: Command): Promise<ServerProcess> {
  const { child, exited, output } = command;
  const url = await listening(command);
  const stop = (signal: NodeJS.Signals) => endOf(command, signal, "the server");
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid as number,
    output,
    exited,
    stop: (signal = "SIGKILL") => stop(signal),
    kill: () => stop("SIGKILL"),
  };
}

export interface Command {
  child: ChildProcess;
  exited: Promise<Exit>;
  output(): { stdout: string; stderr: string };
}

export function spawnCommand(args: string[], env: Record<string, string> = {}): Command {
  return spawnProgram(process.execPath, [main, ...args], env);
}

export function spawnProgram(program: string, args: string[], env: Record<string, string> = {}): Command {
  const child = spawn(program, args, {
    env: { ...withoutOurs(process.env), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
    });
  }
  const exited = once(child, "close").then(([code, signal]): Exit => {
    running.delete(child);
    return { code, signal, ...text };
  });
  return { child, exited, output: () => text };
}

/** Sends the signal, and waits until it has ended and nobody writes to its output any more. */
export function endOf({ child, exited, output }: Command, signal: NodeJS.Signals, what: string): Promise<Exit> {
  child.kill(signal);
  return within(`the end of ${what} by ${signal}`, exited, undefined, () => {
    const isOver = child.exitCode !== null || child.signalCode !== null;
    return `${isOver ? "It has ended, and somebody holds its output open." : "It runs."} ${lastLines(output())}`;
  });
}

async function listening({ child, exited, output }: Command): Promise<string> {
  const line = /^listening on (http:\/\/\S+)\n/;
  const found = new Promise<string>((resolve) => {
    child.stdout?.on("data", () => {
      const url = line.exec(output().stdout)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
  const ended = exited.then(({ code, signal, stderr }): never => {
    throw new Error(`the server ended before it listened (code ${code}, signal ${signal}): ${stderr.slice(-2_000)}`);
  });
  try {
    return await within("a server that listens", Promise.race([found, ended]), startMs, () => lastLines(output()));
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  } finally {
    ended.catch(() => {});
  }
}

/** The settings of whoever runs the tests are not the settings of the server under test. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("MILLRACE_")));
}

/** A directory for a test's data, and how to be rid of it. */
export function temporaryDirectory(): { directory: string; remove(): void } {
  const directory = mkdtempSync(path.join(tmpdir(), "millrace-test-"));
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** Resident memory of a process in bytes; 0 where the system has no /proc. */
export function residentBytes(pid: number): number {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kibibytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** How many files and sockets a process has open; 0 where the system has no /proc. */
export function openDescriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}
