/** The server as a user runs it: a process of its own on a data directory, ended by its process id. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../packages/millrace/dist/cli/main.js", import.meta.url));
const startMs = 20_000;

export interface ServerProcess {
  url: string;
  pid: number;
  /** What it wrote to stderr so far. */
  stderr(): string;
  /** SIGKILL: resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM: resolves with the exit code. */
  stop(): Promise<number | null>;
}

export interface StartOptions {
  data: string;
  args?: string[];
  env?: Record<string, string>;
}

/** Resolves when it says that it listens. @throws Error with what it wrote instead */
export async function startServer({ data, args = [], env = {} }: StartOptions): Promise<ServerProcess> {
  const child = spawn(process.execPath, [main, "serve", "--port", "0", "--data", data, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const url = await listening(child, () => stderr);
  const exited = once(child, "exit") as Promise<[number | null]>;
  return {
    url,
    pid: child.pid as number,
    stderr: () => stderr,
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    async stop() {
      child.kill("SIGTERM");
      const [code] = await exited;
      return code;
    },
  };
}

async function listening(child: ChildProcess, stderr: () => string): Promise<string> {
  const timeout = setTimeout(() => child.kill("SIGKILL"), startMs);
  try {
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      const url = /^listening on (http:\/\/\S+)$/.exec(line)?.[1];
      if (url !== undefined) return url;
    }
  } finally {
    clearTimeout(timeout);
  }
  throw new Error(`the server did not start: ${stderr()}`);
}
