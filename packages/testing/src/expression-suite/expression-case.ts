/** What the cases of the suite of expressions are made of. */
import { type Expressions, isExpressionError, type Rule } from "@millrace/engine";
import { check, checkEqual } from "../check.ts";

export interface ExpressionCase {
  name: string;
  run(expressions: Expressions): Promise<void>;
}

/** A stored event, as consumers pass it. */
export const someInput: string = JSON.stringify({
  streamPath: "/shop/orders",
  offset: 17,
  type: "order-placed",
  payload: { id: "o-17", cups: 3, items: [{ price: 2, quantity: 4 }, { price: 9 }], note: "", none: null, list: [] },
  createdAt: "2026-01-01T00:00:00.000Z",
});

export async function checkResult(
  expressions: Expressions,
  transform: string,
  result: string | undefined,
): Promise<void> {
  const evaluated = await expressions.evaluate({ transform }, someInput);
  checkEqual(evaluated, { matched: true, result }, transform);
}

/** The message is for people, so only its parts are looked at. */
export async function checkRejected(
  expressions: Expressions,
  rule: Rule,
  reason: string,
  ...parts: string[]
): Promise<string> {
  const what = JSON.stringify(rule).slice(0, 200);
  let value: unknown;
  try {
    value = await expressions.evaluate(rule, someInput);
  } catch (error) {
    if (!isExpressionError(error)) throw error;
    checkEqual(error.reason, reason, `${what}: reason of "${error.message}"`);
    for (const part of parts) check(error.message.includes(part), `${what}: "${error.message}" lacks "${part}"`);
    return error.message;
  }
  throw new Error(`${what}: expected an error, got ${JSON.stringify(value)}`);
}
