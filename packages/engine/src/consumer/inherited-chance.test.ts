/**
 * A configuration for a subtree under chance: streams are born, deleted and acted on while it is committed and replaced,
 * commits fail before or after they happened, and servers die anywhere. What became visible behind it is acted on, once;
 * what was there before is not.
 */
import { defineProcessor } from "@millrace/protocol";
import { createSeededRandom, type Intercept } from "@millrace/testing";
import { expect, test } from "vitest";
import { after, configured, pass, type Scripts, worldOf } from "../../test/processors.ts";
import { builtin, untilQuiet, type World } from "../../test/world.ts";
import { decodeRecord } from "../record.ts";

const seeds = Number(process.env.MILLRACE_INHERITED_SEEDS ?? 150);
const steps = 40;
const below = ["/a/one", "/a/two", "/a/one/deep", "/a/three/far/down"];

const answering = (version: number) =>
  defineProcessor<number>({
    slug: "checker",
    initialState: 0,
    reduce: ({ state, event }) => (event.type === "ping" ? state + 1 : state),
    async afterAppend({ event, state, append }) {
      if (event.type === "ping") await append({ type: "pong", payload: { of: event.offset, state, version } });
    },
  });
const scripts: Scripts = { checker: answering(1), two: answering(2), three: answering(3) };

test.each(Array.from({ length: seeds }, (_, i) => i + 1))("seed %i", async (seed) => {
  const random = createSeededRandom(seed);
  const chance = (n: number) => Math.floor(random.fraction() * n);
  let life = { dead: false };

  /** Until the servers are left in peace. */
  let isRough = true;
  function intercepting(): Intercept {
    const own = { dead: false };
    life = own;
    return async ({ operation }, proceed) => {
      const isAway = () => (own.dead ? new Promise<never>(() => {}) : undefined);
      await isAway();
      for (let turns = chance(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      await isAway();
      const fails = isRough && (operation === "append" ? chance(12) === 0 : chance(25) === 0);
      if (fails && chance(2) === 0) throw new Error("the disk is away");
      const answer = await proceed();
      await isAway();
      if (fails) throw new Error("the outcome is unknown");
      return answer;
    };
  }

  let world = worldOf(scripts, { intercept: intercepting() });
  const begin = () => {
    world = after(world, scripts, { intercept: intercepting() });
  };
  const send = (path: string, event: object) => void world.append(path, event as never).catch(() => {});
  for (let step = 0; step < steps; step++) {
    const path = below[chance(below.length)] as string;
    const action = step === 12 ? 0 : chance(10);
    if (action === 0 && step >= 12) send("/a", configured("checker", ["checker", "two", "three"][chance(3)], forAll));
    else if (action < 7) send(path, { type: "ping" });
    else if (action === 7) void world.engine.state("public", path).catch(() => {});
    else if (action === 8 && chance(3) === 0) {
      life.dead = true;
      begin();
    } else if (chance(5) === 0) void world.engine.delete("public", path, { children: false }).catch(() => {});
    else await pass(world, 700);
    if (chance(2) === 0) await untilQuiet();
  }
  isRough = false;
  await pass(world, 2_000);
  life.dead = true;
  begin();
  await pass(world, 200_000, 5_000);
  await expectAllServed(world);
});

const forAll = { includeChildren: true };

/** By what the store says, and nobody else. */
async function expectAllServed({ directory }: World): Promise<void> {
  const query = { project: "public", prefix: "/", after: 0, maxEvents: 1e9, maxBytes: 1e9 };
  const { commits } = await directory.readPositions(query);
  const pings = new Map<string, number[]>();
  const pongs = new Map<string, number[]>();
  let configuredBefore = false;
  for (const { path, first, records } of commits) {
    for (const [i, record] of records.entries()) {
      const { type, payload, offset } = decodeRecord(path, first + i, record);
      if (path === "/a" && type === builtin("dynamic-worker/configured")) configuredBefore = true;
      if (type === "ping" && configuredBefore) pings.set(path, [...(pings.get(path) ?? []), offset]);
      if (type === "pong") pongs.set(path, [...(pongs.get(path) ?? []), (payload as { of: number }).of]);
    }
  }
  expect(pongs).toEqual(pings);
}
