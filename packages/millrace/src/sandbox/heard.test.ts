import type { StreamEvent } from "@millrace/protocol";
import { describe, expect, test } from "vitest";
import { codeErrorOf, heardOf, resultOf } from "./heard.ts";

describe("what is no message is nothing", () => {
  test.each([
    "",
    "no JSON",
    "null",
    "[]",
    '"pong"',
    "{}",
    '{"is":"pong"}',
    '{"is":"pong","id":-1}',
    '{"is":"result","id":1.5,"result":{}}',
    '{"is":"asked","id":1,"ask":2,"question":"constructor","args":[]}',
    '{"is":"asked","id":1,"ask":2,"question":"append","args":{}}',
    '{"is":"__proto__"}',
  ])("%s", (text) => expect(heardOf(text)).toBeUndefined());
});

describe("what a processor says of itself", () => {
  const loaded = (description: unknown) => heardOf(JSON.stringify({ is: "loaded", description }));

  test.each([
    [undefined],
    ["text"],
    [{}],
    [{ initialState: {}, types: "all" }],
    [{ initialState: {}, types: [1] }],
    [{ initialState: {}, types: Array.from({ length: 1_001 }, () => "x") }],
  ])("%j fails the load", (description) => expect(loaded(description)).toMatchObject({ is: "load-failed" }));

  test("what is more than that is left out", () => {
    const description = { initialState: [1], hasAfterAppend: "yes", hasAfterCatchUp: true, types: ["a"], more: 1 };
    expect(loaded(description)).toEqual({
      is: "loaded",
      description: { initialState: [1], hasAfterAppend: false, hasAfterCatchUp: true, types: ["a"] },
    });
  });
});

describe("results, as answers to what was delivered", () => {
  const delivery = { events: [{ offset: 4 }, { offset: 6 }] as StreamEvent[] };

  test.each([undefined, null, 42, [], {}, { is: "loaded" }])("%j is a failure", (said) => {
    expect(resultOf(said, delivery)).toMatchObject({ is: "hook-failed", passedOver: [] });
  });

  test("offsets are those of the delivery", () => {
    const passedOver = [
      { offset: 6, fault: "x" },
      { offset: 5, fault: "x" },
      { offset: 4 },
      null,
      { offset: 6, fault: "y" },
    ];
    expect(resultOf({ is: "done", passedOver }, delivery)).toEqual({
      is: "done",
      passedOver: [{ offset: 6, fault: "y" }],
    });
    expect(resultOf({ is: "done", passedOver: "all" }, delivery)).toEqual({ is: "done", passedOver: [] });
    expect(resultOf({ is: "fold-failed", offset: 99, error: {} }, delivery)).toMatchObject({ offset: 6 });
    expect(resultOf({ is: "fold-failed", offset: 4, error: {} }, delivery)).toMatchObject({ offset: 4 });
  });

  test("a state is JSON, of some size, and there when it was asked for", () => {
    const asked = { ...delivery, wantState: true };
    expect(resultOf({ is: "done", state: "{}", passedOver: [] }, asked)).toMatchObject({ state: "{}" });
    expect(resultOf({ is: "done", state: "{}", passedOver: [] }, delivery)).toEqual({ is: "done", passedOver: [] });
    for (const state of [undefined, {}, "}{", `"${"x".repeat(9 << 20)}"`]) {
      expect(resultOf({ is: "done", state }, asked)).toMatchObject({ is: "hook-failed" });
    }
  });
});

test("errors are texts of some length", () => {
  const long = "x".repeat(100_000);
  const { name, message, stack, code, data } = codeErrorOf({
    name: long,
    message: long,
    stack: long,
    code: long,
    data: { long },
  });
  expect([name, message, stack, code].map((text) => text?.length)).toEqual([200, 16_384, 32_768, 200]);
  expect(data).toBeUndefined();
  expect(codeErrorOf({ name: 1, message: {}, code: "not_found", data: { at: 1 } })).toEqual({
    name: "Error",
    message: "It failed without saying how.",
    code: "not_found",
    data: { at: 1 },
  });
});
