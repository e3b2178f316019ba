import { describe, expect, test } from "vitest";
import { isJsonObject, jsonFault, sortedJson } from "./json.ts";

/** `levels` arrays around nothing. */
const nested = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));
const nestedObjects = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);

describe("jsonFault", () => {
  test.each([
    ["null"],
    ["true"],
    ['"text"'],
    ["0"],
    ["-0.5"],
    ["1e-300"],
    ["9007199254740991"],
    ["-9007199254740991"],
    ["[]"],
    ["{}"],
    ['{"a":[1,"b",{"c":null}]}'],
    ['{"__proto__":{"a":1}}'],
  ])("%s can be kept", (text) => {
    expect(jsonFault(JSON.parse(text), 64, "payload")).toBeUndefined();
  });

  test.each([
    ["9007199254740992", "payload: a number beyond 2^53"],
    ["-9007199254740993", "payload: a number beyond 2^53"],
    ["1e300", "payload: a number beyond 2^53"],
    ["1e400", "payload: a number beyond 2^53"],
    ['{"a":["x",{"b":12345678901234567890}]}', "payload: a number beyond 2^53"],
    ['{"__proto__":{"a":1e99}}', "payload: a number beyond 2^53"],
  ])("%s cannot", (text, fault) => {
    expect(jsonFault(JSON.parse(text), 64, "payload")).toContain(fault);
  });

  test.each([
    [nested(3), 3, undefined],
    [nested(4), 3, "payload: nested deeper than the limit"],
    [nestedObjects(3), 3, undefined],
    [nestedObjects(4), 3, "payload: nested deeper than the limit"],
    ["text", 0, undefined],
    [[], 0, "payload: nested deeper than the limit"],
    [nested(5_000), 64, "payload: nested deeper than the limit"],
  ])("counts levels: %#", (value, depthMax, fault) => {
    expect(jsonFault(value, depthMax, "payload")).toBe(fault);
  });
});

describe("sortedJson", () => {
  test.each([
    ['{"b":1,"a":2}', '{"a":2,"b":1}'],
    ['{"b":{"d":1,"c":[{"f":1,"e":2}]},"a":null}', '{"a":null,"b":{"c":[{"e":2,"f":1}],"d":1}}'],
    ["[2,1]", "[2,1]"],
    ['"text \\" \\n"', '"text \\" \\n"'],
    ["1.0", "1"],
    ['{"10":1,"9":2,"é":3,"Z":4}', '{"10":1,"9":2,"Z":4,"é":3}'],
    ['{"__proto__":1,"a":2}', '{"__proto__":1,"a":2}'],
    ["{}", "{}"],
  ])("%s gives %s", (text, sorted) => {
    expect(sortedJson(JSON.parse(text))).toBe(sorted);
  });

  test.each([
    ['{"a":1}', '{"a":"1"}'],
    ["[]", "{}"],
    ['{"a":null}', "{}"],
    ['["a","b"]', '["a,b"]'],
    ['{"__proto__":{}}', "{}"],
  ])("%s and %s are not the same content", (one, other) => {
    expect(sortedJson(JSON.parse(one))).not.toBe(sortedJson(JSON.parse(other)));
  });
});

test.each([
  [{}, true],
  [{ a: 1 }, true],
  [[], false],
  [null, false],
  ["{}", false],
  [undefined, false],
  [1, false],
])("isJsonObject %#", (value, is) => {
  expect(isJsonObject(value)).toBe(is);
});
