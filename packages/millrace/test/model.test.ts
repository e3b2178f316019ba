/**
 * Whatever is done to a stream, in whatever interleaving, it is the same on every log as in the model.
 *
 * A failure prints a seed and a path. The same case again: MILLRACE_SEED=<seed> MILLRACE_PATH=<path> npx vitest run
 * packages/millrace/test/model.test.ts. The long version: MILLRACE_LONG=1.
 */
import type { EventInput, JsonValue } from "@millrace/protocol";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { builtin, type ModelEvent, type ModelRead, ModelStream } from "./model.ts";
import { ModelWorld, memoryStore, sqliteStore } from "./model-world.ts";

const long = process.env.MILLRACE_LONG === "1";
const timeoutMs = long ? 1_200_000 : 60_000;
const replay = {
  ...(process.env.MILLRACE_SEED === undefined ? {} : { seed: Number(process.env.MILLRACE_SEED) }),
  ...(process.env.MILLRACE_PATH === undefined ? {} : { path: process.env.MILLRACE_PATH }),
};
const paths = ["/x/a", "/x/b", "/x/c"];
const anyPath = fc.constantFrom(...paths);

/** Payloads that repeat, so that keys are replayed, and any others. */
const payload = fc.oneof(
  fc.constantFrom<JsonValue>({}, 1, "text", { a: 1, b: [2, null] }, "half \ud83e of a pair", "line \u2028 break \n"),
  fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as JsonValue),
);

/** `ahead` is an expected offset, against the head when the round begins. */
type Draft = EventInput & { ahead?: number };

const input = fc.record(
  {
    type: fc.constantFrom("a", "b", "c"),
    payload,
    metadata: fc.constantFrom({ by: "me" }, {}),
    idempotencyKey: fc.constantFrom("k1", "k2", "k3", "🦦", "'\"%"),
    ahead: fc.integer({ min: 0, max: 4 }),
  },
  { requiredKeys: ["type"] },
) as fc.Arbitrary<Draft>;
const pausing: fc.Arbitrary<Draft> = fc
  .constantFrom("paused", "resumed", "resumed")
  .map((name) => ({ type: builtin(name) }));

const append = fc.record({
  path: anyPath,
  batch: fc.oneof(
    { weight: 4, arbitrary: fc.tuple(input) },
    { weight: 1, arbitrary: fc.tuple(pausing) },
    {
      weight: 2,
      arbitrary: fc.array(fc.oneof({ weight: 6, arbitrary: input }, pausing), { minLength: 1, maxLength: 6 }),
    },
  ),
});

const read = fc.record(
  {
    path: anyPath,
    from: fc.nat(40),
    count: fc.nat(40),
    limit: fc.integer({ min: 1, max: 50 }),
    descending: fc.boolean(),
    type: fc.constantFrom("a", "b", "nothing"),
  },
  { requiredKeys: ["path", "from", "count", "limit", "descending"] },
);

