import { expect, test } from "vitest";
import { parseJson } from "./input.ts";

test.each(["9007199254740993", "-9007199254740993", "9007199254740993.0", "1e300", "1E16", "90071992547409.93e3"])(
  "%s cannot be kept exactly",
  (number) => {
    const says = /^Here is not JSON: a number beyond 2\^53 cannot be kept exactly/;
    expect(() => parseJson("Here", number)).toThrow(says);
    expect(() => parseJson("Here", `{"a":[{"b":${number}}]}`)).toThrow(says);
  },
);

test.each(["9007199254740991", "-9007199254740991", "0.1234567890123456789", "1e3", '"9007199254740993"', '"4e5f"'])(
  "%s can",
  (json) => {
    expect(parseJson("Here", `{"a":[${json}]}`)).toEqual({ a: [JSON.parse(json)] });
  },
);
