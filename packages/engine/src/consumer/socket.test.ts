/** WebSocket subscriptions: how long one connection is kept, what proves who connects, and what ends it. */
import { createManualClock } from "@millrace/testing";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { acknowledging, createPeer, type Peer } from "../../test/peer.ts";
import { ofType, pass } from "../../test/processors.ts";
import { plainSecrets, pushingWorld, subscription, subscriptionEvent } from "../../test/pushing.ts";
import { builtin, type World, type WorldOptions } from "../../test/world.ts";

const signing = "c2lnbmluZyBrZXkgb2YgdGhlIHRlc3Q=";
const pinned = { hosts: ["peer.example"] };

const socket = (extra: object = {}) =>
  subscription("live", { type: "websocket", callbackUrl: "wss://peer.example/socket", ...extra });

function worldWith(peer: Peer, options: WorldOptions = {}): World {
  const secrets = plainSecrets({
    KEY: { ...pinned, value: "sk-very-secret" },
    SIGNING: { ...pinned, value: signing },
    OTHER: { hosts: ["other.example"], value: "sk-of-others" },
  });
  return pushingWorld({ outbound: peer, secrets }, { clock: createManualClock(), ...options });
}

async function shown(world: World) {
  return (await world.engine.state("public", "/s")).consumers.live;
}

const offsets = ({ frames }: Peer) => frames.map(({ offset }) => offset);

test("one connection for all that comes, closed after a minute with nothing, and opened again", async () => {
  const peer = acknowledging();
  const world = worldWith(peer);
  await world.append("/s", socket());
  await pass(world, 1_000);
  expect(peer.requests).toEqual([]);
  for (let i = 0; i < 3; i++) {
    await world.append("/s", { type: "a" });
    await pass(world, 30_000);
  }
  expect([offsets(peer), peer.requests.length, peer.open()]).toEqual([[3, 4, 5], 1, 1]);
  await pass(world, 31_000);
  expect([peer.open(), peer.ends]).toEqual([0, ["1000 idle"]]);
  await world.append("/s", { type: "a" });
  await pass(world, 1_000);
  expect([offsets(peer), peer.requests.length]).toEqual([[3, 4, 5, 6], 2]);
  expect(peer.frames.map(({ after }) => after)).toEqual([2, 3, 4, 5]);
});

test("a peer that appends keeps it open, until it has been silent for a minute", async () => {
  const peer = acknowledging();
  const world = worldWith(peer);
  await world.append("/s", socket());
  await world.append("/s", { type: "a" });
  await pass(world, 50_000);
  peer.requests[0]?.onMessage(JSON.stringify({ type: "append", id: "1", path: "/other", event: { type: "b" } }));
  await pass(world, 59_000);
  expect([peer.frames.at(-1)?.type, peer.open()]).toEqual(["appended", 1]);
  await pass(world, 2_000);
  expect([peer.open(), peer.ends]).toEqual([0, ["1000 idle"]]);
});

test("its stream stays in memory for as long as it is open, so that what ends the subscription ends it", async () => {
  const peer = acknowledging();
  const world = worldWith(peer, { limits: { openStreams: 1 } });
  await world.append("/s", socket());
  await world.append("/s", { type: "a" });
  await pass(world, 5_000);
  for (const path of ["/b", "/c", "/d"]) await world.append(path, { type: "b" });
  await pass(world, 5_000);
  expect(peer.open()).toBe(1);
  await world.append("/s", subscriptionEvent("removed", { slug: "live" }));
  await pass(world, 500);
  expect(peer.ends).toEqual(["1000 the subscription has ended"]);
});

