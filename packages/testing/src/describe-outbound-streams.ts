/**
 * The suite of the port OutboundStreams, as data for any test runner:
 *
 *     for (const { name, run } of describeOutboundStreams(createFixture)) test(name, run);
 */
import type { SuiteCase } from "./describe-log.ts";
import type { OutboundStreamsFixture } from "./outbound-suite/stream-case.ts";
import { streamCases } from "./outbound-suite/stream-cases.ts";
import { upgradeCases } from "./outbound-suite/upgrade-cases.ts";

/** @param create makes one that reaches whatever `serve` gives; called once for each case */
export function describeOutboundStreams(create: () => Promise<OutboundStreamsFixture>): SuiteCase[] {
  return [...streamCases, ...upgradeCases].map(({ name, run }) => ({
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
