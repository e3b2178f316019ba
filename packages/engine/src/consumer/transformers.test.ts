/** Transformers: what they append, what becomes of failures, and that nothing is skipped or twice. */
import { describe, expect, test } from "vitest";
import { errorsIn, ofType, pass } from "../../test/processors.ts";
import {
  breakerOff,
  crashes,
  paused,
  pushingWorld,
  resumed,
  transformer,
  transformerEvent,
} from "../../test/pushing.ts";
import { builtin, untilQuiet, type World } from "../../test/world.ts";
import { type Evaluated, ExpressionError, type Expressions } from "../ports/expressions.ts";

const double = transformer("double", "type = 'number'", "{'type': 'doubled', 'payload': payload * 2}");
const halts = builtin("jsonata-transformer-halted");
const number = (payload: number) => ({ type: "number", payload });

async function payloads(world: World, type: string): Promise<unknown[]> {
  return (await ofType(world, type)).map(({ payload }) => payload);
}

test("what matches is rewritten into a new event that names its cause; the old one stays", async () => {
  const world = pushingWorld();
  await world.append("/s", [number(1), double, number(2), { type: "other" }]);
  await pass(world, 1_000);
  expect(await payloads(world, "doubled")).toEqual([4]);
  expect((await ofType(world, "doubled"))[0]?.source).toEqual({
    kind: "transformer",
    slug: "double",
    cause: { streamPath: "/s", offset: 4 },
    depth: 1,
  });
  const state = await world.engine.state("public", "/s");
  expect(state.consumers.double).toEqual({ kind: "transformer", cursor: 6, lag: 0 });
});

test("a list gives several events in order, and no result none", async () => {
  const world = pushingWorld();
  const each = transformer("each", "type = 'list'", "payload.{'type': 'item', 'payload': $}");
  await world.append("/s", [each, { type: "list", payload: [1, 2, 3] }, { type: "list", payload: [] }]);
  await world.append("/s", { type: "list", payload: ["alone"] });
  await pass(world, 1_000);
  expect(await payloads(world, "item")).toEqual([1, 2, 3, "alone"]);
  expect(await errorsIn(world)).toEqual([]);
});

test("a transformer that matches everything never sees its own output, but another one's", async () => {
  const world = pushingWorld();
  const all = (slug: string) =>
    transformer(
      slug,
      "type != 'stop' and $not($contains(type, 'events.iterate'))",
      "{'type': type & payload.by & 'X'}",
    );
  await world.append("/s", all("a"));
  await world.append("/s", { type: "ping" });
  await pass(world, 1_000);
  expect((await world.events("/s")).map(({ type }) => type).slice(2)).toEqual(["ping", "pingX"]);
});

test("two transformers that feed each other are paused by the breaker, which says why", async () => {
  const world = pushingWorld();
  const from = (slug: string, type: string, to: string) => transformer(slug, `type = '${type}'`, `{'type': '${to}'}`);
  await world.append("/s", [from("a", "ping", "pong"), from("b", "pong", "ping")]);
  await world.append("/s", { type: "ping" });
  await pass(world, 10_000);
  const state = await world.engine.state("public", "/s");
  expect(state.paused).toBe(true);
  expect(state.pause?.cause).toMatchObject({ kind: "rate" });
  expect(state.head).toBeLessThan(600);
});

test.each([
  ["fails", "{'type': $number(payload)}", "Unable to cast value to a number"],
  ["gives no event", "payload", "expected an object with a type, got a string"],
  ["gives an event without a type", "{'payload': 1}", "type: expected a string"],
  ["gives what only the server may write", `{'type': '${halts}', 'payload': {}}`, "only the server may write"],
  ["gives an unknown key", "{'type': 'a', 'color': 'red'}", "color"],
])("an expression that %s halts it at once, and a better one goes on at that event", async (_, transform, message) => {
  const world = pushingWorld();
  await world.append("/s", transformer("t", "type = 'sent'", transform));
  await world.append("/s", [
    { type: "sent", payload: "one" },
    { type: "sent", payload: "two" },
  ]);
  await pass(world, 60_000);
  const [halt, ...more] = await ofType(world, halts);
  expect(more).toEqual([]);
  expect(halt?.payload).toMatchObject({ slug: "t", offset: 3, attempts: 1, message: expect.stringContaining(message) });
  expect((await world.engine.state("public", "/s")).consumers.t).toMatchObject({ halted: { offset: 3 }, cursor: 2 });
  await world.append("/s", transformer("t", "type = 'sent'", "{'type': 'taken', 'payload': payload}"));
  await pass(world, 1_000);
  expect(await payloads(world, "taken")).toEqual(["one", "two"]);
});

