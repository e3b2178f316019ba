import type { StreamEvent } from "@millrace/protocol";
import { describe, expect, test } from "vitest";
import { argumentsOf, codeErrorOf, heardOf, resultOf } from "./heard.ts";

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
    '{"is":"result","id":1.5}\n{}',
    '{"is":"asked","id":1,"ask":2,"question":"constructor"}\n[]',
    '\n{"is":"pong","id":1}',
    '{"is":"__proto__"}',
  ])("%s", (text) => expect(heardOf(text)).toBeUndefined());
});

describe("what a processor says of itself", () => {
  const loaded = (description: unknown) => heardOf(JSON.stringify({ is: "loaded", description }))?.message;

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
  const result = (said: unknown, to: Parameters<typeof resultOf>[1]) => resultOf(JSON.stringify(said), to);

  test.each(["", "no JSON", "null", "42", "[]", "{}", '{"is":"loaded"}'])("%s is a failure", (said) => {
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
    expect(result({ is: "done", passedOver }, delivery)).toEqual({
      is: "done",
      passedOver: [{ offset: 6, fault: "y" }],
    });
    expect(result({ is: "done", passedOver: "all" }, delivery)).toEqual({ is: "done", passedOver: [] });
    expect(result({ is: "fold-failed", offset: 99, error: {} }, delivery)).toMatchObject({ offset: 6 });
    expect(result({ is: "fold-failed", offset: 4, error: {} }, delivery)).toMatchObject({ offset: 4 });
  });

  test("a state is JSON, of some size, and there when it was asked for", () => {
    const asked = { ...delivery, wantState: true };
    expect(result({ is: "done", state: "{}", passedOver: [] }, asked)).toMatchObject({ state: "{}" });
    expect(result({ is: "done", state: "{}", passedOver: [] }, delivery)).toEqual({ is: "done", passedOver: [] });
    const deep = `${"[".repeat(1_000)}${"]".repeat(1_000)}`;
    for (const state of [undefined, {}, "}{", `"${"x".repeat(9 << 20)}"`, deep]) {
      expect(result({ is: "done", state }, asked)).toMatchObject({ is: "hook-failed" });
    }
  });
});

test("arguments are a list, or none", () => {
  for (const body of ["", "{}", "no JSON", '"append"', "7"]) expect(argumentsOf(body)).toEqual([]);
  expect(argumentsOf('["w", null]')).toEqual(["w", null]);
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

const nested = (depth: number) => [
  `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`,
  `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`,
];

test("what is nested so deep that nobody can write it any more ends nothing", () => {
  for (const deep of nested(1_000_000)) {
    expect(heardOf(`{"is":"load-failed","error":{"message":"m","code":"x","data":${deep}}}`)?.message).toEqual({
      is: "load-failed",
      error: { name: "Error", message: "m", code: "x" },
    });
  }
});

test("an error with what is nested too deeply is the error without it", () => {
  for (const deep of nested(9_000)) {
    const error = `{"name":"E","message":"m","code":"not_found","data":${deep}}`;
    expect(resultOf(`{"is":"hook-failed","error":${error},"passedOver":[]}`, { events: [] })).toEqual({
      is: "hook-failed",
      error: { name: "E", message: "m", code: "not_found" },
      passedOver: [],
    });
  }
});

describe("what would take seconds to read is not read", () => {
  const deep = "[".repeat(2_000_000) + "]".repeat(2_000_000);
  const wide = `{"is":"done","passedOver":[${"[],".repeat(1_300_000)}0]}`;
  const nothing = { events: [], wantState: true };

  test.each([
    ["a result that is nested deeply", () => resultOf(deep, nothing)],
    ["a result of a million parts", () => resultOf(wide, nothing)],
    ["a state that is nested deeply", () => resultOf(JSON.stringify({ is: "done", state: deep }), nothing)],
  ])("%s", (_, read) => {
    const began = performance.now();
    expect(read()).toMatchObject({ is: "hook-failed", error: { message: expect.stringContaining("understood") } });
    expect(performance.now() - began).toBeLessThan(150);
  });

  test("arguments that are nested deeply", () => {
    const began = performance.now();
    expect(argumentsOf(deep)).toEqual([]);
    expect(performance.now() - began).toBeLessThan(150);
  });

  test("what only looks so, within a text, is read", () => {
    const state = JSON.stringify({ text: `${"[".repeat(1_000)}\\"${",".repeat(200_000)}` });
    const result = { is: "done", state, passedOver: [] };
    expect(resultOf(JSON.stringify(result), nothing)).toEqual(result);
    expect(argumentsOf(JSON.stringify([state, [[]]]))).toEqual([state, [[]]]);
  });
});
