/** One process that evaluates, seen from the server: started, given batches, and heard out when it ends. */
import { type ChildProcess, fork } from "node:child_process";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import {
  type Answer,
  type FromProcess,
  type Item,
  type ProcessSettings,
  toSent,
  verdictDescriptor,
} from "./messages.ts";

export interface EvaluatorProcess {
  evaluate(items: readonly Item[]): void;
  /** While a process is idle, it does not keep a program that is done from ending. */
  hold(held: boolean): void;
  kill(): void;
}

export interface ProcessEnd {
  /** The place in its batch of the item for which its own watchdog ended it. */
  stopped?: number;
  /** The heap was full: V8 ends the whole process then, and nobody can say for which item. */
  outOfMemory: boolean;
  /** Such as "ended by SIGKILL", for people. */
  how: string;
}

export interface ProcessEvents {
  ready(): void;
  answers(answers: readonly Answer[]): void;
  /** Once, and last. All that the process said was heard before. */
  end(end: ProcessEnd): void;
}

const program = fileURLToPath(new URL("./evaluator.js", import.meta.url));
/** V8 gives up with an abort or a trap, depending on its build. */
const fatalSignals: readonly unknown[] = ["SIGABRT", "SIGTRAP", "SIGILL"];

export function startProcess(
  { memoryMb, ...settings }: Omit<ProcessSettings, "parentId"> & { memoryMb: number },
  events: ProcessEvents,
): EvaluatorProcess {
  const argument: ProcessSettings = { ...settings, parentId: process.pid };
  const child = fork(program, [JSON.stringify(argument)], {
    // Nothing of the server's: no secret in its environment, no flag, no open file, no directory.
    env: {},
    cwd: "/",
    execArgv: [`--max-old-space-size=${memoryMb}`, "--disallow-code-generation-from-strings"],
    stdio: ["ignore", "ignore", "ignore", "ipc", "pipe"],
  });
  listen(child, events);

  return {
    // Its end is heard anyway; without a callback a channel that has just closed is an uncaught exception.
    evaluate: (items) => void child.send(toSent(items), () => {}),
    hold(held) {
      const how = held ? "ref" : "unref";
      child[how]();
      child.channel?.[how]();
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

function listen(child: ChildProcess, { ready, answers, end }: ProcessEvents): void {
  let stopped = "";
  let ended = false;
  const endOnce = (how: string, outOfMemory: boolean) => {
    if (ended) return;
    ended = true;
    end({ how, outOfMemory, ...(stopped === "" ? {} : { stopped: Number(stopped) }) });
  };
  // Where no file can be opened any more there are no pipes either, whatever the types say; "error" follows.
  const verdict = child.stdio?.[verdictDescriptor] as (Readable & { unref(): void }) | undefined;
  verdict?.unref();
  verdict?.setEncoding("utf8").on("data", (text: string) => {
    stopped += text;
  });
  verdict?.on("error", () => {});
  child.on("message", (message: FromProcess) => (message === "ready" ? ready() : answers(message)));
  child.on("error", (error) => endOnce(error.message, false));
  child.on("close", (code, signal) => {
    endOnce(signal === null ? `ended with code ${code}` : `ended by ${signal}`, isFatal(code, signal));
  });
}

function isFatal(code: number | null, signal: NodeJS.Signals | null): boolean {
  return fatalSignals.includes(signal) || code === 134;
}
