/** What is started ends with whoever started it, also when that is killed before anything could be asked for. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const parent = fileURLToPath(new URL("start-and-wait.mjs", import.meta.url));

/** Processes with this among their arguments, and what waits for their end. */
function processesWith(mark: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark);
      } catch {
        return false;
      }
    });
}

test.runIf(process.platform === "linux").each([0, 1, 2, 4, 8, 16, 32, 64, 300])(
  "killed %i ms after the start, the parent leaves nothing behind",
  async (afterMs) => {
    const mark = `31536${String(Math.random()).slice(2, 8)}`;
    const starting = spawn(process.execPath, [parent, mark], { stdio: ["ignore", "pipe", "inherit"] });
    await once(starting.stdout, "data");
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    starting.kill("SIGKILL");
    await once(starting, "exit");
    await expect.poll(() => processesWith(mark), { timeout: 10_000 }).toEqual([]);
  },
);

test.runIf(process.platform === "linux")("what ends by itself leaves nothing behind either", async () => {
  const mark = `0.1${String(Math.random()).slice(2, 8)}`;
  const starting = spawn(process.execPath, [parent, mark], { stdio: ["ignore", "pipe", "inherit"] });
  const said: string[] = [];
  starting.stdout.on("data", (data) => said.push(String(data)));
  await expect.poll(() => said.join(""), { timeout: 10_000 }).toContain("closed 0");
  const [pid] = processesWith(mark);
  expect([pid, processesWith(mark).length]).toEqual([String(starting.pid), 1]);
  starting.kill("SIGKILL");
});
