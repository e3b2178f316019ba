import { describeSandbox, type SandboxFixture } from "@millrace/testing";
import { createOutbound } from "millrace";
import { describe, expect, test } from "vitest";
import { createSandbox } from "../dist/sandbox/sandbox.js";

async function createFixture(): Promise<SandboxFixture> {
  const outbound = createOutbound();
  const faults: Error[] = [];
  const secrets = { reveal: () => Promise.resolve(undefined), list: () => Promise.resolve([]) };
  const sandbox = createSandbox({ outbound, secrets: secrets as never, onFault: (error) => void faults.push(error) });
  return {
    sandbox,
    async crash() {
      const before = [...sandbox.pids];
      for (const pid of before) process.kill(pid, "SIGKILL");
      await expect.poll(() => sandbox.pids.filter((pid) => before.includes(pid))).toEqual([]);
    },
    async dispose() {
      await sandbox.close();
      await outbound.close();
    },
  };
}

describe("the sandbox over workerd", () => {
  const cases = describeSandbox(createFixture);

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(53);
  });
});
