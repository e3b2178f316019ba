/** Subscriptions that deliver into another stream: what goes there, once each, and what holds it up. */
import { expect, test } from "vitest";
import { errorsIn, ofType, pass } from "../../test/processors.ts";
import {
  breakerOff,
  crashes,
  noOutbound,
  paused,
  plainSecrets,
  pushingWorld,
  resumed,
  subscription,
  subscriptionEvent,
} from "../../test/pushing.ts";
import { builtin, untilQuiet, type World, type WorldOptions } from "../../test/world.ts";
import { ExpressionError } from "../ports/expressions.ts";

const halts = builtin("subscription/halted");
const toParent = (slug: string, extra: object = {}) => subscription(slug, { type: "stream", path: "/p", ...extra });

function forwarding(options: WorldOptions = {}): World {
  return pushingWorld({ outbound: noOutbound, secrets: plainSecrets() }, options);
}

async function payloads(world: World, type: string, path = "/p"): Promise<unknown[]> {
  return (await ofType(world, type, path)).map(({ payload }) => payload);
}

test("events are forwarded with payload and metadata, and name their cause; built-in ones are not", async () => {
  const world = forwarding();
  await world.append("/c", { type: "before" });
  await world.append("/c", [
    toParent("up"),
    { type: "answered", payload: { text: "42" }, metadata: { by: "x" } },
    { type: builtin("metadata-updated"), payload: { metadata: { a: 1 } } },
    paused,
  ]);
  await pass(world, 1_000);
  const events = (await world.events("/p")).filter(({ type }) => !type.includes("child-stream"));
  expect(events.map(({ type }) => type)).toEqual([builtin("initialized"), "answered"]);
  expect(events[1]).toMatchObject({
    payload: { text: "42" },
    metadata: { by: "x" },
    source: { kind: "subscription", slug: "up", cause: { streamPath: "/c", offset: 4 }, depth: 1 },
  });
  expect((await world.engine.state("public", "/c")).consumers.up).toEqual({ kind: "subscription", cursor: 6, lag: 0 });
});

test("a filter chooses, and a transform makes what is sent: one event, several or none", async () => {
  const world = forwarding();
  const jsonataTransform = "payload.parts.{'type': 'part', 'payload': $}";
  await world.append("/c", toParent("up", { jsonataFilter: "type = 'answered'", jsonataTransform }));
  await world.append("/c", [
    { type: "thought", payload: { parts: ["no"] } },
    { type: "answered", payload: { parts: ["a", "b"] } },
    { type: "answered", payload: {} },
  ]);
  await pass(world, 1_000);
  expect(await payloads(world, "part")).toEqual(["a", "b"]);
});

test("startFrom: start delivers the whole history", async () => {
  const world = forwarding();
  await world.append("/c", [{ type: "a" }, { type: "b" }, toParent("up", { startFrom: "start" })]);
  await pass(world, 1_000);
  expect((await world.events("/p")).map(({ type }) => type).filter((type) => type.length === 1)).toEqual(["a", "b"]);
});

test("every event is forwarded once, whenever the server crashes", async () => {
  const crashing = crashes(forwarding);
  await crashing.world.append("/c", [breakerOff, toParent("up")]);
  await crashing.world.append("/p", breakerOff);
  for (let n = 0; n < 30; n++) {
    await crashing.world.append("/c", { type: "answered", payload: n });
    if (n % 5 === 0) await untilQuiet();
    if (n % 4 === 0) crashing.crash();
  }
  await pass(crashing.world, 30_000);
  expect(await payloads(crashing.world, "answered")).toEqual(Array.from({ length: 30 }, (_, n) => n));
});

test("it goes on while its own stream is paused, and waits for a target that is", async () => {
  const world = forwarding();
  await world.append("/c", toParent("up"));
  await world.append("/c", [{ type: "answered", payload: 1 }, paused]);
  await pass(world, 1_000);
  expect(await payloads(world, "answered")).toEqual([1]);
  await world.append("/c", [resumed, { type: "between" }]);
  await pass(world, 1_000);
  await world.append("/p", paused);
  await world.append("/c", { type: "answered", payload: 2 });
  await pass(world, 120_000, 1_000);
  expect(await payloads(world, "answered")).toEqual([1]);
  const { up } = (await world.engine.state("public", "/c")).consumers;
  expect(up).toMatchObject({ lag: 1, lastError: expect.stringContaining("paused") });
  await world.append("/p", resumed);
  await pass(world, 100);
  expect(await payloads(world, "answered")).toEqual([1, 2]);
  expect(await errorsIn(world, "/c")).toEqual([]);
});

