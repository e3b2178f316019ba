/**
 * The suite of the port Sandbox, as data for any test runner:
 *
 *     for (const { name, run } of describeSandbox(createFixture)) test(name, run);
 */
import type { SuiteCase } from "./describe-log.ts";
import { endCases } from "./sandbox-suite/end-cases.ts";
import { foldCases } from "./sandbox-suite/fold-cases.ts";
import { hookCases } from "./sandbox-suite/hook-cases.ts";
import { loadCases } from "./sandbox-suite/load-cases.ts";
import type { SandboxFixture } from "./sandbox-suite/sandbox-case.ts";
import { stateCases } from "./sandbox-suite/state-cases.ts";
import { workCases } from "./sandbox-suite/work-cases.ts";

/** @param create makes a sandbox in which nothing is loaded; called once for each case */
export function describeSandbox(create: () => Promise<SandboxFixture>): SuiteCase[] {
  const cases = [...loadCases, ...foldCases, ...stateCases, ...hookCases, ...workCases, ...endCases];
  return cases.map(({ name, run }) => ({
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
