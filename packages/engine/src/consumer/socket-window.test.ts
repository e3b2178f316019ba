/** The window of a WebSocket subscription: what is sent ahead of its turn, and what becomes of it when the turn fails. */
import { createInProcessExpressions, createManualClock } from "@millrace/testing";
import { expect, test } from "vitest";
import { acknowledging, createPeer, type Peer } from "../../test/peer.ts";
import { gate, ofType, pass } from "../../test/processors.ts";
import { breakerOff, plainSecrets, pushingWorld, subscription, subscriptionEvent } from "../../test/pushing.ts";
import { builtin, type World } from "../../test/world.ts";
import { ExpressionError, type Expressions } from "../ports/expressions.ts";

const worldWith = (peer: Peer): World =>
  pushingWorld({ outbound: peer, secrets: plainSecrets() }, { clock: createManualClock() });

const socket = (extra: object = {}) =>
  subscription("live", {
    type: "websocket",
    callbackUrl: "wss://peer.example/socket",
    jsonataFilter: 'type = "a"',
    ...extra,
  });

async function appendMany(world: World, count: number): Promise<void> {
  await world.append(
    "/s",
    Array.from({ length: count }, (_, n) => ({ type: "a", payload: { n } })),
  );
  await pass(world, 500);
}

/** A peer that acknowledges when the test says so. */
function patientPeer() {
  const peer = createPeer(() => {});
  const say = (frame: object) => peer.requests.at(-1)?.onMessage(JSON.stringify(frame));
  return { peer, say, ack: (offset: number) => say({ type: "ack", offset }) };
}

const events = ({ frames }: Peer) => frames.filter(({ type }) => type === "event");
const offsets = (peer: Peer) => events(peer).map(({ offset }) => offset);
const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const cursor = async (world: World) => (await world.engine.state("public", "/s")).consumers.live?.cursor;

/** A stream whose first event of type "a" has the offset 4. */
async function prepared(peer: Peer, extra: object = {}): Promise<World> {
  const world = worldWith(peer);
  await world.append("/s", breakerOff);
  await world.append("/s", socket(extra));
  return world;
}

test("a hundred events are under way, and each that is acknowledged makes room for one", async () => {
  const { peer, ack } = patientPeer();
  const world = await prepared(peer);
  await appendMany(world, 250);
  expect(offsets(peer)).toEqual(range(4, 103));
  expect(events(peer).map(({ after }) => after)).toEqual(range(3, 102));
  ack(4);
  ack(5);
  await pass(world, 500);
  expect(offsets(peer)).toEqual(range(4, 105));
  for (let offset = 6; offset <= 253; offset++) {
    ack(offset);
    if (offset % 50 === 0) await pass(world, 500);
  }
  await pass(world, 500);
  expect([offsets(peer), peer.requests.length]).toEqual([range(4, 253), 1]);
});

test("what is appended while an event waits is sent at once", async () => {
  const { peer, ack } = patientPeer();
  const world = await prepared(peer);
  await appendMany(world, 1);
  await appendMany(world, 1);
  expect(offsets(peer)).toEqual([4, 5]);
  ack(4);
  ack(5);
  await pass(world, 2_000);
  expect(await cursor(world)).toBe(5);
});

test("the cursor stays in front of the first that is not acknowledged, whatever behind it is", async () => {
  const { peer, ack } = patientPeer();
  const world = await prepared(peer);
  await appendMany(world, 5);
  for (const offset of [8, 6, 5]) ack(offset);
  await pass(world, 2_000);
  expect(await cursor(world)).toBe(3);
  ack(4);
  await pass(world, 2_000);
  expect(await cursor(world)).toBe(6);
  ack(7);
  await pass(world, 2_000);
  expect(await cursor(world)).toBe(8);
  expect(offsets(peer)).toEqual(range(4, 8));
});

test("a request for an event that lies ahead sends nothing before that event's own turn", async () => {
  const { peer, ack } = patientPeer();
  const world = await prepared(peer);
  await world.append("/s", [
    subscriptionEvent("event-replay-requested", { slug: "live", offset: 6 }),
    { type: "a" },
    { type: "a" },
  ]);
  await pass(world, 500);
  expect(offsets(peer)).toEqual([5, 6]);
  ack(5);
  ack(6);
  await pass(world, 2_000);
  expect([await cursor(world), peer.ends, offsets(peer)]).toEqual([6, [], [5, 6]]);
});

