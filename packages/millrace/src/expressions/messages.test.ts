import { expect, test } from "vitest";
import { fromSent, type Item, toSent } from "./messages.ts";

const matcher = "type = 'a'";

test("an input that many ask about in a row is sent once", () => {
  const input = JSON.stringify({ type: "a", payload: "x".repeat(1_000) });
  const sent = toSent(Array.from({ length: 64 }, () => ({ matcher, input })));
  expect(JSON.stringify(sent).split("xxx").length - 1).toBe(
    JSON.stringify([{ matcher, input }]).split("xxx").length - 1,
  );
});

test.each<[string, string[]]>([
  ["none", []],
  ["one", ["1"]],
  ["the same", ["1", "1", "1"]],
  ["others in between", ["1", "2", "2", "1", "1", "3"]],
  ["an empty one first", ["", "", "1", ""]],
])("what was sent is what arrives: %s", (_, inputs) => {
  const items: Item[] = inputs.map((input, n) => ({ ...(n % 2 === 0 ? { matcher } : { transform: `${n}` }), input }));
  const arrived = fromSent(JSON.parse(JSON.stringify(toSent(items))));
  expect(arrived).toEqual(items);
});
