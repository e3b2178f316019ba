/** Expressions that fail by themselves, and would again. */
import { check } from "../check.ts";
import { checkRejected, checkResult, type ExpressionCase } from "./expression-case.ts";

const failing: readonly [string, string][] = [
  ["$nothing(1)", "Attempted to invoke a non-function"],
  ["'a' + 1", "+"],
  ["$error('out of cups')", "out of cups"],
  ["$error()", "$error() function evaluated"],
  ["$number('three')", "three"],
  ["(", "The transform failed"],
  ["$eval('(')", "The transform failed"],
  ["[1..99999999]", "range"],
  ["payload ~> |$|{ 'self': $ }|", "circular"],
  [`${"(".repeat(20_000)}1${")".repeat(20_000)}`, "The transform failed"],
];

export const failureCases: readonly ExpressionCase[] = [
  {
    name: "an expression that fails is told with its reason, and with which of the two it was",
    async run(expressions) {
      for (const [transform, part] of failing) {
        await checkRejected(expressions, { transform }, "failed", part, "The transform failed");
      }
      await checkRejected(expressions, { matcher: "$error('no')" }, "failed", "no", "The matcher failed");
    },
  },
  {
    name: "a message is short, whatever the expression wrote",
    async run(expressions) {
      const message = await checkRejected(expressions, { transform: "$error($pad('', 100000, 'x'))" }, "failed", "xxx");
      check(message.length <= 500, `a message of ${message.length} characters`);
    },
  },
  {
    name: "after a failure the same adapter goes on",
    async run(expressions) {
      for (let n = 0; n < 20; n++) {
        await checkRejected(expressions, { transform: `$error('${n}')` }, "failed", `${n}`);
        await checkResult(expressions, `${n}`, `${n}`);
      }
    },
  },
];
