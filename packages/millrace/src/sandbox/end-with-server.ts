/**
 * A process that ends with its server, however that ends. The system can be asked to kill a child with its parent
 * (PR_SET_PDEATHSIG), but a parent that is killed before the child has asked leaves it behind. So beside it stands a
 * shell that reads from a pipe of which the server holds the other end: at its end it kills the whole group.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";

const shell = "/bin/sh";
/** Of the pipe, in the child. */
const lifeline = 4;
/**
 * Whoever waits is nobody's child, so that the process has those alone that it started itself; and it holds nothing
 * open that is read until its end.
 */
const script = `( ( exec 1>&- 2>&- 3>&-; read -r _ <&${lifeline}; kill -s KILL -- -$$ ) & ); exec "$@" ${lifeline}<&-`;

/** As `spawn`, with stderr as a pipe and one more from descriptor 3. The group of the process is its own. */
export function spawnWithServer(command: readonly string[], options: Pick<SpawnOptions, "cwd" | "env">): ChildProcess {
  const hasShell = existsSync(shell);
  const [program = "", ...args] = hasShell ? [shell, "-c", script, "sh", ...command] : command;
  const stdio: SpawnOptions["stdio"] = ["ignore", "ignore", "pipe", "pipe", "pipe"];
  const child = spawn(program, args, { ...options, stdio, detached: hasShell });
  const end = child.stdio[lifeline];
  end?.on("error", () => {});
  child.once("exit", () => end?.destroy());
  return child;
}
