/**
 * The suite of the port Expressions: every adapter passes it before it lands. The cases are data, so that any test
 * runner can run them:
 *
 *     for (const { name, run } of describeExpressions(create, { stops: true })) test(name, run);
 */
import type { Expressions } from "@millrace/engine";
import type { SuiteCase } from "./describe-log.ts";
import { answerCases } from "./expression-suite/answer-cases.ts";
import { failureCases } from "./expression-suite/failure-cases.ts";
import { lifeCases } from "./expression-suite/life-cases.ts";
import { stopCases } from "./expression-suite/stop-cases.ts";

/**
 * @param create makes an adapter with a deadline of 100 ms, if it has one; called once for each case
 * @param stops whether it ends what takes too long or too much memory: then that is asked for too
 */
export function describeExpressions(
  create: () => Expressions | Promise<Expressions>,
  { stops }: { stops: boolean },
): SuiteCase[] {
  const cases = [...answerCases, ...failureCases, ...lifeCases, ...(stops ? stopCases : [])];
  return cases.map(({ name, run }) => ({
    name,
    async run() {
      const expressions = await create();
      try {
        await run(expressions);
      } finally {
        await expressions.close();
      }
    },
  }));
}
