/** The tree of `millrace streams`, as a table: streams and a width on the left, lines on the right. */
import { expect, test } from "vitest";
import { treeOf } from "./tree.ts";

const stream = (path: string, head: number, paused = false) => ({
  path,
  head,
  lastEventAt: "2026-11-21T04:28:34.282Z",
  paused,
});
const some = [stream("/me", 4), stream("/me/hello", 12), stream("/me/orders/1", 3, true)];

test.each([
  ["nothing", "/", [], undefined, []],
  [
    "nested, with a level that is no stream",
    "/me",
    some,
    undefined,
    [
      "/me         4  2026-11-21 04:28:34",
      "├─ hello   12  2026-11-21 04:28:34",
      "└─ orders",
      "   └─ 1     3  2026-11-21 04:28:34  paused",
    ],
  ],
  [
    "a narrow terminal: no times",
    "/me",
    some,
    30,
    ["/me         4", "├─ hello   12", "└─ orders", "   └─ 1     3  paused"],
  ],
  ["the root", "/", [stream("/a-b", 2), stream("/a/b", 2)], 20, ["/", "├─ a-b   2", "└─ a", "   └─ b  2"]],
])("%s", (_says, prefix, entries, columns, expected) => {
  expect(treeOf(prefix, entries, columns)).toEqual(expected);
});
