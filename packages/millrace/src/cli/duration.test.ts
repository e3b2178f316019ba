import { expect, test } from "vitest";
import { parseSeconds, writeSeconds } from "./duration.ts";

test.each<[text: string, seconds: number, written: string]>([
  ["30s", 30, "30s"],
  ["5m", 300, "5m"],
  ["2h", 7_200, "2h"],
  ["1d", 86_400, "1d"],
  ["50ms", 0.05, "50ms"],
  ["1.5h", 5_400, "90m"],
  ["1h30m", 5_400, "90m"],
  ["90s", 90, "90s"],
  ["1.1m", 66, "66s"],
  ["0s", 0, "0s"],
  ["36525d", 3_155_760_000, "36525d"],
])("%s", (text, seconds, written) => {
  expect(parseSeconds("in", text)).toBe(seconds);
  expect(writeSeconds(seconds)).toBe(written);
});

test.each(["", "5", "5 m", "-5m", "5w", "m", "1.m", "5m ", "1e3s", "5M", "30s!"])("%j is none", (text) => {
  expect(() => parseSeconds("in", text)).toThrow(`--in is a duration such as 30s, 5m, 2h or 1d; got "${text}".`);
});