test("the request is signed, and its secrets are those that are pinned to the host", async () => {
  const peer = acknowledging();
  const world = worldWith(peer);
  const headers = { authorization: "Bearer {{secret:KEY}}" };
  await world.append("/s", socket({ headers, signingSecret: "{{secret:SIGNING}}" }));
  await world.append("/s", { type: "a" });
  await pass(world, 1_000);
  const [request] = peer.requests;
  const { streamId } = await world.engine.state("public", "/s");
  expect(request?.url).toBe("https://peer.example/socket");
  expect(request?.headers).toMatchObject({ authorization: "Bearer sk-very-secret", "webhook-id": `${streamId}.live` });
  const at = new Date(Number(request?.headers["webhook-timestamp"]) * 1_000);
  const signature = new Webhook(signing).sign(`${streamId}.live`, at, "");
  expect(request?.headers["webhook-signature"]).toBe(signature);
});

test("a secret of another host opens nothing, and its value is in no event", async () => {
  const peer = acknowledging();
  const world = worldWith(peer);
  await world.append("/s", socket({ headers: { "x-key": "{{secret:OTHER}}" } }));
  await world.append("/s", { type: "a" });
  await pass(world, 1_000);
  expect(peer.requests).toEqual([]);
  const [told] = await ofType(world, builtin("error-occurred"));
  expect(told?.payload).toMatchObject({ message: expect.stringMatching(/OTHER may not be sent there/) });
  expect(JSON.stringify(told)).not.toContain("sk-of-others");
});

test("a reported failure is told without the secrets of its headers", async () => {
  const peer = createPeer((_, say) => say({ type: "error", message: "what is sk-very-secret?" }));
  const world = worldWith(peer);
  await world.append("/s", socket({ headers: { "x-key": "{{secret:KEY}}" } }));
  await world.append("/s", { type: "a" });
  await pass(world, 500);
  expect((await shown(world))?.lastError).toBe("wss://peer.example reported: what is {{secret:KEY}}?");
});

test("without an acknowledgement it is cut after 15 s, tried over another one, and halted in the end", async () => {
  const peer = createPeer(() => {});
  const world = worldWith(peer);
  await world.append("/s", socket());
  await world.append("/s", { type: "a" });
  await pass(world, 14_500);
  expect([peer.ends, peer.open()]).toEqual([[], 1]);
  await pass(world, 1_500);
  expect(peer.ends.slice(0, 1)).toEqual(["4008 no acknowledgement in time"]);
  await pass(world, 20_000_000, 20_000);
  expect(peer.requests).toHaveLength(15);
  const [halted] = await ofType(world, builtin("subscription/halted"));
  expect(halted?.payload).toMatchObject({ slug: "live", offset: 3, attempts: 15 });
  expect([new Set(offsets(peer)), peer.open()]).toEqual([new Set([3]), 0]);
});

test("who hangs up while an event waits gets it again, over another connection", async () => {
  let calls = 0;
  const peer: Peer = createPeer(({ offset }, say) => {
    calls++;
    if (calls === 1) peer.hangUp();
    else say({ type: "ack", offset });
  });
  const world = worldWith(peer);
  await world.append("/s", socket());
  await world.append("/s", { type: "a" });
  await pass(world, 3_000);
  expect([offsets(peer).slice(0, 2), peer.requests.length]).toEqual([[3, 3], 2]);
});

test.each([
  ["its removal", (world: World) => world.append("/s", subscriptionEvent("removed", { slug: "live" }))],
  ["the deletion of its stream", (world: World) => world.engine.delete("public", "/s", { children: false })],
  ["the end of the server", (world: World) => world.engine.close()],
])("%s closes it, and nothing of the peer is taken from then on", async (_, end) => {
  const peer = acknowledging();
  const world = worldWith(peer);
  await world.append("/s", socket());
  await world.append("/s", { type: "a" });
  await pass(world, 1_000);
  expect(peer.open()).toBe(1);
  await end(world);
  await pass(world, 100);
  expect([peer.open(), peer.ends]).toEqual([0, ["1000 the subscription has ended"]]);
  const seen = peer.frames.length;
  peer.requests[0]?.onMessage(JSON.stringify({ type: "append", id: "late", path: "/late", event: { type: "x" } }));
  await pass(world, 100);
  expect(peer.frames.length).toBe(seen);
});
