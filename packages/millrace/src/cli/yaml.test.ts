/** What people read must also be YAML: a library reads it back, whatever was in the event. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { toYaml } from "./yaml.ts";

const event = {
  streamPath: "/me/x",
  offset: 2,
  type: "https://events.iterate.com/events/stream/paused",
  payload: { text: "two\nlines", list: [1, { a: null, b: [true, "c"] }, [[], {}]], empty: "", word: "no news" },
  createdAt: "2026-11-21T11:38:44.715Z",
};

test("an event looks as the library would write it", () => {
  expect(toYaml(event, false)).toBe(stringify(event, { lineWidth: 0 }));
});

describe("text", () => {
  test.each([
    ["plain words", "text: plain words\n"],
    ["größer, 東京", "text: größer, 東京\n"],
    ["true", 'text: "true"\n'],
    ["No", 'text: "No"\n'],
    ["12", 'text: "12"\n'],
    ["1e3", 'text: "1e3"\n'],
    ["- a", 'text: "- a"\n'],
    ["a: b", 'text: "a: b"\n'],
    ["a #b", 'text: "a #b"\n'],
    ["a:", 'text: "a:"\n'],
    ["a ", 'text: "a "\n'],
    ['say "it\'s": now', "text: 'say \"it''s\": now'\n"],
    ["one\n\n  two", "text: |-\n  one\n\n    two\n"],
    ["one\n", "text: |\n  one\n"],
    ["one\n\n", 'text: "one\\n\\n"\n'],
    [" one\ntwo", 'text: " one\\ntwo"\n'],
    ["\u001b[31m\u009b", 'text: "\\u001b[31m\\u009b"\n'],
  ])("%j", (text, expected) => {
    expect(toYaml({ text }, false)).toBe(expected);
    expect(parse(expected)).toEqual({ text });
  });
});

test("only the keys and the type at the margin are coloured", () => {
  const colours = toYaml({ type: "a", payload: { type: "b" } }, true);
  expect(colours).toBe("\x1b[36mtype\x1b[0m: \x1b[1;32ma\x1b[0m\n\x1b[36mpayload\x1b[0m:\n  type: b\n");
});

const snippet = fc.constantFrom(..."\n\r\t :#-?'\"\\[]{},&*!|>%@`~=<+.0x1eéy\u0085\u2028\u00a0\ufeff\u001b");
const text = fc.oneof(fc.string({ unit: snippet }), fc.string({ unit: "binary" }), fc.constant("k".repeat(2_000)));
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, text, fc.double(), fc.boolean(), fc.constant(null), tie("list"), tie("object")),
  list: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.dictionary(text, tie("value"), { maxKeys: 4 }),
}));

test("whatever JSON there is, it is read back by the library", () => {
  fc.assert(
    fc.property(json, (any) => {
      const value = JSON.parse(JSON.stringify(any)) as unknown;
      expect(parse(toYaml(value, false))).toEqual(value);
      expect(parse(toYaml(value, false), { version: "1.1" })).toEqual(value);
    }),
    { numRuns: 2_000 },
  );
});
