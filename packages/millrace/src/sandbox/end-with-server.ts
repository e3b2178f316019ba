/**
 * A process that ends with its server, however that ends. The system can be asked to kill a child with its parent
 * (PR_SET_PDEATHSIG), but a parent that is killed before the child has asked leaves it behind. So beside it stands a
 * shell that reads from a pipe of which the server holds the other end: at its end it kills the whole group.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";

export const shell = "/bin/sh";
/** Of the pipe, in the child. */
const lifeline = 4;
/**
 * Whoever waits is nobody's child, so that the process has those alone that it started itself; and it holds nothing
 * open that is read until its end.
 */
const waiting = `( ( exec 1>&- 2>&- 3>&-; read -r _ <&${lifeline}; kill -s KILL -- -$$ ) & ); exec "$@" ${lifeline}<&-`;

export interface ProcessLimits {
  /** What RLIMIT_DATA counts. */
  dataBytesMax: number;
}

export interface StartOptions extends Pick<SpawnOptions, "cwd" | "env"> {
  limits?: ProcessLimits;
}

/** For a shell, which ends where it may not set them. Nothing is left of a process that crashes. */
export function limiting({ dataBytesMax }: ProcessLimits): string {
  return `ulimit -c 0 && ulimit -d ${Math.floor(dataBytesMax / 1_024)} || exit 1;`;
}

/** For what it wrote before its end to arrive. */
const lastWordsMs = 1_000;

/**
 * As `spawn`, with stderr as a pipe and one more from descriptor 3. Group and session of the process are its own; what it
 * starts has to stay in that group, or it would be left behind. Its end is told ("close") also where somebody else holds
 * its pipes open.
 */
export function spawnWithServer(command: readonly string[], { limits, ...options }: StartOptions): ChildProcess {
  const hasShell = existsSync(shell);
  const script = limits === undefined ? waiting : `${limiting(limits)} ${waiting}`;
  const [program = "", ...args] = hasShell ? [shell, "-c", script, "sh", ...command] : command;
  const stdio: SpawnOptions["stdio"] = ["ignore", "ignore", "pipe", "pipe", "pipe"];
  const child = spawn(program, args, { ...options, stdio, detached: process.platform !== "win32" });
  // Where no file can be opened any more there are no pipes either, whatever the types say; "error" follows.
  const end = child.stdio?.[lifeline];
  end?.on("error", () => {});
  child.once("exit", () => {
    end?.destroy();
    const late = setTimeout(() => child.stdio.forEach((pipe) => void pipe?.destroy()), lastWordsMs);
    child.once("close", () => clearTimeout(late));
  });
  return child;
}
