import { createInProcessExpressions, describeExpressions } from "@millrace/testing";
import { describe, expect, test } from "vitest";

describe("expressions in process", () => {
  const cases = describeExpressions(createInProcessExpressions, { stops: false });

  test.each(cases)("$name", ({ run }) => run());

  test("no case was left out", () => {
    expect(cases.length).toBe(13);
  });
});