test("each has its time from when it is the first that waits", async () => {
  const { peer, ack } = patientPeer();
  const world = await prepared(peer, { timeoutSeconds: 10 });
  await appendMany(world, 4);
  for (let offset = 4; offset <= 6; offset++) {
    await pass(world, 8_000);
    ack(offset);
  }
  await pass(world, 9_000);
  expect([peer.ends, await cursor(world)]).toEqual([[], 6]);
  await pass(world, 2_000);
  expect(peer.ends).toEqual(["4008 no acknowledgement in time"]);
});

test("an event that is not taken voids what was sent behind it: all comes again, over another connection", async () => {
  const { peer, ack, say } = patientPeer();
  const world = await prepared(peer);
  await appendMany(world, 4);
  ack(4);
  say({ type: "error", offset: 5, message: "not that one" });
  ack(6);
  await pass(world, 500);
  expect(peer.ends).toEqual(["4009 an event was not taken"]);
  ack(5);
  ack(7);
  await pass(world, 2_000);
  expect([offsets(peer), peer.requests.length]).toEqual([[4, 5, 6, 7, 5, 6, 7], 2]);
  expect(events(peer)[4]?.after).toBe(4);
  const [told] = await ofType(world, builtin("error-occurred"));
  expect(told?.payload).toMatchObject({
    about: { offset: 5 },
    message: expect.stringMatching(/reported: not that one$/),
  });
  expect(await cursor(world)).toBe(4);
});

test("a refusal of an event that has not its turn yet waits for that", async () => {
  const { peer, ack, say } = patientPeer();
  const world = await prepared(peer);
  await appendMany(world, 4);
  say({ type: "error", offset: 6, message: "not that one" });
  await pass(world, 500);
  expect(peer.ends).toEqual([]);
  ack(4);
  ack(5);
  await pass(world, 500);
  expect([peer.ends, await cursor(world)]).toEqual([["4009 an event was not taken"], 5]);
});

test("who hangs up gets again what it did not acknowledge, and nothing else", async () => {
  const { peer, ack } = patientPeer();
  const world = await prepared(peer);
  await appendMany(world, 5);
  for (const offset of [4, 5, 6]) ack(offset);
  peer.hangUp();
  await pass(world, 3_000);
  expect(offsets(peer)).toEqual([4, 5, 6, 7, 8, 7, 8]);
  expect(events(peer).map(({ after }) => after)).toEqual([3, 4, 5, 6, 7, 6, 7]);
});

test("an expression that fails ahead of its turn halts at its event, when all before it was taken", async () => {
  const { peer, ack } = patientPeer();
  const world = await prepared(peer, { jsonataTransform: 'payload.n = 2 ? $error("no") : payload.n' });
  await appendMany(world, 5);
  expect(offsets(peer)).toEqual([4, 5]);
  expect(await ofType(world, builtin("subscription/halted"))).toEqual([]);
  ack(4);
  ack(5);
  await pass(world, 500);
  const [halted] = await ofType(world, builtin("subscription/halted"));
  expect(halted?.payload).toMatchObject({ slug: "live", offset: 6, attempts: 1 });
  expect(peer.ends).toEqual(["1000 the subscription has ended"]);
});

test("an expression that is stopped waits for its next attempt, whatever is appended meanwhile", async () => {
  const peer = acknowledging();
  let asked = 0;
  const stopping: Expressions = {
    evaluate: async (_, event) => {
      if (!event.includes('"n":1')) return { matched: event.includes('"type":"a"') };
      asked++;
      throw new ExpressionError("stopped", "It took too long.");
    },
    close: async () => {},
  };
  const world = pushingWorld(
    { outbound: peer, secrets: plainSecrets(), expressions: stopping },
    { clock: createManualClock() },
  );
  await world.append("/s", breakerOff);
  await world.append("/s", socket());
  await appendMany(world, 3);
  for (let i = 0; i < 10; i++) await world.append("/s", { type: "b" });
  expect([offsets(peer), peer.open(), asked]).toEqual([[4], 1, 1]);
  await pass(world, 1_500);
  expect(asked).toBe(2);
});

