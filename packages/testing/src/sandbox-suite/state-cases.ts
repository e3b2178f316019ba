/** States have names, and are kept for as long as there is room: whoever asks is told when one is not there. */
import { checkEqual } from "../check.ts";
import {
  adding,
  afterAppend,
  delivery,
  eventAt,
  eventsAt,
  load,
  recordCalls,
  type SandboxCase,
  stateIn,
} from "./sandbox-case.ts";

/** More than any sandbox keeps for one piece of code. */
const manyStates = 1_001;

export const stateCases: readonly SandboxCase[] = [
  {
    name: "where there is no such state nothing is done",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const { calls, appended } = recordCalls();
      const result = await loaded.deliver(delivery({ base: 3, events: eventsAt(4), call: afterAppend }), calls);
      checkEqual(result, { is: "state-missing" }, "answer");
      checkEqual(appended, [], "appended");
    },
  },
  {
    name: "a state at another offset is not the one that was asked for, and stays",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const { calls } = recordCalls();
      await loaded.deliver(delivery({ given: '{"sum":0}', events: eventsAt(1, 2) }), calls);
      for (const base of [0, 1, 3]) {
        checkEqual((await loaded.deliver(delivery({ base, events: eventsAt(4) }), calls)).is, "state-missing", "at it");
      }
      const result = await loaded.deliver(delivery({ base: 2, events: eventsAt(3), wantState: true }), calls);
      checkEqual(stateIn(result), { sum: 6 }, "state");
    },
  },
  {
    name: "what is given goes before what is there",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const { calls } = recordCalls();
      await loaded.deliver(delivery({ given: '{"sum":0}', events: eventsAt(1, 2) }), calls);
      const given = { given: '{"sum":100}', base: 2, events: eventsAt(3), wantState: true };
      checkEqual(stateIn(await loaded.deliver(delivery(given), calls)), { sum: 103 }, "state");
    },
  },
  {
    name: "two states of one code know nothing of each other, also when their deliveries run at once",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const other = await load(fixture, adding);
      const { calls } = recordCalls();
      await loaded.deliver(delivery({ state: "a", given: '{"sum":0}', events: [] }), calls);
      await other.deliver(delivery({ state: "b", given: '{"sum":1000}', events: [] }), calls);
      for (let n = 1; n <= 20; n++) {
        const [a, b] = [
          delivery({ state: "a", base: n - 1, events: [eventAt(n)], call: afterAppend, wantState: true }),
          delivery({ state: "b", base: n - 1, events: [eventAt(n, "number", 1)], wantState: true }),
        ];
        const results = await Promise.all([loaded.deliver(a, calls), other.deliver(b, calls)]);
        checkEqual(results.map(stateIn), [{ sum: (n * (n + 1)) / 2 }, { sum: 1000 + n }], `states at ${n}`);
      }
    },
  },
  {
    name: "a state that is forgotten is not there any more",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const { calls } = recordCalls();
      for (const state of ["a", "b"]) await loaded.deliver(delivery({ state, given: '{"sum":7}' }), calls);
      loaded.forget("a");
      const results = [];
      for (const state of ["a", "b"]) results.push(await loaded.deliver(delivery({ state, wantState: true }), calls));
      checkEqual(results[0], { is: "state-missing" }, "the forgotten one");
      checkEqual(stateIn(results[1] as never), { sum: 7 }, "the other one");
    },
  },
  {
    name: "of many states the one goes that was not used for longest, and can be given again",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const { calls } = recordCalls();
      const give = (state: string) => loaded.deliver(delivery({ state, given: '{"sum":7}' }), calls);
      const ask = (state: string) => loaded.deliver(delivery({ state, wantState: true }), calls);
      await give("first");
      await give("second");
      for (let n = 3; n <= manyStates; n++) {
        await give(`state ${n}`);
        if (n === manyStates - 1) checkEqual(stateIn(await ask("first")), { sum: 7 }, "the first, used again");
      }
      checkEqual(await ask("second"), { is: "state-missing" }, "the one that was not used");
      checkEqual(stateIn(await ask("first")), { sum: 7 }, "the first");
      await give("second");
      checkEqual(stateIn(await ask("second")), { sum: 7 }, "given again");
    },
  },
];
