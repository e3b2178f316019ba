import { expect, test } from "vitest";
import { changeText } from "./change.ts";

const long = "x".repeat(100);

test.each([
  [{ n: 1 }, { n: 1 }, undefined],
  [{ n: 1 }, { n: 2 }, "n 1 -> 2"],
  [{ n: 1 }, { n: 1, last: "a" }, 'last added "a"'],
  [{ n: 1, last: "a" }, { n: 1 }, "last removed"],
  [{ list: [1, 2] }, { list: [1, 2, { a: 3 }] }, 'list 2 -> 3 items, last {"a":3}'],
  [{ list: [1, 2] }, { list: [1, 3] }, "list [1,2] -> [1,3]"],
  [{ a: { b: { c: 1 }, d: 1 } }, { a: { b: { c: 2 }, d: 1 } }, "a {b {c 1 -> 2}}"],
  [{ a: { b: { c: { d: 1 } } } }, { a: { b: { c: { d: 2 } } } }, 'a {b {c {{"d":1} -> {"d":2}}}}'],
  [{ a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 }, {}, "a removed, b removed, c removed, d removed, and 2 more"],
  [{ text: "" }, { text: long }, `text "" -> "${"x".repeat(56)}...`],
  [0, 1, "0 -> 1"],
  [null, { n: 1 }, 'null -> {"n":1}'],
  [[1], [1, 2], "[1] -> [1,2]"],
])("from %j to %j: %s", (before, after, text) => {
  expect(changeText(before, after)).toBe(text);
});
