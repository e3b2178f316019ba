/** What a sandbox process finds when it starts: its configuration and the socket by which it reaches the gate. */
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Isolation } from "./isolation.ts";
import { processFiles } from "./process-config.ts";
import type { WorkerModules } from "./worker-modules.ts";

export interface DirectoryNeeds {
  directory: string;
  /** Of this server: each process may have a user of its own. */
  number: number;
  isolation: Isolation;
  modules: WorkerModules;
  /** Of code that has the process for itself: what it may hold. */
  memoryMb?: number;
  /** Listens where everything leaves. Called before the process starts. */
  listen(socketPath: string): Promise<{ close(): Promise<void> }>;
}

export interface ProcessDirectory {
  /** Takes all of it away, as far as that can be. Never rejects: most of the time nobody waits for it. */
  clear(): Promise<void>;
}

export async function makeProcessDirectory(needs: DirectoryNeeds): Promise<ProcessDirectory> {
  const { directory } = needs;
  let gate: { close(): Promise<void> } | undefined;
  const clear = async () => {
    await gate?.close().catch(() => {});
    removeDirectory(directory);
  };
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries(processFiles(directory, needs.modules, needs.memoryMb)))
      writeFileSync(join(directory, name), text);
    gate = await needs.listen(join(directory, "egress.sock"));
    giveAway(needs);
    return { clear };
  } catch (error) {
    // It is tried again and again: on a machine that has no descriptors left, each would take one more.
    await clear();
    throw error;
  }
}

/** As far as that can be: to look into a directory takes a descriptor. What is left lies where others clear, too. */
export function removeDirectory(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch {
    // Nobody could do more about it.
  }
}

/** To the user that the process runs as, where that is another one. */
function giveAway({ directory, isolation, number }: DirectoryNeeds): void {
  const user = isolation.userOf?.(number);
  if (user !== undefined) {
    for (const name of ["", "config.capnp", "runner.js", "egress.sock"]) chownSync(join(directory, name), user, user);
  }
  chmodSync(join(directory, "egress.sock"), 0o600);
}