test("what is to be delivered again has its turn alone, and acknowledges itself", async () => {
  const { peer, ack } = patientPeer();
  const world = await prepared(peer);
  await appendMany(world, 2);
  await world.append("/s", subscriptionEvent("event-replay-requested", { slug: "live", offset: 4 }));
  await appendMany(world, 2);
  expect(offsets(peer)).toEqual([4, 5]);
  ack(4);
  ack(5);
  await pass(world, 500);
  expect(offsets(peer)).toEqual([4, 5, 4, 7, 8]);
  expect(events(peer).map(({ after }) => after)).toEqual([3, 4, 3, 5, 7]);
  for (const offset of [4, 7, 8]) ack(offset);
  await pass(world, 2_000);
  expect(await cursor(world)).toBe(8);
});

test("behind its new configuration nothing goes to the old place", async () => {
  const { peer, ack } = patientPeer();
  const world = await prepared(peer);
  await appendMany(world, 2);
  const moved = socket({ callbackUrl: "wss://moved.example/socket" });
  await world.append("/s", [moved, { type: "a" }, { type: "a" }]);
  await pass(world, 500);
  expect(offsets(peer)).toEqual([4, 5]);
  ack(4);
  await pass(world, 1_000);
  expect(peer.requests.map(({ url }) => new URL(url).host)).toEqual(["peer.example", "moved.example"]);
  ack(5);
  await pass(world, 500);
  expect(offsets(peer)).toEqual([4, 5, 5, 7, 8]);
});

test("is no more than the peer reads: while there is no room nothing more is sent, and time runs all the same", async () => {
  const peer = createPeer(() => {});
  const full: Peer = {
    ...peer,
    async connect(request) {
      const socket = await peer.connect(request);
      const send = (text: string) => socket.send(text).then(() => new Promise<void>(() => {}));
      return { ...socket, send };
    },
  };
  const world = await prepared(full);
  await appendMany(world, 50);
  expect(offsets(peer)).toEqual([4, 5]);
  await pass(world, 15_000);
  expect(peer.ends).toEqual(["4008 no acknowledgement in time"]);
});

/** A world in which something is done, or waited for, before each evaluation. */
async function filtering(peer: Peer, before: (event: string) => Promise<void> | undefined) {
  const inside = createInProcessExpressions();
  const expressions: Expressions = {
    async evaluate(rule, event) {
      await before(event);
      return inside.evaluate(rule, event);
    },
    close: () => inside.close(),
  };
  const world = pushingWorld({ outbound: peer, secrets: plainSecrets(), expressions }, { clock: createManualClock() });
  await world.append("/s", breakerOff);
  return world;
}

test("a filter that lets little through is asked once for each event", async () => {
  const peer = acknowledging();
  let asked = 0;
  const world = await filtering(peer, (event) => {
    if (event.includes('"type":"a"')) asked++;
    return undefined;
  });
  await world.append("/s", socket({ jsonataFilter: "payload.n % 100 = 0" }));
  await appendMany(world, 2_500);
  await pass(world, 2_000);
  expect(asked).toBe(2_500);
  expect(offsets(peer)).toEqual(Array.from({ length: 25 }, (_, i) => 4 + i * 100));
  expect(await cursor(world)).toBe(2_503);
});

test.each(["in its turn", "ahead of it"])("nothing of a deleted stream is sent, looked at %s", async (when) => {
  const { peer, ack } = patientPeer();
  const { opened, open } = gate();
  const world = await filtering(peer, (event) => (JSON.parse(event).payload?.n === "late" ? opened : undefined));
  await world.append("/s", socket());
  await appendMany(world, 1);
  if (when === "in its turn") ack(4);
  await pass(world, 500);
  await world.append("/s", { type: "a", payload: { n: "late" } });
  await pass(world, 500);
  expect(offsets(peer)).toEqual([4]);
  await world.engine.delete("public", "/s", { children: false });
  open();
  await pass(world, 2_000);
  expect(offsets(peer)).toEqual([4]);
});
