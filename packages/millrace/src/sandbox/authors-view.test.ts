/** What the author reads of an error, which the code may have made to be hard to read. */
import { expect, test } from "vitest";
import { asAuthorsError } from "./authors-view.ts";

const compiled = { script: "", locate: (error: never) => error };

test("the text without the runtime's lines, and the first of the author's own", () => {
  const message = "Failed to start Worker:\nUncaught Error: no\n  at processor.js:1:7\n  at harness.js:12:1";
  const codeError = { name: "Error", message, stack: "Error: no\n    at hello.ts:3:4\n    at hello.ts:9:1" };
  expect(asAuthorsError({ codeError }, compiled)).toMatchObject({
    reason: "code",
    message: "Error: no (at hello.ts:3:4)",
  });
});

test("an error that is nothing but line breaks takes no time, of which everybody has only one", () => {
  const codeError = { name: "Error", message: "\n".repeat(16 * 1024), stack: "\n".repeat(32 * 1024) };
  const began = performance.now();
  expect(asAuthorsError({ codeError }, compiled)).toMatchObject({ reason: "code" });
  expect(performance.now() - began).toBeLessThan(200);
});
