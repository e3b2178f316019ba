/** Expressions that would never end, or would take all memory: they are ended, and nobody else notices. */
import { checkEqual } from "../check.ts";
import { checkRejected, checkResult, type ExpressionCase, someInput } from "./expression-case.ts";

export const endless = "($again := function() { $again() }; $again())";

/** Each was seen to run on for seconds, or to end the whole process that evaluates it. */
export const harmful: readonly string[] = [
  endless,
  `$eval("${endless}")`,
  "$sum([1..10000000].($*$))",
  "$pad('', 536000000, 'x') & 'y'",
  "$split($pad('', 100000000, 'xy'), 'x')",
  "[1..10000000] ~> $map(function($x) { { 'a': $x } })",
  "$sort([1..9999999], function($a, $b) { $a < $b })",
  "$uppercase($pad('', 256000000, 'x'))",
  "($more := function($x) { $more($append($x, $x)) }; $more([1, 2, 3]))",
  "($deeper := function($x) { 1 + $deeper($x + 1) }; $deeper(1))",
  "$match($pad('', 40, 'a') & 'b', /^(a+)+$/)",
  `{ 'a': $error('x'), 'b': ${endless} }`,
];

export const stopCases: readonly ExpressionCase[] = [
  {
    name: "what does not end is stopped, and what comes behind it is evaluated",
    async run(expressions) {
      await checkRejected(expressions, { matcher: endless }, "stopped", "did not end within 100 ms");
      await checkRejected(expressions, { transform: endless }, "stopped", "did not end within 100 ms");
      await checkResult(expressions, "payload.cups", "3");
    },
  },
  {
    name: "whatever is harmful is stopped",
    async run(expressions) {
      for (const transform of harmful) await checkRejected(expressions, { transform }, "stopped");
      await checkResult(expressions, "payload.cups", "3");
    },
  },
  {
    name: "beside harmful ones 200 others get their answers",
    async run(expressions) {
      const stopped = harmful.map((transform) => checkRejected(expressions, { transform }, "stopped"));
      const asked = Array.from({ length: 200 }, (_, n) => expressions.evaluate({ transform: `${n}` }, someInput));
      const answers = await Promise.all(asked);
      checkEqual(
        answers,
        Array.from(answers, (_, n) => ({ matched: true, result: `${n}` })),
        "answers",
      );
      await Promise.all(stopped);
    },
  },
  {
    name: "what is open when it closes is told so",
    async run(expressions) {
      const open = Promise.all([
        checkRejected(expressions, { transform: endless }, "closed"),
        checkRejected(expressions, { transform: "1" }, "closed"),
      ]);
      await expressions.close();
      await open;
    },
  },
];
