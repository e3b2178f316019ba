/** A line as a reader types it into a shell, against a server. */
import { spawn, spawnSync } from "node:child_process";

const patienceMs = 20_000;
const needed = ["curl", "jq"];

const missing = needed.filter((program) => spawnSync(program, ["--version"]).status !== 0);

/** False, and said, when the programs that the documents use are not here. */
export function canType(tests: string): boolean {
  if (missing.length > 0) console.warn(`not installed: ${missing.join(", ")} (left out: ${tests})`);
  return missing.length === 0;
}

/**
 * Runs a line in a shell. One that follows a stream is ended, as by Ctrl-C, when it has printed enough; that is an end
 * in good order.
 */
export function type(
  line: string,
  base: string,
  enough: (output: string) => boolean,
): Promise<{ output: string; code: number | null }> {
  const isLive = line.includes("live=true");
  // To a terminal jq writes each event at once; to a test it would wait for more.
  const typed = isLive ? line.replace("jq ", "jq --unbuffered ") : line;
  const shell = spawn("sh", ["-c", typed], { env: { ...process.env, BASE: base }, detached: true });
  let output = "";
  let ended = false;
  return new Promise((resolve, reject) => {
    const end = () => {
      if (shell.exitCode === null && !ended) process.kill(-(shell.pid as number), "SIGTERM");
      ended = true;
    };
    const timer = setTimeout(end, patienceMs);
    shell.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      if (isLive && enough(output)) end();
    });
    shell.on("error", reject);
    shell.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ output, code: isLive && signal === "SIGTERM" ? 0 : code });
    });
  });
}
