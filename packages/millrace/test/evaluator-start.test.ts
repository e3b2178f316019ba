/** A process that evaluates ends with its server, also when the server dies before it has come up itself. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("../dist/expressions/evaluator.js", import.meta.url));

test("the channel is gone before the program has begun", { timeout: 20_000 }, async () => {
  const settings = { timeoutMs: 100, resultBytesMax: 1_024, parentId: process.pid };
  const child = fork(program, [JSON.stringify(settings)], {
    stdio: ["ignore", "ignore", "ignore", "ipc", "pipe"],
    execArgv: [],
  });
  child.disconnect();
  const giveUp = setTimeout(() => child.kill("SIGKILL"), 10_000);
  expect(await once(child, "exit")).toEqual([0, null]);
  clearTimeout(giveUp);
});
