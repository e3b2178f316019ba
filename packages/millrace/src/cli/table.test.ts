import { expect, test } from "vitest";
import { tableOf, timeCell } from "./table.ts";

test("columns as wide as their widest cell, numbers on the right, no blanks at the end", () => {
  expect(
    tableOf([
      ["SLUG", "TICKS", "LAST"],
      ["a", 7, "now"],
      ["longer", 100_000, ""],
    ]),
  ).toEqual(["SLUG    TICKS   LAST", "a            7  now", "longer  100000"]);
});

test("a cell is one line, and steers no terminal", () => {
  expect(tableOf([["a\nb\tc\u001b[31m"]])).toEqual(["a\\nb\\tc\\u001b[31m"]);
});

test("a time", () => {
  expect(timeCell("2026-11-21T04:28:34.282Z")).toBe("2026-11-21 04:28:34");
});
