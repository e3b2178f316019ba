import { createMemoryDirectory } from "@millrace/engine";
import { describeLog } from "@millrace/testing";
import { describe, expect, test } from "vitest";

describe("the log in memory", () => {
  const cases = describeLog(
    async () => {
      const directory = createMemoryDirectory();
      return { directory, dispose: () => directory.close() };
    },
    { persistent: false },
  );

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(62);
  });
});
