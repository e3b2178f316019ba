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
  /** Takes all of it away. */
  clear(): Promise<void>;
}

export async function makeProcessDirectory(needs: DirectoryNeeds): Promise<ProcessDirectory> {
  const { directory, isolation, modules, number, memoryMb } = needs;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(processFiles(directory, modules, memoryMb)))
    writeFileSync(join(directory, name), text);
  const gate = await needs.listen(join(directory, "egress.sock"));
  const user = isolation.userOf?.(number);
  if (user !== undefined) {
    for (const name of ["", "config.capnp", "runner.js", "egress.sock"]) chownSync(join(directory, name), user, user);
  }
  chmodSync(join(directory, "egress.sock"), 0o600);
  return {
    clear: () =>
      gate
        .close()
        .catch(() => {})
        .then(() => rmSync(directory, { recursive: true, force: true })),
  };
}
