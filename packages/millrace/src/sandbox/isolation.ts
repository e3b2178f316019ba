/**
 * How a sandbox process is shut in, with what this machine offers: walls around the one that the runtime itself is.
 * Looked at once, by trying, while the server does other things: most servers never run deployed code.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { limiting, type ProcessLimits, shell } from "./end-with-server.ts";

export interface Isolation {
  /** The command with all that goes before it. */
  wrap(command: readonly string[], process: { directory: string; number: number }): readonly string[];
  /** The user that each process runs as, where that is another one; its group has the same number. */
  userOf?(number: number): number;
  /** Set by whoever starts it, where that can be. */
  limits?: ProcessLimits;
  /** For people: what holds. */
  description: string;
  /** What would hold more, and how to have it; empty when nothing is missing. */
  missing: readonly string[];
}

/** Users that no package and no person has, as systemd gives them to services: each process is strange to the others. */
const firstUser = 61_184;
const users = 4_336;
/** Half a gigabyte is taken at the start, and 3 MB for each of 150 isolates: what is left is the code's. */
export const dataBytesMax: number = 2 * 1024 ** 3;
const limits: ProcessLimits = { dataBytesMax };
/** For a command that only says whether it works: a wall must not be left out because the machine is busy. */
const tryMs = 15_000;
/** Nothing else of /dev: no memory that is shared, no terminals. */
const devices = ["/dev/null", "/dev/urandom"];
const libraries = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

interface Offers {
  limits: boolean;
  setpriv: boolean;
  users: boolean;
  noNetwork: boolean;
  bwrap: boolean;
}

/**
 * Rejects where it cannot be told now, such as without descriptors: what runs behind no walls then would do so for ever.
 * @param binary what is to run, which another user may not be able to reach
 */
export async function findIsolation(
  binary: string = process.execPath,
  tools: { bwrap?: boolean } = {},
): Promise<Isolation> {
  const isRoot = process.getuid?.() === 0;
  const users = isRoot ? works([...asUser(firstUser), "test", "-x", binary]) : no;
  const [canLimit, setpriv, noNetwork, offersUsers, bwrap] = await Promise.all([
    process.platform === "linux" ? works([shell, "-c", limiting(limits)]) : no,
    works(["setpriv", "--pdeathsig", "KILL", "true"]),
    isRoot ? works(["unshare", "--net", "--ipc", "--", "true"]) : no,
    users,
    tools.bwrap === false ? no : users.then((asThem) => works(inBubble(binary, asThem))),
  ]);
  const offers: Offers = { limits: canLimit, setpriv, noNetwork, users: offersUsers, bwrap };
  return {
    wrap: (command, { directory, number }) => [
      ...wrapping(offers, command[0] as string, directory, number),
      ...command,
    ],
    ...(offers.users ? { userOf } : {}),
    ...(offers.limits ? { limits } : {}),
    description: descriptionOf(offers),
    missing: missingOf(offers, isRoot),
  };
}

const no = Promise.resolve(false);

function inBubble(binary: string, asAnotherUser: boolean): string[] {
  return [...(asAnotherUser ? asUser(firstUser) : []), ...bubble([binary]), "--", binary, "--version"];
}

function userOf(number: number): number {
  return firstUser + (number % users);
}

function wrapping(offers: Offers, binary: string, directory: string, number: number): string[] {
  const user = offers.users ? asUser(userOf(number)) : [];
  if (offers.bwrap) return [...user, ...bubble([binary]), "--bind", directory, directory, "--"];
  const network = offers.noNetwork ? ["unshare", "--net", "--ipc", "--"] : [];
  // Another user forgets who its parent was, so that is said last.
  const end = offers.setpriv ? ["setpriv", "--no-new-privs", "--pdeathsig=KILL", "--"] : [];
  return [...network, ...user, ...end];
}

function asUser(user: number): string[] {
  return ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--no-new-privs", "--bounding-set=-all"];
}

/**
 * No network, no files but these, no processes but its own, and it ends with whoever started it. For that it stays in
 * the group of the process, which is killed as a whole: `--die-with-parent` alone is asked for late, and who is killed
 * before leaves all that is inside behind. A session of its own it has already (end-with-server.ts).
 */
function bubble(readable: readonly string[]): string[] {
  const shown = [...libraries.filter((name) => existsSync(name)), ...readable];
  return [
    ...["bwrap", "--unshare-all", "--die-with-parent", "--clearenv", "--cap-drop", "ALL"],
    ...shown.flatMap((name) => ["--ro-bind", name, name]),
    ...["--proc", "/proc"],
    ...devices.flatMap((name) => ["--dev-bind", name, name]),
  ];
}

function descriptionOf({ limits, setpriv, users, noNetwork, bwrap }: Offers): string {
  const parts = [
    ...(bwrap ? ["no files and processes but its own (bwrap)"] : []),
    ...(bwrap || noNetwork ? ["no network"] : []),
    ...(users ? ["a user of its own"] : []),
    ...(bwrap || setpriv ? ["ends with its server"] : []),
    ...(limits ? ["2 GiB of memory"] : []),
  ];
  return parts.length === 0 ? "a process of its own, and nothing more" : parts.join(", ");
}

function missingOf({ limits, setpriv, users, noNetwork, bwrap }: Offers, isRoot: boolean): string[] {
  const missing: string[] = [];
  if (!bwrap) missing.push("a view without files and processes (install bubblewrap, and allow user namespaces)");
  if (!bwrap && !noNetwork) missing.push("a network namespace (bubblewrap, or unshare as root)");
  if (!users && isRoot) missing.push("a user of its own (setpriv, and a runtime that other users can read)");
  if (!bwrap && !setpriv) missing.push("an end with its server (setpriv, of util-linux)");
  if (!limits) missing.push("a limit of memory (Linux, and a shell that can set it)");
  return missing;
}

function works([command = "", ...args]: readonly string[]): Promise<boolean> {
  return new Promise<boolean>((resolve, reject) => {
    const child = spawn(command, args, { stdio: "ignore" });
    // One of spawn's own would go on where nothing was started, and hold up the end of whoever asks.
    const late = setTimeout(() => child.kill("SIGKILL"), tryMs);
    child.once("error", (error) => {
      clearTimeout(late);
      if (isShortage(error)) reject(error);
      else resolve(false);
    });
    child.once("exit", (code) => {
      clearTimeout(late);
      resolve(code === 0);
    });
  });
}

/** Of descriptors, processes or memory: it says nothing of what is there. */
function isShortage({ code = "" }: NodeJS.ErrnoException): boolean {
  return ["EMFILE", "ENFILE", "EAGAIN", "ENOMEM"].includes(code);
}
