/** A subscription that is changed while a delivery is under way: what comes of the old one is no news of the new one. */
import {
  createManualClock,
  createSeededRandom,
  createSimulatedNetwork,
  type Receiver,
  type SimulatedNetwork,
} from "@millrace/testing";
import { expect, test } from "vitest";
import { gate, ofType, pass } from "../../test/processors.ts";
import { plainSecrets, pushingWorld, subscription } from "../../test/pushing.ts";
import { builtin, type World } from "../../test/world.ts";

const oldUrl = "https://old.example/hook";
const newUrl = "https://new.example/hook";
const hook = (callbackUrl: string, extra: object = {}) =>
  subscription("audit", { type: "webhook", callbackUrl, ...extra });

function worldOf(receivers: Record<string, Receiver>): World & { network: SimulatedNetwork } {
  const clock = createManualClock();
  const network = createSimulatedNetwork({ clock, random: createSeededRandom(7) });
  for (const [url, receiver] of Object.entries(receivers)) network.register(url, receiver);
  return { ...pushingWorld({ outbound: network, secrets: plainSecrets() }, { clock }), network };
}

test.each([410, 422])(
  "a %i that comes when the receiver was replaced says nothing about the new one",
  async (status) => {
    const { opened, open } = gate();
    let asked = 0;
    const late: Receiver = async () => {
      if (++asked === (status === 410 ? 1 : 3)) await opened;
      return { status };
    };
    const world = worldOf({ [oldUrl]: late, [newUrl]: () => ({ status: 200 }) });
    await world.append("/s", hook(oldUrl));
    await world.append("/s", { type: "a" });
    await pass(world, 10_000);
    await world.append("/s", hook(newUrl));
    open();
    await pass(world, 30_000);
    expect(await ofType(world, builtin("subscription/removed"))).toEqual([]);
    expect(await ofType(world, builtin("subscription/event-parked"))).toEqual([]);
    const came = world.network.received.filter(({ url }) => url === newUrl).map(({ body }) => JSON.parse(body).type);
    expect(came).toContain("a");
  },
);

test("a 410 that comes when the stream was deleted says nothing about its next life", async () => {
  const { opened, open } = gate();
  let asked = 0;
  const late: Receiver = async () => {
    if (++asked === 1) await opened;
    return { status: asked === 1 ? 410 : 200 };
  };
  const world = worldOf({ [oldUrl]: late });
  await world.append("/s", [hook(oldUrl), { type: "a" }]);
  await pass(world, 1_000);
  await world.engine.delete("public", "/s", { children: false });
  await world.append("/s", hook(oldUrl, { startFrom: "start" }));
  open();
  await pass(world, 30_000);
  expect((await world.events("/s")).map(({ type }) => type)).toEqual([builtin("initialized"), hook(oldUrl).type]);
  expect(world.network.received.slice(1).map(({ body }) => JSON.parse(body).type)).toEqual([builtin("initialized")]);
});

test.each(["removed", "halted"] as const)(
  "what comes of a delivery when its subscription was %s changes nothing",
  async (how) => {
    const { opened, open } = gate();
    const world = worldOf({ [oldUrl]: () => opened.then(() => ({ status: 410 })) });
    await world.append("/s", [hook(oldUrl), { type: "a" }]);
    await pass(world, 1_000);
    const halt = how === "removed" ? {} : { offset: 3, message: "by another server" };
    await world.append("/s", { type: builtin(`subscription/${how}`), payload: { slug: "audit", ...halt } as never });
    open();
    await pass(world, 30_000);
    const types = (await world.events("/s")).map(({ type }) => type);
    expect(types.filter((type) => type === builtin("subscription/removed"))).toHaveLength(how === "removed" ? 1 : 0);
  },
);
