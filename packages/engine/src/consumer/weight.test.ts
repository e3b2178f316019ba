/** What is weighed is never more than its weight says. */
import type { JsonValue } from "@millrace/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { bytesOfWeight, weightOf } from "./weight.ts";

const bytesOf = (value: JsonValue) => new TextEncoder().encode(JSON.stringify(value)).length;

test("no JSON has more bytes than its weight allows", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), (any) => {
      const value = any as JsonValue;
      expect(bytesOf(value)).toBeLessThanOrEqual(bytesOfWeight * weightOf(value));
    }),
  );
});

test.each<[what: string, value: JsonValue]>([
  ["control characters", "\u0001".repeat(1_000)],
  ["lone surrogates", "\ud800".repeat(1_000)],
  ["what takes three bytes", "\u30a2".repeat(1_000)],
  ["long numbers", Array.from({ length: 1_000 }, (_, i) => -Math.PI * 1e-300 * (i + 1))],
  ["short names", Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [i.toString(36), null]))],
  ["nothing, often", Array.from({ length: 1_000 }, () => ({}))],
  ["names of control characters", { ["\u0001".repeat(1_000)]: false }],
])("nor have %s", (_, value) => {
  expect(bytesOf(value)).toBeLessThanOrEqual(bytesOfWeight * weightOf(value));
});