describe("an expression that is stopped", () => {
  function stopping(times: number): Expressions {
    let left = times;
    return {
      async evaluate(): Promise<Evaluated> {
        if (left-- > 0) throw new ExpressionError("stopped", "The expression did not end within 100 ms.");
        return { matched: true, result: '{"type":"done"}' };
      },
      close: async () => {},
    };
  }

  test("is told once and tried again", async () => {
    const world = pushingWorld({ expressions: stopping(3) });
    await world.append("/s", transformer("t", "true", "{}"));
    await world.append("/s", { type: "ping" });
    await pass(world, 60_000);
    expect(await errorsIn(world)).toEqual(["The expression did not end within 100 ms."]);
    expect(await ofType(world, "done")).toHaveLength(1);
  });

  test("halts it after five attempts; resumed, it goes on behind the event that it is told", async () => {
    const world = pushingWorld({ expressions: stopping(5) });
    await world.append("/s", transformer("t", "true", "{}"));
    await world.append("/s", { type: "ping" });
    await pass(world, 60_000);
    expect((await ofType(world, halts)).map(({ payload }) => payload)).toEqual([
      expect.objectContaining({ slug: "t", offset: 3, attempts: 5, startedBy: 2 }),
    ]);
    await world.append("/s", transformerEvent("resumed", { slug: "t", from: "head" }));
    await world.append("/s", { type: "pong" });
    await pass(world, 1_000);
    const done = await ofType(world, "done");
    expect(done.map(({ source }) => source?.cause?.offset)).toEqual([7]);
  });
});

test("nothing is skipped and nothing is twice over crashes at any moment", async () => {
  const crashing = crashes((options) => pushingWorld({}, options));
  await crashing.world.append("/s", [breakerOff, double]);
  for (let n = 1; n <= 20; n++) {
    await crashing.world.append("/s", number(n));
    if (n % 4 === 0) await untilQuiet();
    if (n % 3 === 0) crashing.crash();
  }
  await pass(crashing.world, 30_000);
  const doubled = await payloads(crashing.world, "doubled");
  expect(doubled).toEqual(Array.from({ length: 20 }, (_, i) => 2 * (i + 1)));
});

test("while the stream is paused nothing is rewritten; what came before is on resumed", async () => {
  const world = pushingWorld();
  await world.append("/s", double);
  await world.append("/s", [number(1), paused]);
  await pass(world, 10_000);
  expect(await payloads(world, "doubled")).toEqual([]);
  await world.append("/s", resumed);
  await pass(world, 1_000);
  expect(await payloads(world, "doubled")).toEqual([2]);
});

test("a removed one rewrites no more, and a stream has no more of them than its limit", async () => {
  const world = pushingWorld({}, { limits: { transformersPerStream: 2 } });
  const named = (slug: string) => transformer(slug, "type = 'number'", `{'type': '${slug}'}`);
  await world.append("/s", [named("a"), named("b"), named("b")]);
  expect(await world.refusal(world.append("/s", named("c")))).toMatchObject({ code: "rate_limited", limit: 2 });
  await world.append("/s", transformerEvent("removed", { slug: "a" }));
  await world.append("/s", [named("c"), number(1)]);
  await pass(world, 1_000);
  expect([await ofType(world, "a"), await ofType(world, "b"), await ofType(world, "c")].map((l) => l.length)).toEqual([
    0, 1, 1,
  ]);
});

test("a halt of a version that was replaced meanwhile does not halt the new one", async () => {
  const world = pushingWorld();
  await world.append("/s", transformer("t", "type = 'sent'", "payload"));
  // Both are in one commit: the old version has no time to stop at the event before the new one is there.
  const failing = world.append("/s", { type: "sent" });
  const replacing = world.append("/s", transformer("t", "type = 'sent'", "{'type': 'taken'}"));
  await Promise.all([failing, replacing]);
  await pass(world, 10_000);
  expect((await world.engine.state("public", "/s")).consumers.t?.halted).toBeUndefined();
  expect(await ofType(world, "taken")).toHaveLength(1);
});
