import type { EventInput } from "@millrace/protocol";
import { createSeededRandom, type Intercept, type SeededRandom } from "@millrace/testing";
import { describe, expect, test } from "vitest";
import { builtin, createWorld, type World } from "../test/world.ts";
import { builtins } from "./builtins.ts";
import type { LoadedStream } from "./ports/log.ts";

/** Everything that a stream is folded into. */
async function states(world: World, path: string) {
  const slices: unknown[] = [];
  for (const { slug } of builtins) slices.push(await world.engine.processorState("public", path, slug, undefined));
  const { consumers: _, ...state } = await world.engine.state("public", path);
  return { slices, state };
}

/** A crash: another engine over what is on disk. */
function restarted(world: World, intercept?: Intercept): World {
  return createWorld({
    directory: world.directory,
    clock: world.clock,
    ...(intercept === undefined ? {} : { intercept }),
  });
}

/** As if no snapshot had ever been written: the whole stream is folded. */
const withoutSnapshots: Intercept = async ({ operation }, proceed) => {
  const value = await proceed();
  if (operation !== "load") return value;
  const { snapshot: _, ...loaded } = value as LoadedStream;
  return loaded;
};

const withForeignSnapshots: Intercept = async ({ operation }, proceed) => {
  const value = await proceed();
  if (operation !== "load") return value;
  const loaded = value as LoadedStream;
  if (loaded.snapshot === undefined) return loaded;
  const state = JSON.stringify({ version: "lifecycle@0", slices: [{ metadata: { foreign: true } }] });
  return { ...loaded, snapshot: { ...loaded.snapshot, state } };
};

/** Something of everything that changes state, by chance; mostly batches, which the breaker counts once. */
async function live(world: World, path: string, seed: number, steps: number): Promise<void> {
  const random = createSeededRandom(seed);
  const batch = () => Array.from({ length: 1 + random.integer(20) }, (_, i) => ({ type: `batch ${i}` }));
  const choices: (() => EventInput[])[] = [
    batch,
    batch,
    batch,
    batch,
    () => [{ type: "plain", payload: { n: random.integer(100) } }],
    () => [{ type: "keyed", idempotencyKey: `k${random.integer(10)}` }],
    () => [
      { type: builtin("metadata-updated"), payload: { metadata: { title: `t${random.integer(9)}`, deep: [{}] } } },
    ],
    () => [{ type: builtin("paused"), payload: { reason: 'said "so"', cause: { kind: "person" } } }],
    () => [{ type: builtin("circuit-breaker-configured"), payload: configuration(random) }],
  ];
  for (let i = 0; i < steps; i++) {
    const inputs = random.pick(choices.slice(0, random.fraction() < 0.8 ? 6 : choices.length))();
    const depth = 1 + random.integer(5);
    const source = { kind: "remote" as const, depth, cause: { streamPath: "/x", offset: 1 } };
    await world.append(path, inputs, random.fraction() < 0.7 ? undefined : source).catch((error: { code?: string }) => {
      if (error.code !== "stream_paused") throw error;
      return world.append(path, { type: builtin("resumed") });
    });
    world.clock.advance(random.integer(2_000));
  }
}

function configuration(random: SeededRandom) {
  return { burstCapacity: random.integer(30), refillRatePerMinute: 1 + random.integer(60), maxDepth: 3 };
}

describe("a stream's state", () => {
  test.each([1, 2, 3, 4, 5])("live, after a restart, and folded afresh is the same (seed %i)", async (seed) => {
    const world = createWorld();
    for (let round = 0; round < 30; round++) {
      await live(world, "/a", seed * 100 + round, 20);
      const expected = await states(world, "/a");
      expect(await states(restarted(world), "/a"), "from snapshot and tail").toEqual(expected);
      expect(await states(restarted(world, withoutSnapshots), "/a"), "folded afresh").toEqual(expected);
      expect(await states(restarted(world, withForeignSnapshots), "/a"), "snapshot of other code").toEqual(expected);
    }
    const { snapshot } = await world.directory.log("public", "/a").load();
    expect(snapshot?.offset, "there was a snapshot at all").toBeGreaterThanOrEqual(1_000);
  });

  test("at an offset it is what it was when that was the head", async () => {
    const world = createWorld();
    const was: unknown[] = [];
    for (let i = 0; i < 20; i++) {
      await live(world, "/a", i, 1);
      const { slices, state } = await states(world, "/a");
      was.push([state.head, slices]);
    }
    for (const [at, slices] of was as [number, unknown[]][]) {
      for (const [i, { slug }] of builtins.entries()) {
        expect(await world.engine.processorState("public", "/a", slug, at)).toEqual(slices[i]);
      }
    }
  });

  test("beyond the head, of an unknown processor or an unknown stream it is refused", async () => {
    const world = createWorld();
    await world.append("/a", { type: "plain" });
    const { engine } = world;
    expect(await world.refusal(engine.processorState("public", "/a", "pause", 3))).toMatchObject({
      code: "offset_conflict",
      head: 2,
    });
    expect(await world.refusal(engine.processorState("public", "/a", "nobody", undefined))).toEqual({
      code: "not_found",
    });
    expect(await world.refusal(engine.processorState("public", "/b", "pause", undefined))).toEqual({
      code: "not_found",
    });
    expect(await world.refusal(engine.state("public", "/b"))).toEqual({ code: "not_found" });
  });

  test("opening a long stream folds a snapshot and a bounded tail", async () => {
    const world = createWorld();
    await world.append("/a", {
      type: builtin("circuit-breaker-configured"),
      payload: { burstCapacity: 0, refillRatePerMinute: 1 },
    });
    for (let i = 0; i < 20; i++) await world.append("/a", Array(777).fill({ type: "plain" }));
    let folded = 0;
    const next = restarted(world, async ({ operation }, proceed) => {
      const value = await proceed();
      if (operation === "read") folded += (value as { records: string[] }).records.length;
      return value;
    });
    await next.engine.state("public", "/a");
    expect(folded).toBeLessThan(1_000);
  });

  test("of large events it is written before the tail grows beyond some megabytes", async () => {
    const world = createWorld();
    for (let i = 0; i < 30; i++) await world.append("/a", { type: "large", payload: "x".repeat(500_000) });
    let folded = 0;
    const next = restarted(world, async ({ operation }, proceed) => {
      const value = await proceed();
      if (operation === "read") for (const record of (value as { records: string[] }).records) folded += record.length;
      return value;
    });
    await next.engine.state("public", "/a");
    expect(folded).toBeLessThan(5_000_000);
  });
});