test("a subscription that begins while its stream is paused delivers, and so does one after a restart", async () => {
  const world = forwarding();
  await world.append("/c", toParent("up", { startFrom: "start" }));
  await world.append("/p", paused);
  await world.append("/c", [{ type: "answered", payload: 1 }, paused]);
  await world.engine.close();
  const next = forwarding({ directory: world.directory, clock: world.clock });
  await next.append("/p", resumed);
  await pass(next, 5_000);
  expect(await payloads(next, "answered")).toEqual([1]);
});

test("one that would deliver into its own stream is halted at once", async () => {
  const world = forwarding();
  await world.append("/p", toParent("self"));
  await world.append("/p", { type: "a" });
  await pass(world, 1_000);
  expect(await payloads(world, halts)).toEqual([
    expect.objectContaining({ slug: "self", offset: 2, message: expect.stringContaining("into its own stream") }),
  ]);
});

test("two streams that forward to each other come to an end, which the one that ended it explains", async () => {
  const world = forwarding();
  const limits = {
    type: builtin("circuit-breaker-configured"),
    payload: { burstCapacity: 0, refillRatePerMinute: 1, maxDepth: 40 },
  };
  await world.append("/p", [limits, subscription("down", { type: "stream", path: "/c" })]);
  await world.append("/c", [limits, toParent("up")]);
  await world.append("/c", { type: "ball" });
  await pass(world, 10_000);
  const states = [await world.engine.state("public", "/p"), await world.engine.state("public", "/c")];
  expect(states.map(({ paused }) => paused)).toContain(true);
  expect(states.map(({ pause }) => pause?.cause)).toContainEqual(expect.objectContaining({ kind: "depth" }));
  expect((await ofType(world, "ball", "/c")).length).toBeLessThan(50);
});

test("one event is delivered again when somebody asks for it, whatever the filter says", async () => {
  const world = forwarding();
  await world.append("/c", toParent("up", { jsonataFilter: "type = 'answered'" }));
  await world.append("/c", [{ type: "thought" }, { type: "answered" }]);
  await world.append("/c", subscriptionEvent("event-replay-requested", { slug: "up", offset: 3 }));
  await world.append("/c", subscriptionEvent("event-replay-requested", { slug: "other", offset: 3 }));
  await world.append("/c", subscriptionEvent("event-replay-requested", { slug: "up", offset: 99 }));
  await pass(world, 1_000);
  const types = (await world.events("/p")).map(({ type }) => type);
  expect(types.filter((type) => !type.includes("/"))).toEqual(["answered", "thought"]);
});

test("what had not come when it was asked for is delivered once, in its own turn", async () => {
  const world = forwarding();
  await world.append("/c", toParent("up"));
  await world.append("/c", [
    subscriptionEvent("event-replay-requested", { slug: "up", offset: 4 }),
    { type: "thought" },
  ]);
  await pass(world, 1_000);
  const types = (await world.events("/p")).map(({ type }) => type);
  expect(types.filter((type) => !type.includes("/"))).toEqual(["thought"]);
});

test("a removed one delivers nothing more; the same slug later is another one, which begins at its configuration", async () => {
  const world = forwarding();
  await world.append("/c", toParent("up"));
  await world.append("/c", [subscriptionEvent("removed", { slug: "up" }), { type: "a" }]);
  await pass(world, 1_000);
  await world.append("/c", [toParent("up"), { type: "b" }]);
  await pass(world, 1_000);
  expect((await world.events("/p")).map(({ type }) => type).filter((type) => type.length === 1)).toEqual(["b"]);
});

test("a filter that is stopped is tried as often as a receiver that is away", async () => {
  const stopped = new ExpressionError("stopped", "The expression did not end within 100 ms.");
  const expressions = { evaluate: () => Promise.reject(stopped), close: async () => {} };
  const world = pushingWorld({ expressions, outbound: noOutbound, secrets: plainSecrets() });
  await world.append("/c", toParent("up", { jsonataFilter: "true" }));
  await world.append("/c", { type: "a" });
  await pass(world, 12 * 3_600_000, 60_000);
  const halted = await ofType(world, halts, "/c");
  const { message } = stopped;
  expect(halted.map(({ payload }) => payload)).toMatchObject([{ slug: "up", offset: 3, attempts: 15, message }]);
});
