/** Events are folded in order; what cannot be folded says where, and why. */
import type { SandboxResult } from "@millrace/engine";
import { check, checkEqual } from "../check.ts";
import { adding, delivery, eventAt, eventsAt, load, recordCalls, type SandboxCase, stateIn } from "./sandbox-case.ts";

const folding = (reduce: string) => `export default { slug: "folding", initialState: {}, reduce: ${reduce} };`;

const unfoldable: readonly [what: string, state: string, message: string][] = [
  ["a Map", "new Map()", "not JSON: the state is a Map"],
  ["no number", "{ n: 0 / 0 }", "not JSON: the state.n is NaN"],
  ["a promise", "Promise.resolve(1)", "returned a promise"],
  ["9 million characters long", '{ text: "x".repeat(9_000_000) }', "more than 8388608"],
];

const typed = (validate: string) => `const validate = ${validate};
  export default { slug: "typed", initialState: { sum: 0 },
    events: { number: { "~standard": { version: 1, vendor: "suite", validate } } },
    reduce: ({ state, event }) => ({ sum: state.sum + event.payload }),
    async afterAppend({ event, append }) { await append({ type: "acted", payload: event.payload }); } };`;

const positive = "(value) => value > 0 ? { value: value * 10 } : { issues: [{ message: 'too small', path: ['n'] }] }";

type FoldFailure = Extract<SandboxResult, { is: "fold-failed" }>;

export const foldCases: readonly SandboxCase[] = [
  {
    name: "events are folded in order, from the state that is given",
    async run(fixture) {
      const listing = folding("({ state, event }) => ({ seen: [...(state.seen ?? []), event.offset] })");
      const loaded = await load(fixture, listing);
      const { calls } = recordCalls();
      const given = '{"seen":[0]}';
      const result = await loaded.deliver(delivery({ given, events: eventsAt(1, 2, 5), wantState: true }), calls);
      checkEqual(stateIn(result), { seen: [0, 1, 2, 5] }, "state");
      const next = await loaded.deliver(delivery({ base: 5, events: eventsAt(6), wantState: true }), calls);
      checkEqual(stateIn(next), { seen: [0, 1, 2, 5, 6] }, "state");
      const unasked = await loaded.deliver(delivery({ base: 6, events: eventsAt(7) }), calls);
      checkEqual(unasked, { is: "done", passedOver: [] }, "without asking there is no state in the answer");
    },
  },
  {
    name: "a reducer that returns nothing keeps the state",
    async run(fixture) {
      const loaded = await load(fixture, adding);
      const events = [eventAt(1), eventAt(2, "other"), eventAt(3)];
      const result = await loaded.deliver(
        delivery({ given: '{"sum":0}', events, wantState: true }),
        recordCalls().calls,
      );
      checkEqual(stateIn(result), { sum: 4 }, "state");
    },
  },
  {
    name: "a reducer that throws says where and why, and its state is gone",
    async run(fixture) {
      const source = folding(
        '({ state, event }) => { if (event.type === "poison") throw new RangeError("cannot fold this"); return state; }',
      );
      const loaded = await load(fixture, source);
      const { calls } = recordCalls();
      const events = [eventAt(1), eventAt(2, "poison"), eventAt(3)];
      const result = (await loaded.deliver(delivery({ given: "{}", events }), calls)) as FoldFailure;
      checkEqual([result.is, result.offset], ["fold-failed", 2], "answer");
      checkEqual([result.error.name, result.error.message], ["RangeError", "cannot fold this"], "error");
      check(/^\s*at /m.test(result.error.stack ?? ""), "it says in which line");
      checkEqual((await loaded.deliver(delivery({ base: 1, events: [] }), calls)).is, "state-missing", "its state");
    },
  },
  ...unfoldable.map(([what, state, message]) => ({
    name: `a state that is ${what} is a fault of the reducer`,
    async run(fixture: Parameters<SandboxCase["run"]>[0]) {
      const loaded = await load(fixture, folding(`({ event }) => (event.type === "odd" ? ${state} : {})`));
      const events = [eventAt(1), eventAt(2, "odd")];
      const result = (await loaded.deliver(delivery({ given: "{}", events }), recordCalls().calls)) as FoldFailure;
      checkEqual([result.is, result.offset], ["fold-failed", 2], "answer");
      check(result.error.message.includes(message), `the message "${result.error.message}" says "${message}"`);
    },
  })),
  {
    name: "a state that is asked for is looked at, however large it is",
    async run(fixture) {
      const source = folding(
        '({ event }) => ({ text: "x".repeat(100_000), odd: event.type === "odd" ? new Map() : 1 })',
      );
      const loaded = await load(fixture, source);
      const events = [eventAt(1), eventAt(2, "odd")];
      const result = await loaded.deliver(delivery({ given: "{}", events, wantState: true }), recordCalls().calls);
      checkEqual([result.is, (result as FoldFailure).offset], ["fold-failed", 2], "answer");
    },
  },
  {
    name: "with schemas it folds events of their types alone, parsed, and says what was passed over",
    async run(fixture) {
      const loaded = await load(fixture, typed(positive));
      const { calls, appended } = recordCalls();
      const events = [eventAt(1), eventAt(2, "number", -2), eventAt(3, "other"), eventAt(4)];
      const result = await loaded.deliver(
        delivery({ given: '{"sum":0}', events, call: { hook: "afterAppend", attempt: 1 }, wantState: true }),
        calls,
      );
      checkEqual(stateIn(result), { sum: 50 }, "state");
      const [passedOver] = (result as { passedOver: readonly { offset: number; fault: string }[] }).passedOver;
      checkEqual(passedOver?.offset, 2, "what was passed over");
      check(passedOver?.fault.includes("does not parse: n: too small") === true, `the fault: ${passedOver?.fault}`);
      checkEqual(appended, [{ input: { type: "acted", payload: 40 } }], "the hook has it as parsed");
    },
  },
  {
    name: "an event that does not parse is not acted on",
    async run(fixture) {
      const loaded = await load(fixture, typed(positive));
      const { calls, appended } = recordCalls();
      const events = [eventAt(1, "number", -1)];
      await loaded.deliver(delivery({ given: '{"sum":0}', events, call: { hook: "afterAppend", attempt: 1 } }), calls);
      checkEqual(appended, [], "appended");
    },
  },
  {
    name: "a schema that is asynchronous is a fault of the processor",
    async run(fixture) {
      const loaded = await load(fixture, typed("async (value) => ({ value })"));
      const result = await loaded.deliver(delivery({ given: '{"sum":0}', events: eventsAt(1) }), recordCalls().calls);
      checkEqual([result.is, (result as FoldFailure).offset], ["fold-failed", 1], "answer");
    },
  },
];
