/** What people read must also be YAML that loses nothing and steers no terminal, whatever was in the event. */
import fc from "fast-check";
import { load, YAML11_SCHEMA } from "js-yaml";
import { describe, expect, test } from "vitest";
import { toYaml } from "./yaml.ts";

test("an event", () => {
  const event = {
    streamPath: "/me/x",
    offset: 2,
    type: "https://events.iterate.com/events/stream/paused",
    payload: { text: "two\nlines", list: [1, { a: null, b: [true, "c"] }, [[], {}]], empty: "", word: "no news" },
    createdAt: "2026-11-21T11:38:44.715Z",
  };
  expect(toYaml(event, false)).toBe(`streamPath: /me/x
offset: 2
type: https://events.iterate.com/events/stream/paused
payload:
  text: |-
    two
    lines
  list:
    - 1
    - a: null
      b:
        - true
        - c
    - - []
      - {}
  empty: ''
  word: no news
createdAt: '2026-11-21T11:38:44.715Z'
`);
});

describe("text", () => {
  test.each([
    ["plain words", "text: plain words\n"],
    ["größer, 東京 🎉", "text: größer, 東京 🎉\n"],
    ["true", "text: 'true'\n"],
    ["No", "text: 'No'\n"],
    ["12", "text: '12'\n"],
    ["a: b", "text: 'a: b'\n"],
    ['say "it\'s": now', "text: 'say \"it''s\": now'\n"],
    ["word ".repeat(100), `text: '${"word ".repeat(100)}'\n`],
    ["one\n\n  two", "text: |-\n  one\n\n    two\n"],
    ["one\n", "text: |\n  one\n"],
    [" one\ntwo", "text: |2-\n   one\n  two\n"],
    ["\u001b[31m\u009b\u007f\0\r", 'text: "\\e[31m\\x9B\\x7F\\0\\r"\n'],
  ])("%j", (text, expected) => {
    expect(toYaml({ text }, false)).toBe(expected);
    expect(load(expected)).toEqual({ text });
  });
});

test("only the keys and the type at the margin are coloured", () => {
  const colours = toYaml({ type: "a", payload: { type: "b", text: "type: c\ntype: d" } }, true);
  expect(colours).toBe(
    "\x1b[36mtype\x1b[0m: \x1b[1;32ma\x1b[0m\n\x1b[36mpayload\x1b[0m:\n  type: b\n  text: |-\n    type: c\n    type: d\n",
  );
});

const snippet = fc.constantFrom(
  ..."\n\r\t :#-?'\"\\[]{},&*!|>%@`~=<+.0x1eéy\u0085\u2028\u00a0\ufeff\u001b\u009b\u007f",
);
const text = fc.oneof(fc.string({ unit: snippet }), fc.string({ unit: "binary" }), fc.constant("k".repeat(2_000)));
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 5 }, text, fc.double(), fc.boolean(), fc.constant(null), tie("list"), tie("object")),
  list: fc.array(tie("value"), { maxLength: 4 }),
  object: fc.dictionary(text, tie("value"), { maxKeys: 4 }),
}));
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
const control = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/;

test("whatever JSON there is, it is read back, by the rules of YAML 1.2 and 1.1, and has no control characters", () => {
  fc.assert(
    fc.property(json, (any) => {
      const value = JSON.parse(JSON.stringify(any)) as unknown;
      const written = toYaml(value, false);
      expect(load(written)).toEqual(value);
      expect(load(written, { schema: YAML11_SCHEMA })).toEqual(value);
      expect(written).not.toMatch(control);
    }),
    { numRuns: 2_000 },
  );
});
