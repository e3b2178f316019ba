import { createInProcessSandbox, describeSandbox } from "@millrace/testing";
import { describe, expect, test } from "vitest";

describe("the sandbox in process", () => {
  const cases = describeSandbox(async () => {
    const sandbox = createInProcessSandbox();
    return { sandbox, crash: async () => sandbox.crash(), dispose: () => sandbox.close() };
  });

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(53);
  });
});
