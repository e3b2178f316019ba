/** What a sandbox runs may end at any time: then everything that ran is interrupted, and what comes next works. */
import { isInterruptedError } from "@millrace/protocol";
import { check, checkEqual } from "../check.ts";
import {
  acting,
  adding,
  afterAppend,
  delivery,
  eventsAt,
  failureOf,
  load,
  recordCalls,
  type SandboxCase,
  stateIn,
} from "./sandbox-case.ts";

const one = { given: '{"count":0}', events: eventsAt(1), call: afterAppend };
/** Its first append is never answered. */
const stuck = () => recordCalls({ append: () => new Promise(() => {}) });

export const endCases: readonly SandboxCase[] = [
  {
    name: "an end interrupts the hook that runs, and its state is gone",
    async run(fixture) {
      const loaded = await load(fixture, acting('await append({ type: "a" });'));
      let begun: () => void = () => {};
      const beginning = new Promise<void>((resolve) => (begun = resolve));
      const { calls } = recordCalls({
        append() {
          begun();
          return new Promise(() => {});
        },
      });
      const delivering = failureOf(loaded.deliver(delivery(one), calls), "interrupted");
      await beginning;
      await fixture.crash();
      await delivering;
      const next = recordCalls();
      checkEqual((await loaded.deliver(delivery({ base: 1 }), next.calls)).is, "state-missing", "its state");
      const again = await loaded.deliver(delivery({ ...one, wantState: true }), next.calls);
      checkEqual(stateIn(again), { count: 1 }, "the next delivery");
      checkEqual(next.appended.length, 1, "appended by the next delivery");
    },
  },
  {
    name: "an end interrupts work that is open",
    async run(fixture) {
      const source = acting(`waitUntil("answer", async ({ append, signal }) => { await append({ type: "began" });
        await aborted(signal); });`);
      const loaded = await load(fixture, source);
      const { calls, works, until } = recordCalls();
      await loaded.deliver(delivery(one), calls);
      await until(1);
      await fixture.crash();
      check(isInterruptedError(await works.get("answer")?.ended), "it was interrupted");
    },
  },
  {
    name: "an end in between is found by whoever comes next",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const { calls } = recordCalls();
      await loaded.deliver(delivery({ given: '{"sum":0}', events: eventsAt(1) }), calls);
      await fixture.crash();
      checkEqual((await loaded.deliver(delivery({ base: 1, events: eventsAt(2) }), calls)).is, "state-missing", "it");
      const given = delivery({ base: 1, given: '{"sum":1}', events: eventsAt(2), wantState: true });
      checkEqual(stateIn(await loaded.deliver(given, calls)), { sum: 3 }, "state");
    },
  },
  {
    name: "close ends what runs, and nothing runs any more",
    async run(fixture) {
      const loaded = await load(fixture, acting('await append({ type: "a" });'));
      const delivering = loaded.deliver(delivery(one), stuck().calls);
      const failing = failureOf(delivering, "interrupted");
      // It is on its way by the time that another one is answered.
      await loaded.deliver(delivery({ state: "another", given: '{"count":0}' }), recordCalls().calls);
      await fixture.sandbox.close();
      await failing;
      await failureOf(loaded.deliver(delivery(one), recordCalls().calls), "unavailable");
      await failureOf(load(fixture, acting("")), "unavailable");
    },
  },
];
