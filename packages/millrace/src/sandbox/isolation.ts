/** How a sandbox process is shut in, with what this machine offers. Looked at once. */
import { spawnSync } from "node:child_process";

export interface Isolation {
  /** What goes before the command. */
  wrap(command: readonly string[]): readonly string[];
  /** The user that it runs as, where that is another one. */
  user?: { uid: number; gid: number };
  /** For people: what holds. */
  description: string;
  /** What would hold more, and how to have it; empty when nothing is missing. */
  missing: readonly string[];
}

const nobody = 65_534;
/** Half a gigabyte is taken at the start, and 3 MB for each of 150 isolates: what is left is the code's. */
export const dataBytesMax: number = 2 * 1024 ** 3;

export function findIsolation(): Isolation {
  const isRoot = process.getuid?.() === 0;
  const hasPrlimit = works("prlimit", ["--core=0", "--", "true"]);
  const hasSetpriv = works("setpriv", ["--pdeathsig", "KILL", "true"]);
  const hasNoNetwork = isRoot && works("unshare", ["--net", "--ipc", "--", "true"]);
  const hasNobody =
    isRoot && works("setpriv", [`--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups", "--no-new-privs", "true"]);
  const parts: string[] = [];
  const words: string[] = [];
  if (hasNoNetwork) {
    words.push("unshare", "--net", "--ipc", "--");
    parts.push("no network");
  }
  if (hasNobody) {
    words.push("setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups", "--no-new-privs");
    // Another user forgets who its parent was, so this goes last.
    words.push("--bounding-set=-all", "--pdeathsig=KILL", "--");
    parts.push("user nobody");
  } else if (hasSetpriv) {
    words.push("setpriv", "--no-new-privs", "--pdeathsig=KILL", "--");
  }
  if (hasSetpriv) parts.push("ends with its server");
  if (hasPrlimit) {
    words.push("prlimit", `--data=${dataBytesMax}`, "--core=0", "--");
    parts.push("2 GiB of memory");
  }
  return {
    wrap: (command) => [...words, ...command],
    ...(hasNobody ? { user: { uid: nobody, gid: nobody } } : {}),
    description: parts.length === 0 ? "none" : parts.join(", "),
    missing: missingOf({ hasNoNetwork, hasNobody, hasSetpriv, hasPrlimit }),
  };
}

function missingOf(has: Record<"hasNoNetwork" | "hasNobody" | "hasSetpriv" | "hasPrlimit", boolean>): string[] {
  const missing: string[] = [];
  if (!has.hasNoNetwork) missing.push("a network namespace of its own (unshare, as root)");
  if (!has.hasNobody) missing.push("a user of its own (setpriv, as root)");
  if (!has.hasSetpriv) missing.push("an end with its server (setpriv)");
  if (!has.hasPrlimit) missing.push("a limit of memory (prlimit)");
  return missing;
}

function works(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore", timeout: 5_000 }).status === 0;
}