/** Appends of a round are sent at once; everything else has its turn for itself. */
const round = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("appends" as const),
      appends: fc.array(append, { minLength: 1, maxLength: 8 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read" as const), read }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), path: anyPath }) },
  { weight: 1, arbitrary: fc.constant({ kind: "delete-all" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
);

const stores = [memoryStore(), sqliteStore()];
let projects = 0;

afterAll(() => Promise.all(stores.map((store) => store.dispose())));

function toInput({ ahead, ...event }: Draft, head: number): EventInput {
  return ahead === undefined ? event : { ...event, offset: head + ahead };
}

/** Compared as text, so that no key of an object is special to the comparison. */
function expectSame(actual: unknown, expected: unknown, what: string): void {
  expect(JSON.stringify(actual), what).toBe(JSON.stringify(expected));
}

describe.each(stores)("the $name log", (store) => {
  test(
    "any interleaving gives the same stream as in the model",
    async () => {
      const property = fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 15 }), async (program) => {
        const world = new ModelWorld(store, `model-${++projects}`);
        const model = new Map(paths.map((path) => [path, new ModelStream()]));
        const at = (path: string) => model.get(path) as ModelStream;
        for (const [i, step] of program.entries()) {
          const what = `step ${i}, ${step.kind}`;
          world.clock.advance(10_000);
          switch (step.kind) {
            case "appends": {
              const batches = step.appends.map(({ path, batch }) => ({
                path,
                batch: batch.map((event) => toInput(event, at(path).head)),
              }));
              const outcomes = batches.map(({ path, batch }) => world.append(path, batch));
              const expected = batches.map(({ path, batch }) => at(path).append(batch));
              expectSame(await Promise.all(outcomes), expected, what);
              break;
            }
            case "read": {
              const { path, from, count, ...rest } = step.read;
              const after = Math.min(from, at(path).head);
              const request: ModelRead = { ...rest, after, before: after + 1 + count };
              expectSame(await world.read(path, request), at(path).read(request), what);
              break;
            }
            case "delete": {
              const head = at(step.path).delete();
              expectSame(await world.delete(step.path), head === undefined ? [] : [{ path: step.path, head }], what);
              break;
            }
            case "delete-all": {
              const expected = paths.flatMap((path) => {
                const head = at(path).delete();
                return head === undefined ? [] : [{ path, head }];
              });
              const deleted = await world.delete("/x", true);
              expectSame(
                deleted.filter(({ path }) => path !== "/x"),
                expected,
                what,
              );
              break;
            }
            case "restart":
              await world.restart();
          }
          const heads = paths.filter((path) => at(path).alive).map((path) => [path, at(path).head]);
          expectSame(await world.heads(), Object.fromEntries(heads), `heads after ${what}`);
        }
        const everything = { after: 0, before: 1e9, limit: 1e9, descending: false };
        for (const path of paths) expectSame(await world.read(path, everything), at(path).events, `${path} at the end`);
        await world.close();
      });
      await fc.assert(property, { numRuns: long ? 20 * store.runs : store.runs, ...replay });
    },
    timeoutMs,
  );

  test(
    "whatever races with deletions, each acknowledged event was there once, at its offset",
    async () => {
      const step = fc.oneof(
        {
          weight: 6,
          arbitrary: fc.record({
            kind: fc.constant("append" as const),
            path: anyPath,
            count: fc.integer({ min: 1, max: 5 }),
          }),
        },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), path: anyPath }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete-all" as const) }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant("turn" as const) }) },
      );
      const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (program) => {
        const world = new ModelWorld(store, `races-${++projects}`);
        const stop = new AbortController();
        const followers = paths.map((path) => world.follow(path, stop.signal));
        const appends: { path: string; payloads: number[]; outcome: ReturnType<ModelWorld["append"]> }[] = [];
        const deletions: ReturnType<ModelWorld["delete"]>[] = [];
        let n = 0;
        for (const action of program) {
          if (action.kind === "turn") await new Promise((resolve) => setImmediate(resolve));
          if (action.kind === "delete") deletions.push(world.delete(action.path));
          if (action.kind === "delete-all") deletions.push(world.delete("/x", true));
          if (action.kind !== "append") continue;
          const payloads = Array.from({ length: action.count }, () => ++n);
          const batch = payloads.map((number) => ({ type: "t", payload: number }));
          appends.push({ path: action.path, payloads, outcome: world.append(action.path, batch) });
        }
        const deleted = (await Promise.all(deletions)).flat();
        const acknowledged = new Map(paths.map((path) => [path, new Map<number, number>()]));
        for (const { path, payloads, outcome } of appends) {
          const answer = await outcome;
          if (!("offsets" in answer)) throw new Error(`an append was refused: ${answer.code}`);
          for (const [i, offset] of answer.offsets.entries()) {
            expect(acknowledged.get(path)?.has(offset), `offset ${offset} of ${path} was given twice`).toBe(false);
            acknowledged.get(path)?.set(offset, payloads[i] as number);
          }
        }
        const everything = { after: 0, before: 1e9, limit: 1e9, descending: false };
        const heads = await world.heads();
        for (const [i, path] of paths.entries()) {
          const answers = acknowledged.get(path) as Map<number, number>;
          const lives = deleted.filter((deletion) => deletion.path === path).map(({ head }) => head);
          expect(new Set(lives).size, `no life of ${path} ends twice`).toBe(lives.length);
          const gone = Math.max(0, ...lives);
          const events = await world.read(path, everything);
          const written = (found: ModelEvent[]) =>
            found.filter(({ type }) => type === "t").map(({ offset, payload: is }) => [offset, is]);
          const kept = [...answers].filter(([offset]) => offset > gone).sort(([one], [other]) => one - other);
          expectSame(written(events), kept, `what is left of ${path}`);
          expectSame(
            events.map(({ offset }) => offset),
            events.map((_, k) => gone + 1 + k),
            `offsets of ${path}`,
          );
          expectSame(heads[path], events.at(-1)?.offset, `head of ${path}`);
          if (i === 0) stop.abort();
          const seen = (await followers[i]) as ModelEvent[];
          expectSame(
            seen.map(({ offset }) => offset),
            [...new Set(seen.map(({ offset }) => offset))].sort((a, b) => a - b),
            `order seen of ${path}`,
          );
          for (const [offset, is] of written(seen)) expect(answers.get(offset as number), `${path} ${offset}`).toBe(is);
        }
        await world.close();
      });
      await fc.assert(property, { numRuns: long ? 20 * store.runs : store.runs, ...replay });
    },
    timeoutMs,
  );
});
