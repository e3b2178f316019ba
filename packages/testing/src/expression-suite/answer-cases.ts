/** What expressions answer: on the left what is asked, on the right what is said. */
import { checkEqual } from "../check.ts";
import { checkResult, type ExpressionCase, someInput } from "./expression-case.ts";

const matchers: readonly [string, boolean][] = [
  ["type = 'order-placed'", true],
  ["type = 'order-shipped'", false],
  ["payload.cups > 2 and payload.items[0].price = 2", true],
  ["true", true],
  ["payload.cups", true],
  ["0", false],
  ["payload.note", false],
  ["'no'", true],
  ["payload.none", false],
  ["payload.missing", false],
  ["payload.list", false],
  ["[0, '', null]", false],
  ["[[0], [[1]]]", true],
  ["payload", true],
  ["{}", false],
  ["$sum", false],
  ["[$sum]", false],
  ["function($x) { $x }", false],
  ["/a/", false],
];

const transforms: readonly [string, string | undefined][] = [
  ["payload.cups + 1", "4"],
  ["{ 'type': 'invoice', 'payload': { 'order': payload.id } }", '{"type":"invoice","payload":{"order":"o-17"}}'],
  ["payload.items.price", "[2,9]"],
  ["payload.items[quantity = 4].price", "2"],
  ["payload.items[quantity = 4].price[]", "[2]"],
  ["payload.none", "null"],
  ["payload.missing", undefined],
  ["{ 'a': payload.missing, 'b': 1 }", '{"b":1}'],
  ["payload.list", "[]"],
  ["$", someInput],
  ["$sum", undefined],
  ["function($x) { $x }", undefined],
  ["/a/", undefined],
  ["[1, $sum, function($x) { $x }, /a/]", "[1,null,null,null]"],
  ["{ 'a': $sum, 'b': function($x) { $x }, 'c': 1 }", '{"c":1}'],
  ["$eval('payload.cups * 2')", "6"],
  ["$map([1, 2], function($x) { $x * 2 })", "[2,4]"],
  ["($double := function($x) { $x * 2 }; $next := $double ~> $sum; $next(3))", "6"],
  ["'\\u00e9 \\uD83D\\uDE00'", '"é 😀"'],
  ["$fromMillis(0)", '"1970-01-01T00:00:00.000Z"'],
  ["$type($now())", '"string"'],
  ["payload ~> |$|{ 'cups': 4 }, ['items', 'note', 'none', 'list']|", '{"id":"o-17","cups":4}'],
  ["{ 'toString': 1, 'constructor': 2, '__proto__': 3 }", '{"toString":1,"constructor":2,"__proto__":3}'],
];

/** Names under which a host's things might be found. */
const nothingThere = [
  ...["process", "$process", "require", "$require", "globalThis", "$globalThis", "$global", "$env", "console"],
  ...["constructor", "payload.constructor", "type.constructor", "payload.list.constructor", "$sum.constructor"],
  ...["__proto__", "payload.__proto__", "$lookup(payload, '__proto__')", "$lookup($, 'constructor')"],
  ...["$sum.implementation", "(function($x) { $x }).environment", "/a/.constructor", "$match('a', /a/).next"],
];

export const answerCases: readonly ExpressionCase[] = [
  {
    name: "a matcher matches when $boolean of it is true",
    async run(expressions) {
      for (const [matcher, matched] of matchers) {
        checkEqual(await expressions.evaluate({ matcher }, someInput), { matched }, matcher);
      }
    },
  },
  {
    name: "a transform gives JSON, or nothing",
    async run(expressions) {
      for (const [transform, result] of transforms) await checkResult(expressions, transform, result);
    },
  },
  {
    name: "without a matcher everything matches, and without a transform nothing is computed",
    async run(expressions) {
      checkEqual(await expressions.evaluate({}, someInput), { matched: true }, "neither");
      checkEqual(await expressions.evaluate({ matcher: "true" }, someInput), { matched: true }, "a matcher");
      const both = { matcher: "payload.cups = 3", transform: "payload.id" };
      checkEqual(await expressions.evaluate(both, someInput), { matched: true, result: '"o-17"' }, "both");
      const neither = { matcher: "payload.cups = 4", transform: "$error('never evaluated')" };
      checkEqual(await expressions.evaluate(neither, someInput), { matched: false }, "no match");
    },
  },
  {
    name: "any JSON value is an input",
    async run(expressions) {
      for (const input of ["null", "1", '"a"', "true", "[]", "[1,[2]]", '{"a":{"__proto__":{"b":1}}}']) {
        checkEqual(await expressions.evaluate({ transform: "$" }, input), { matched: true, result: input }, input);
      }
    },
  },
  {
    name: "what a matcher does to its input, the transform does not see",
    async run(expressions) {
      const matcher = "($clone := function($x) { $x }; $ ~> |payload|{ 'cups': 99 }|; payload.cups = 99)";
      const evaluated = await expressions.evaluate({ matcher, transform: "payload.cups" }, someInput);
      checkEqual(evaluated, { matched: true, result: "3" }, "cups");
    },
  },
  {
    name: "nothing of the host is within reach",
    async run(expressions) {
      for (const transform of nothingThere) await checkResult(expressions, transform, undefined);
    },
  },
];
