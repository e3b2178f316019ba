/** What a person sees of subscriptions and transformers in each state that they can be in. */
import { expect, test } from "vitest";
import type { Subscription } from "./consumer-list.ts";
import { shellWord, subscriptionLines, transformerLines } from "./consumer-table.ts";

const webhook = (slug: string, rest: Partial<Subscription> = {}): Subscription => ({
  path: "/me/it's",
  slug,
  offset: 2,
  configuration: { slug, type: "webhook", callbackUrl: "https://example.com/h" },
  parked: [],
  ...rest,
});
const parked = (...offsets: number[]) => offsets.map((offset) => ({ offset, message: "refused" }));

test("subscriptions: running, retrying, halted, and what this server does not run", () => {
  const halted = { offset: 18, message: "https://example.com answered 500.\nTwice.", at: 40 };
  const subscriptions = [
    webhook("audit", { consumer: { kind: "subscription", cursor: 17, lag: 23, halted, lastError: "x" } }),
    webhook("late", {
      consumer: {
        kind: "subscription",
        cursor: 39,
        lag: 1,
        lastError: "no answer",
        nextAttemptAt: "2026-11-21T10:00:00.123Z",
      },
      parked: parked(7, 12),
    }),
    webhook("out", {
      configuration: { slug: "out", type: "stream", path: "/b" },
      consumer: { kind: "subscription", cursor: 40, lag: 0 },
    }),
    webhook("unknown", { parked: parked(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11) }),
  ];
  expect(`${subscriptionLines(subscriptions).join("\n")}\n`).toBe(`\
SLUG     KIND     TO                     CURSOR  LAG  STATUS        NEXT ATTEMPT         PARKED                                  LAST ERROR
audit    webhook  https://example.com/h      17   23  halted at 18  -                    -                                       https://example.com answered 500.\\nTwice.
late     webhook  https://example.com/h      39    1  retrying      2026-11-21 10:00:00  2: 7, 12                                no answer
out      stream   /b                         40    0  running       -                    -                                       -
unknown  webhook  https://example.com/h  -       -    not running   -                    11: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...  -
"audit" is halted at 18. To go on: millrace resume '/me/it'\\''s' --slug audit
`);
});

test("transformers: long expressions are cut, those of a paused stream wait", () => {
  const configuration = { slug: "ask", matcher: `type = '${"x".repeat(50)}'`, transform: "{\n  'type': 'a'\n}" };
  const consumer = { kind: "transformer", cursor: 4, lag: 2 };
  const lines = transformerLines([{ path: "/a", slug: "ask", offset: 2, configuration, consumer }], true);
  expect(`${lines.join("\n")}\n`).toBe(`\
SLUG  MATCHER                                   TRANSFORM        CURSOR  LAG  STATUS  NEXT ATTEMPT  LAST ERROR
ask   type = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…  { 'type': 'a' }       4    2  paused  -             -
`);
});

test("a slug that would steer the terminal does not, in the table or below it", () => {
  const halted = { offset: 1, message: "\u001b[31m", at: 2 };
  const lines = subscriptionLines([
    webhook("\u001b[2J", { consumer: { kind: "subscription", cursor: 0, lag: 1, halted } }),
  ]);
  expect(lines.join("\n")).not.toContain("\u001b");
  expect(lines.at(-1)).toContain("\\u001b[2J");
});

test.each([
  ["audit", "audit"],
  ["/me/a-b.c@x=1", "/me/a-b.c@x=1"],
  ["two words", "'two words'"],
  ["it's", "'it'\\''s'"],
  ["~", "'~'"],
  ["$(x)", "'$(x)'"],
])("%j for a shell is %s", (word, quoted) => {
  expect(shellWord(word)).toBe(quoted);
});
