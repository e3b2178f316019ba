/** Many at once, and the end. */
import { checkEqual } from "../check.ts";
import { checkRejected, type ExpressionCase, someInput } from "./expression-case.ts";

export const lifeCases: readonly ExpressionCase[] = [
  {
    name: "of many at once each gets its own answer",
    async run(expressions) {
      const asked = Array.from({ length: 500 }, (_, n) =>
        n % 5 === 0
          ? checkRejected(expressions, { transform: `$error('number ${n}.')` }, "failed", `number ${n}.`)
          : expressions.evaluate({ matcher: `n % 3 != 0`, transform: `[n, ${n}]` }, JSON.stringify({ n })),
      );
      for (const [n, answer] of (await Promise.all(asked)).entries()) {
        if (n % 5 === 0) continue;
        checkEqual(answer, n % 3 === 0 ? { matched: false } : { matched: true, result: `[${n},${n}]` }, `number ${n}`);
      }
    },
  },
  {
    name: "large inputs and results arrive whole",
    async run(expressions) {
      const text = '"\n\u{1f600}'.repeat(100_000);
      const inputs = Array.from({ length: 5 }, (_, n) => JSON.stringify({ n, text }));
      const asked = inputs.map((input) => expressions.evaluate({ transform: "{ 'n': n, 'text': text }" }, input));
      for (const [n, answer] of (await Promise.all(asked)).entries()) {
        checkEqual(answer, { matched: true, result: inputs[n] }, `number ${n}`);
      }
    },
  },
  {
    name: "behind close nothing is evaluated, and closing again changes nothing",
    async run(expressions) {
      await expressions.evaluate({ transform: "1" }, someInput);
      await Promise.all([expressions.close(), expressions.close()]);
      await checkRejected(expressions, { transform: "1" }, "closed");
      await expressions.close();
    },
  },
  {
    name: "an adapter that was never asked closes",
    async run(expressions) {
      await expressions.close();
      await checkRejected(expressions, {}, "closed");
    },
  },
];
