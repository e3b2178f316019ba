/**
 * Disks that misbehave on demand: a small one that can be filled, grown and made read-only, and system calls that fail
 * or are written down. Both need rights and programs that not every machine gives; then there is a reason to skip.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export interface Disk {
  directory: string;
  grow(size: string): void;
  /** Only while nobody has a file open for writing. */
  remountReadOnly(): void;
  remove(): void;
}

export function createDisk(size: string): Disk {
  const directory = mkdtempSync(path.join(tmpdir(), "millrace-disk-"));
  const remount = (options: string) => execFileSync("mount", ["-o", `remount,${options}`, directory]);
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", directory], { stdio: "pipe" });
  return {
    directory,
    grow: (larger) => remount(`size=${larger}`),
    remountReadOnly: () => remount("ro"),
    remove() {
      execFileSync("umount", ["--lazy", directory]);
      rmSync(directory, { recursive: true });
    },
  };
}

export interface Tracer {
  /** Lets go of the process, which goes on as if nothing had been. Resolves with what was written down. */
  stop(): Promise<string[]>;
}

/**
 * Attaches to every thread of a running process.
 * @param calls names of system calls, such as "fdatasync,fsync"
 * @param inject what becomes of them, such as "error=EIO"; absent: they are only written down
 */
export async function trace(pid: number, calls: string, inject?: string): Promise<Tracer> {
  const directory = mkdtempSync(path.join(tmpdir(), "millrace-trace-"));
  const output = path.join(directory, "calls");
  const injection = inject === undefined ? [] : ["-e", `inject=${calls}:${inject}`];
  const args = ["-f", "-s", "40", "-o", output, "-e", `trace=${calls}`, ...injection, "-p", String(pid)];
  const child = spawn("strace", args, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(child, "close").then(() => {
    const lines = readFileSync(output, "utf8").split("\n");
    rmSync(directory, { recursive: true });
    return lines;
  });
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      if (/attached/.test(said)) resolve();
    });
    ended.then(() => reject(new Error(`strace ended: ${said}`)), reject);
  });
  return {
    stop() {
      child.kill("SIGINT");
      return ended;
    },
  };
}

/** Why tests with a disk of their own are left out here, or undefined when they can run. */
export const noDisks: string | undefined = reasonAgainst("a small disk cannot be mounted", () => {
  createDisk("1m").remove();
});

/** Why tests that look into system calls are left out here, or undefined when they can run. */
export const noTraces: string | undefined = reasonAgainst("strace cannot be used", () => {
  const { status, error, stderr } = spawnSync("strace", ["-o", "/dev/null", "-e", "trace=fdatasync", "true"]);
  if (status !== 0) throw error ?? new Error(String(stderr));
});

function reasonAgainst(what: string, attempt: () => void): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    const [firstLine] = String((error as Error).message).split("\n");
    const reason = `${what} (${firstLine})`;
    console.log(`left out: tests of storage faults, because ${reason}`);
    return reason;
  }
}
