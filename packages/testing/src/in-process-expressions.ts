/**
 * Expressions on the thread of whoever asks: for the simulation and for tests of the engine. Deterministic, since it
 * only takes promises in turn. It has no deadline, and an expression that sets out to can change the library for those
 * behind it; so it is for expressions that the test itself wrote.
 */
import { type Evaluated, ExpressionError, type Expressions, type Rule } from "@millrace/engine";
import jsonata from "jsonata";

export function createInProcessExpressions(): Expressions {
  let closed = false;
  return {
    async evaluate(rule, input) {
      if (closed) throw new ExpressionError("closed", "Expressions are not evaluated any more.");
      return await evaluateRule(rule, input);
    },
    async close() {
      closed = true;
    },
  };
}

async function evaluateRule({ matcher, transform }: Rule, input: string): Promise<Evaluated> {
  if (matcher !== undefined) {
    const value = await told("matcher", async () => jsonata(matcher).evaluate(JSON.parse(input)));
    if (!(await jsonata("$boolean($value)").evaluate(null, { value }))) return { matched: false };
  }
  if (transform === undefined) return { matched: true };
  const result = await told("transform", async () => asText(await jsonata(transform).evaluate(JSON.parse(input))));
  return result === undefined ? { matched: true } : { matched: true, result };
}

async function told<Value>(part: string, evaluate: () => Promise<Value>): Promise<Value> {
  try {
    return await evaluate();
  } catch (error) {
    throw new ExpressionError("failed", `The ${part} failed: ${(error as Error).message}`.slice(0, 500));
  }
}

/** As JSON.stringify, to which functions are nothing; those of JSONata are objects. */
function asText(value: unknown): string | undefined {
  return JSON.stringify(value, (_, inner) => {
    const { _jsonata_function: builtin, _jsonata_lambda: lambda } = (inner ?? {}) as Record<string, unknown>;
    return builtin === true || lambda === true ? undefined : inner;
  });
}
