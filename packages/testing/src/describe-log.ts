/**
 * The suite of the ports StreamLog and Directory: every adapter passes it before it lands. The cases are data, so that
 * any test runner can run them:
 *
 *     for (const { name, run } of describeLog(createStore, { persistent: true })) test(name, run);
 */
import { appendCases } from "./log-suite/append-cases.ts";
import { claimCases } from "./log-suite/claim-cases.ts";
import { codeCases } from "./log-suite/code-cases.ts";
import { keyCases } from "./log-suite/key-cases.ts";
import { listCases } from "./log-suite/list-cases.ts";
import type { LogStore } from "./log-suite/log-case.ts";
import { positionCases } from "./log-suite/position-cases.ts";
import { progressCases } from "./log-suite/progress-cases.ts";
import { readCases } from "./log-suite/read-cases.ts";
import { removalCases } from "./log-suite/removal-cases.ts";
import { reopenCases } from "./log-suite/reopen-cases.ts";
import { wakeCases } from "./log-suite/wake-cases.ts";

export interface SuiteCase {
  name: string;
  /** Resolves when the case passed; rejects with what was expected and what came. */
  run(): Promise<void>;
}

/**
 * @param create makes an empty store; called once for each case
 * @param persistent whether a store outlives its directory: then `reopen` is asked for too
 */
export function describeLog(create: () => Promise<LogStore>, { persistent }: { persistent: boolean }): SuiteCase[] {
  const cases = [
    ...appendCases,
    ...readCases,
    ...codeCases,
    ...keyCases,
    ...claimCases,
    ...removalCases,
    ...listCases,
    ...positionCases,
    ...progressCases,
    ...wakeCases,
    ...(persistent ? reopenCases : []),
  ];
  return cases.map(({ name, run }) => ({
    name,
    async run() {
      const store = await create();
      try {
        await run(store);
      } finally {
        await store.dispose();
      }
    },
  }));
}
