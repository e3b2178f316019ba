/** A runtime in a process of its own, for a server that comes back where it was: it is killed and begun again. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Command,
  endOf,
  type ServerProcess,
  spawnProgram,
  temporaryDirectory,
} from "../processes/server-process.ts";
import { eventually } from "./harness.ts";

/** What the process wrote down: that it began, or a call of a hook when that begins and when it returned. */
export interface Note {
  began?: number;
  path?: string;
  acting?: number;
  acted?: number;
  deciding?: Decision;
  decided?: Decision;
}

export interface Decision {
  missed?: { after: number; through: number };
  interrupted?: { offset?: number };
}

export interface Runtime {
  readonly alive: boolean;
  /** If it does not run. */
  begin(server: ServerProcess): void;
  /** Rejects when it ends instead. */
  ready(): Promise<void>;
  kill(): Promise<void>;
  /** In good order: its successor is another one, and needs not wait. */
  stop(): Promise<void>;
  notes(slug: string): Note[];
  /** A file that it keeps, as text; empty where there is none. */
  kept(name: string): string;
  dispose(): Promise<void>;
}

const file = fileURLToPath(new URL("runtime-process.mjs", import.meta.url));
/** Less than the half minute after which a holder that says nothing may be replaced. */
const readyMs = 20_000;

export function createRuntime(): Runtime {
  const { directory, remove } = temporaryDirectory();
  let command: Command | undefined;
  /** What was killed is no more, so the next one may have its name. */
  let number = 1;

  function kept(name: string): string {
    try {
      return readFileSync(path.join(directory, name), "utf8");
    } catch {
      return "";
    }
  }

  async function end(signal: NodeJS.Signals) {
    const ending = command;
    command = undefined;
    return ending === undefined ? undefined : endOf(ending, signal, "a runtime");
  }

  return {
    get alive() {
      return command !== undefined;
    },
    begin({ url }) {
      command ??= spawnProgram(process.execPath, [file, url, directory, `runtime-${number}`]);
    },
    ready: () =>
      eventually(
        "a runtime",
        async () => {
          const { stdout, stderr } = command?.output() ?? { stdout: "", stderr: "" };
          if (command === undefined || command.child.exitCode !== null) throw new Error(`a runtime ended: ${stderr}`);
          return stdout.includes("ready") ? undefined : `it is not ready: ${stderr.slice(-2_000)}`;
        },
        readyMs,
      ),
    async kill() {
      const exit = await end("SIGKILL");
      if (exit?.stderr.includes("Another "))
        throw new Error(`a runtime took the one before for a rival: ${exit.stderr}`);
    },
    async stop() {
      const exit = await end("SIGTERM");
      number++;
      if (exit?.code !== 0) throw new Error(`a runtime ended with ${exit?.code}: ${exit?.stderr.slice(-2_000)}`);
    },
    notes(slug) {
      const lines = kept(`${slug}.calls`).split("\n").slice(0, -1);
      return lines.map((line) => JSON.parse(line) as Note);
    },
    kept,
    async dispose() {
      await end("SIGKILL");
      remove();
    },
  };
}
