/** Expressions that were stopped before take one process at most: many of them hold up nobody else. */
import type { Expressions } from "@millrace/engine";
import { createExpressions } from "millrace";
import { afterEach, expect, test } from "vitest";
import { evaluatorsOf } from "./evaluators.ts";

const endless = "($again := function() { $again() }; $again())";
const bomb = "$pad('', 536000000, 'x') & 'y'";
const many = 12;
/** The first of a kind is known by nothing, and each process may have begun one. */
const unknownMax = 4;

let expressions: Expressions;
afterEach(async () => {
  await expressions.close();
  expect(evaluatorsOf()).toEqual([]);
});

test.each([
  ["never end", endless],
  ["ask for all memory", bomb],
])("those that %s", async (_, transform) => {
  expressions = createExpressions({ timeoutMs: 100 });
  let stopped = 0;
  const bad = Array.from({ length: many }, () =>
    expressions.evaluate({ transform }, "{}").catch(({ reason }) => {
      if (reason === "stopped") stopped++;
    }),
  );
  // They are on their way before anybody else comes.
  await expect.poll(() => stopped, { timeout: 20_000, interval: 5 }).toBeGreaterThan(0);
  for (let n = 0; n < 20; n++) {
    expect(await expressions.evaluate({ transform: `${n}` }, "{}")).toEqual({ matched: true, result: `${n}` });
  }
  expect(stopped).toBeLessThanOrEqual(unknownMax);
  await Promise.all(bad);
  expect(stopped).toBe(many);
});
