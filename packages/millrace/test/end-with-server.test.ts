/** What is started ends with whoever started it, also when that is killed before anything could be asked for. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { spawnWithServer } from "../dist/sandbox/end-with-server.js";
import { findIsolation } from "../dist/sandbox/isolation.js";

const parent = fileURLToPath(new URL("start-and-wait.mjs", import.meta.url));

const isLinux = process.platform === "linux";

/** Processes with this among their arguments, or at their beginning, and what waits for their end. */
function processesWith(mark: string, how: "has" | "starts" = "has"): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
        return how === "has" ? line.includes(mark) : line.startsWith(mark);
      } catch {
        return false;
      }
    });
}

function endAll(mark: string): void {
  for (const pid of processesWith(mark)) process.kill(Number(pid), "SIGKILL");
}

test.runIf(isLinux).each([0, 1, 2, 4, 8, 16, 32, 64, 300])(
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

test.runIf(isLinux)("what ends by itself leaves nothing behind either", async () => {
  const mark = `0.1${String(Math.random()).slice(2, 8)}`;
  const starting = spawn(process.execPath, [parent, mark], { stdio: ["ignore", "pipe", "inherit"] });
  const said: string[] = [];
  starting.stdout.on("data", (data) => said.push(String(data)));
  await expect.poll(() => said.join(""), { timeout: 10_000 }).toContain("closed 0");
  const [pid] = processesWith(mark);
  expect([pid, processesWith(mark).length]).toEqual([String(starting.pid), 1]);
  starting.kill("SIGKILL");
});

test.runIf(isLinux)("shut in and killed while it boots, it leaves nothing behind", { timeout: 60_000 }, async () => {
  const mark = `31536${String(Math.random()).slice(2, 8)}`;
  onTestFinished(() => endAll(mark));
  const isolation = await findIsolation("/bin/sleep");
  for (let number = 0; number < 60; number++) {
    const command = isolation.wrap(["/bin/sleep", mark], { directory: "/tmp", number });
    const child = spawnWithServer(command, { env: {}, cwd: "/" });
    const closed = once(child, "close");
    await new Promise((resolve) => setTimeout(resolve, number));
    child.kill("SIGKILL");
    await closed;
  }
  await expect.poll(() => processesWith(mark), { timeout: 10_000 }).toEqual([]);
});

test.runIf(isLinux)("its end is heard though somebody else holds its pipes open", async () => {
  const mark = `31536${String(Math.random()).slice(2, 8)}`;
  // It stays until the other has a session of its own: what belongs to it ends with it.
  const go = path.join(mkdtempSync(path.join(tmpdir(), "millrace-test-")), "go");
  const command = `setsid /bin/sleep ${mark} & until [ -e ${go} ]; do /bin/sleep 0.02; done; exit 0`;
  const child = spawnWithServer(["/bin/sh", "-c", command], { env: {}, cwd: "/" });
  onTestFinished(() => {
    endAll(mark);
    rmSync(path.dirname(go), { recursive: true });
  });
  child.stderr?.resume();
  await expect.poll(() => processesWith(`/bin/sleep\0${mark}`, "starts"), { timeout: 10_000 }).toHaveLength(1);
  writeFileSync(go, "");
  const [code] = await once(child, "close", { signal: AbortSignal.timeout(10_000) });
  expect(code).toBe(0);
  expect(processesWith(mark)).toHaveLength(1);
});
