/** Code is loaded, says what it is, or what is wrong with it. */
import { check, checkEqual } from "../check.ts";
import {
  acting,
  afterAppend,
  delivery,
  eventsAt,
  failureOf,
  load,
  recordCalls,
  type SandboxCase,
} from "./sandbox-case.ts";

const wrong: readonly [what: string, source: string, message: string][] = [
  ["has no default export", "export const other = 1;", "exports no processor"],
  ["exports a number", "export default 7;", "is a number, not a processor"],
  ["has a reducer that is no function", "export default { reduce: 7 };", "reduce is no function"],
  ["has an initial state that is no JSON", "export default { initialState: new Map() };", "initialState is not JSON"],
  ["throws while it is loaded", 'throw new TypeError("not today");', "not today"],
  ["does not parse", "export default { reduce( };", ""],
];

export const loadCases: readonly SandboxCase[] = [
  {
    name: "a processor says what it is",
    async run(fixture) {
      const source = `export default { slug: "x", initialState: { list: [1, "é"], none: undefined },
        events: { a: {}, "https://example.com/b": {} }, reduce() {}, afterAppend() {}, afterCatchUp() {} };`;
      const { description } = await load(fixture, source);
      const expected = {
        initialState: { list: [1, "é"] },
        hasAfterAppend: true,
        hasAfterCatchUp: true,
        types: ["a", "https://example.com/b"],
      };
      checkEqual(description, expected, "description");
    },
  },
  {
    name: "what a processor does not say has a default, and `processor` is as good a name as `default`",
    async run(fixture) {
      const { description } = await load(fixture, 'export const processor = { slug: "x" };');
      checkEqual(description, { initialState: {}, hasAfterAppend: false, hasAfterCatchUp: false }, "description");
    },
  },
  ...wrong.map(([what, source, expected]) => ({
    name: `code that ${what} is not loaded`,
    async run(fixture: Parameters<SandboxCase["run"]>[0]) {
      const message = await failureOf(load(fixture, source), "code");
      check(message.includes(expected), `the message "${message}" says "${expected}"`);
    },
  })),
  {
    name: "code that is not loaded harms no other",
    async run(fixture) {
      await failureOf(load(fixture, "export default 7;"), "code");
      const { description } = await load(fixture, acting(""));
      checkEqual(description.hasAfterAppend, true, "the next one is loaded");
    },
  },
  {
    name: "the same code with another environment is something else",
    async run(fixture) {
      const source = acting('await append({ type: "told", payload: { ...env } });');
      const seen: unknown[] = [];
      for (const env of [{ WHO: "ada" }, { WHO: "bob" }, {}]) {
        const loaded = await load(fixture, source, { env: env as Record<string, string> });
        const { calls, appended } = recordCalls();
        await loaded.deliver(delivery({ given: '{"count":0}', events: eventsAt(1), call: afterAppend }), calls);
        seen.push(...appended.map(({ input }) => (input as { payload: unknown }).payload));
      }
      checkEqual(seen, [{ WHO: "ada" }, { WHO: "bob" }, {}], "environments");
    },
  },
  {
    name: "whoever has the same code goes on when one of them is closed",
    async run(fixture) {
      const [one, other] = [await load(fixture, acting("")), await load(fixture, acting(""))];
      one.close();
      const result = await other.deliver(
        delivery({ given: '{"count":4}', events: eventsAt(1), wantState: true }),
        recordCalls().calls,
      );
      checkEqual(result, { is: "done", state: '{"count":5}', passedOver: [] }, "result");
    },
  },
];
