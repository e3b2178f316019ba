/**
 * The processes that compile, seen from the server. esbuild is no sandbox: a source can overflow its stack, fold
 * constants until memory is full or nest for seconds. So a process has a memory limit, a job has a time limit, and
 * whatever ends a process was the one job that it had.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { SandboxError } from "@millrace/engine";
import type { Bundled, ModulesToBundle } from "./bundle-modules.ts";
import type { FromCompiler } from "./compiler.ts";

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

export interface Compilers {
  /** Or are about to. */
  readonly areRunning: boolean;
  /** @throws SandboxError */
  compile(job: ModulesToBundle): Promise<Bundled>;
  close(): void;
}

interface Waiting {
  job: ModulesToBundle;
  resolve(answer: Bundled): void;
  reject(error: SandboxError): void;
}

interface Compiling {
  child: ChildProcess;
  ready: boolean;
  current?: Waiting | undefined;
  timer?: NodeJS.Timeout | undefined;
  timedOut: boolean;
}

const defaults: CompilersSettings = {
  processesMax: 2,
  timeoutMs: 10_000,
  memoryMb: 1_024,
  idleMs: 30_000,
  waitingMax: 1_000,
};

export function createCompilers(settings: Partial<CompilersSettings> = {}): Compilers {
  const { processesMax, timeoutMs, memoryMb, idleMs, waitingMax } = { ...defaults, ...settings };
  const waiting: Waiting[] = [];
  const compiling = new Set<Compiling>();

  function next(): void {
    for (const one of compiling) if (one.ready && one.current === undefined && waiting.length > 0) give(one);
    const starting = [...compiling].filter((one) => !one.ready).length;
    if (waiting.length > starting && compiling.size < processesMax) start();
  }

  function give(one: Compiling): void {
    one.current = waiting.shift() as Waiting;
    hold(one.child, true);
    wait(one, timeoutMs, () => {
      one.timedOut = true;
      end(one.child);
    });
    one.child.send(one.current.job, () => {});
  }

  function start(): void {
    const one: Compiling = { child: startChild(memoryMb), ready: false, timedOut: false };
    compiling.add(one);
    wait(one, timeoutMs, () => end(one.child));
    one.child.on("message", (message: FromCompiler) => {
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

  function rest(one: Compiling): void {
    one.current = undefined;
    hold(one.child, waiting.length > 0);
    wait(one, idleMs, () => end(one.child));
    one.timer?.unref();
    next();
  }

  /** What ended with its job was ended by it; what never began says that nothing can be compiled. */
  function tellEnd({ current, timedOut, ready }: Compiling, how: string): void {
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

  return {
    get areRunning() {
      return compiling.size > 0;
    },
    compile(job) {
      if (waiting.length >= waitingMax) {
        return Promise.reject(new SandboxError("unavailable", `${waitingMax} processors wait to be compiled.`));
      }
      return new Promise((resolve, reject) => {
        waiting.push({ job, resolve, reject });
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

function wait(one: Compiling, milliseconds: number, then: () => void): void {
  clearTimeout(one.timer);
  one.timer = setTimeout(then, milliseconds);
}

const program = fileURLToPath(new URL("./compiler.js", import.meta.url));
/** The limit is inherited by esbuild. Where the shell cannot set it, it goes without. */
const limited = 'ulimit -c 0; ulimit -d "$0" 2>/dev/null; exec "$@"';

function startChild(memoryMb: number): ChildProcess {
  const command = [process.execPath, `--max-old-space-size=${memoryMb / 4}`, program];
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
