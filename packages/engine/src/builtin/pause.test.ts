import { contracts } from "@millrace/protocol";
import { describe, expect, test } from "vitest";
import { builtin, createWorld, type World } from "../../test/world.ts";

const pausedBecause = { type: builtin("paused"), payload: { reason: "looking into it" } };
const resumed = { type: builtin("resumed") };
/** PROTOCOL.md, section 4: what is admitted while a stream is paused. */
const admitted = [
  "resumed",
  "circuit-breaker-configured",
  "schedule-cancelled",
  "jsonata-transformer-removed",
  "subscription/removed",
  "dynamic-worker/configured",
  "dynamic-worker/source-configured",
  "dynamic-worker/removed",
];

async function pausedWorld(): Promise<World> {
  const world = createWorld();
  await world.append("/a", { type: "before", idempotencyKey: "k" });
  await world.append("/a", pausedBecause);
  return world;
}

describe("while a stream is paused", () => {
  const outside = contracts.filter(({ serverOnly }) => !serverOnly);

  test.each(outside.map(({ name, type, example }) => ({ name, type, example })))(
    "$name is judged by its contract",
    async ({ name, type, example }) => {
      const world = await pausedWorld();
      const append = world.append("/a", { type, payload: example });
      if (admitted.includes(name)) expect((await append)[0]?.type).toBe(type);
      else expect(await world.refusal(append)).toMatchObject({ code: "stream_paused" });
    },
  );

  test("the admitted ones all exist", () => {
    expect(outside.map(({ name }) => name)).toEqual(expect.arrayContaining(admitted));
  });

  test("everything else is refused, with the reason, since when, and how to go on", async () => {
    const world = await pausedWorld();
    const [, , event] = await world.events("/a");
    const refusal = await world.refusal(world.append("/a", { type: "plain" }));
    expect(refusal).toMatchObject({ code: "stream_paused", reason: "looking into it", since: event?.createdAt });
    expect(refusal.howToResume).toContain(resumed.type);
    expect((await world.events("/a")).length).toBe(3);
  });

  test.each(["looking into it", "looking into it.", undefined])("the message reads well: %s", async (reason) => {
    const world = createWorld();
    await world.append("/a", { type: builtin("paused"), payload: reason === undefined ? {} : { reason } });
    const because = reason === undefined ? "" : ": looking into it";
    await expect(world.append("/a", { type: "plain" })).rejects.toThrow(
      `The stream is paused since 2026-01-01T00:00:00.000Z${because}. Append {"type":"${resumed.type}"}`,
    );
  });

  test("a replay is answered, and a key with other content is a conflict all the same", async () => {
    const world = await pausedWorld();
    const [stored] = await world.append("/a", { type: "before", idempotencyKey: "k" });
    expect(stored).toMatchObject({ type: "before", offset: 2 });
    const refusal = await world.refusal(world.append("/a", { type: "other", idempotencyKey: "k" }));
    expect(refusal).toMatchObject({ code: "idempotency_conflict", offset: 2 });
    expect((await world.events("/a")).length).toBe(3);
  });

  test("a batch goes on as one when it resumes first, and not at all when it resumes last", async () => {
    const world = await pausedWorld();
    const refusal = await world.refusal(world.append("/a", [{ type: "one" }, resumed]));
    expect(refusal).toMatchObject({ code: "stream_paused", element: 0 });
    await world.append("/a", [resumed, { type: "one" }]);
    const pausing = world.append("/a", [{ type: "two" }, pausedBecause, { type: "three" }]);
    expect(await world.refusal(pausing)).toMatchObject({ code: "stream_paused", element: 2 });
    expect((await world.events("/a")).map(({ type }) => type)).toEqual([
      builtin("initialized"),
      "before",
      builtin("paused"),
      builtin("resumed"),
      "one",
    ]);
  });

  test("appends that wait behind a pause or a resume are judged over it", async () => {
    const world = createWorld();
    await world.append("/a", { type: "first" });
    const outcomes = await Promise.allSettled(
      [{ type: "one" }, pausedBecause, { type: "two" }, resumed, { type: "three" }].map((event) =>
        world.append("/a", event),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
  });

  test("state and list say so, until it is resumed", async () => {
    const world = await pausedWorld();
    const shown = async () => {
      const state = await world.engine.state("public", "/a");
      const { streams } = await world.engine.list({ project: "public", prefix: "/a", depth: "all", limit: 1 });
      return [state.paused, streams[0]?.paused, state.pause?.offset, state.pause?.reason];
    };
    expect(await shown()).toEqual([true, true, 3, "looking into it"]);
    await world.append("/a", resumed);
    expect(await shown()).toEqual([false, false, undefined, undefined]);
  });

  test("a deletion ends the pause with the stream", async () => {
    const world = await pausedWorld();
    expect(await world.engine.delete("public", "/a", { children: false })).toEqual([{ path: "/a", head: 3 }]);
    const [event] = await world.append("/a", { type: "again" });
    expect(event?.offset).toBe(5);
  });
});
