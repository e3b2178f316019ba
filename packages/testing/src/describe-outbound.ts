/**
 * The suite of the port Outbound, as data for any test runner:
 *
 *     for (const { name, run } of describeOutbound(createFixture)) test(name, run);
 */
import type { SuiteCase } from "./describe-log.ts";
import { answerCases } from "./outbound-suite/answer-cases.ts";
import { failureCases } from "./outbound-suite/failure-cases.ts";
import type { OutboundFixture } from "./outbound-suite/outbound-case.ts";
import { socketCases } from "./outbound-suite/socket-cases.ts";

/** @param create makes an Outbound that reaches whatever `listen` and `accept` give; called once for each case */
export function describeOutbound(create: () => Promise<OutboundFixture>): SuiteCase[] {
  return [...answerCases, ...failureCases, ...socketCases].map(({ name, run }) => ({
    name,
    async run() {
      const fixture = await create();
      try {
        await run(fixture);
      } finally {
        await fixture.dispose();
      }
    },
  }));
}
