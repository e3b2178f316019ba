/**
 * The processes that compile, seen from the server. esbuild is no sandbox: a source can overflow its stack, fold
 * constants until memory is full or nest for seconds. So a process has a memory limit, a job has a time limit, and
 * whatever ends a process was the one job that it had.
 */
import { type ChildProcess, type Serializable, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SandboxError } from "@millrace/engine";
import type { Bundled, ModulesToBundle } from "./bundle-modules.ts";
import type { FromProcess } from "./serve-jobs.ts";

export interface CompilersSettings {
  /** Each has one job at a time. */
  processesMax: number;
  /** For one job, from when a process has it. */
  timeoutMs: number;
  /** Of private memory; where the system knows no such limit there is none. */
  memoryMb: number;
  /** A process without a job ends. */
  idleMs: number;
  waitingMax: number;
}

export interface Compilers<Job = ModulesToBundle, Done = Bundled> {
  /** Or are about to. */
  readonly areRunning: boolean;
  /** Rejects with SandboxError, "interrupted" by the signal. */
  compile(job: Job, signal?: AbortSignal): Promise<Done>;
  close(): void;
}

interface Waiting<Job, Done> {
  job: Job;
  resolve(answer: Done): void;
  reject(error: SandboxError): void;
}

interface Compiling<Job, Done> {
  child: ChildProcess;
  ready: boolean;
  current?: Waiting<Job, Done> | undefined;
  timer?: NodeJS.Timeout | undefined;
  timedOut: boolean;
}

/** For a process to be ready: on a busy machine that is no job's fault. */
const startMs = 10_000;

const defaults: CompilersSettings = {
  processesMax: 2,
  timeoutMs: 10_000,
  memoryMb: 1_024,
  idleMs: 30_000,
  waitingMax: 1_000,
};

/** @param program what the processes run: it serves jobs (serve-jobs.ts) */
export function createCompilers<Job = ModulesToBundle, Done = Bundled>(
  settings: Partial<CompilersSettings> = {},
  program: URL = ownProgram,
): Compilers<Job, Done> {
  const { processesMax, timeoutMs, memoryMb, idleMs, waitingMax } = { ...defaults, ...settings };
  const waiting: Waiting<Job, Done>[] = [];
  const compiling = new Set<Compiling<Job, Done>>();

  function next(): void {
    for (const one of compiling) if (one.ready && one.current === undefined && waiting.length > 0) give(one);
    const starting = [...compiling].filter((one) => !one.ready).length;
    if (waiting.length > starting && compiling.size < processesMax) start();
  }

  function give(one: Compiling<Job, Done>): void {
    one.current = waiting.shift() as Waiting<Job, Done>;
    hold(one.child, true);
    wait(one, timeoutMs, () => {
      one.timedOut = true;
      end(one.child);
    });
    one.child.send(one.current.job as Serializable, () => {});
  }

  function start(): void {
    const one: Compiling<Job, Done> = { child: startChild(program, memoryMb), ready: false, timedOut: false };
    compiling.add(one);
    wait(one, startMs, () => end(one.child));
    one.child.on("message", (message: FromProcess<Done>) => {
      if (message === "ready") one.ready = true;
      else one.current?.resolve(message.done);
      rest(one);
    });
    let over = false;
    const ended = (how: string) => {
      if (over) return;
      over = true;
      end(one.child);
      compiling.delete(one);
      clearTimeout(one.timer);
      tellEnd(one, how);
      next();
    };
    one.child.on("error", (error) => ended(error.message));
    one.child.on("exit", (code, signal) => ended(signal ?? `exit code ${code}`));
  }

  function rest(one: Compiling<Job, Done>): void {
    one.current = undefined;
    hold(one.child, waiting.length > 0);
    wait(one, idleMs, () => end(one.child));
    one.timer?.unref();
    next();
  }

  /** What ended with its job was ended by it; what never began says that nothing can be compiled. */
  function tellEnd({ current, timedOut, ready }: Compiling<Job, Done>, how: string): void {
    if (current !== undefined) {
      const message = timedOut
        ? `It took longer than ${timeoutMs / 1_000} s to compile.`
        : `It cannot be compiled: the compiler ended (${how}), as it does for code that is nested too deeply or grows beyond ${memoryMb} MiB.`;
      current.reject(new SandboxError("code", message));
    } else if (!ready) {
      const message = `The compiler does not start (${how}).`;
      for (const { reject } of waiting.splice(0)) reject(new SandboxError("unavailable", message));
    }
  }

  /** A process that has begun knows no other way to stop. */
  function drop(job: Waiting<Job, Done>): void {
    const at = waiting.indexOf(job);
    if (at >= 0) waiting.splice(at, 1);
    for (const one of compiling) if (one.current === job) end(one.child);
    job.reject(new SandboxError("interrupted", "It was interrupted."));
  }

  return {
    get areRunning() {
      return compiling.size > 0;
    },
    compile(job, signal) {
      if (signal?.aborted) return Promise.reject(new SandboxError("interrupted", "It was interrupted."));
      if (waiting.length >= waitingMax) {
        return Promise.reject(new SandboxError("unavailable", `${waitingMax} processors wait to be compiled.`));
      }
      return new Promise((resolve, reject) => {
        const mine: Waiting<Job, Done> = {
          job,
          resolve(answer) {
            signal?.removeEventListener("abort", leave);
            resolve(answer);
          },
          reject(error) {
            signal?.removeEventListener("abort", leave);
            reject(error);
          },
        };
        const leave = () => drop(mine);
        signal?.addEventListener("abort", leave, { once: true });
        waiting.push(mine);
        next();
      });
    },
    close() {
      const message = "The server is stopping.";
      for (const { reject } of waiting.splice(0)) reject(new SandboxError("unavailable", message));
      for (const one of compiling) {
        one.current?.reject(new SandboxError("unavailable", message));
        one.current = undefined;
        end(one.child);
      }
    },
  };
}

function wait(one: { timer?: NodeJS.Timeout | undefined }, milliseconds: number, then: () => void): void {
  clearTimeout(one.timer);
  one.timer = setTimeout(then, milliseconds);
}

const ownProgram = new URL("./compiler.js", import.meta.url);
/** The limit is inherited by esbuild. Where the shell cannot set it, it goes without. */
const limited = 'ulimit -c 0; ulimit -d "$0" 2>/dev/null; exec "$@"';

function startChild(program: URL, memoryMb: number): ChildProcess {
  const command = [process.execPath, `--max-old-space-size=${memoryMb / 4}`, fileURLToPath(program)];
  const [executable, ...rest] = isPosix ? ["/bin/sh", "-c", limited, String(memoryMb * 1024), ...command] : command;
  const { ESBUILD_BINARY_PATH: binary } = process.env;
  return spawn(executable as string, rest, {
    // Nothing of the server's: no secret in its environment, no open file, no directory.
    env: binary === undefined ? {} : { ESBUILD_BINARY_PATH: binary },
    cwd: "/",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    serialization: "advanced",
    // A group of its own, which ends as one: esbuild is a process below it.
    detached: isPosix,
  });
}

const isPosix = process.platform !== "win32";

function end(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    if (isPosix) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
  } catch {
    // All of it has ended.
  }
}

/** While a process is idle, it does not keep a program that is done from ending. */
function hold(child: ChildProcess, held: boolean): void {
  const how = held ? "ref" : "unref";
  child[how]();
  child.channel?.[how]();
}
