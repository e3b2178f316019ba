/** Cursors of remote processors: what is written for one, and what is left of it after a crash and in another life. */
import { createManualClock, type Intercept } from "@millrace/testing";
import { describe, expect, test } from "vitest";
import { at, byTwo, get, path, put, worldWith } from "../test/cursors.ts";
import { acting, after, configured, pass, removed, worldOf } from "../test/processors.ts";
import { createWorld } from "../test/world.ts";

/** Commits of the stream, as they reach the log. */
function counting(): { intercept: Intercept; commits: { records: readonly string[]; progress?: unknown }[] } {
  const commits: { records: readonly string[]; progress?: unknown }[] = [];
  const intercept: Intercept = (call, proceed) => {
    if (call.operation === "append" && call.path === path) commits.push(call.arguments[0] as (typeof commits)[number]);
    return proceed();
  };
  return { intercept, commits };
}

describe("what is written", () => {
  test("a sign of life writes nothing, nor does a repetition whose answer was lost, in whatever order its keys come", async () => {
    const { intercept, commits } = counting();
    const world = await worldWith(5, { intercept });
    await put(world, at(2, null));
    const moved = await put(world, at(4, 2, { progress: { a: 1, b: 2 } }));
    const written = commits.length;
    world.clock.advance(5_000);
    for (const input of [at(4, 4), at(4, 2), at(4, null)]) {
      expect(await put(world, { ...input, progress: { b: 2, a: 1 } })).toEqual(moved);
    }
    expect(commits.length).toBe(written);
    await put(world, at(4, 4, { progress: { a: 2 } }));
    expect(commits.length).toBe(written + 1);
  });

  test("a move is one commit without events, which no reader sees", async () => {
    const { intercept, commits } = counting();
    const world = await worldWith(3, { intercept });
    await put(world, at(2, null));
    expect(commits.at(-1)).toMatchObject({ first: 4, records: [], progress: [{ consumer: "cursor/greeter" }] });
    expect((await world.events(path)).length).toBe(3);
    expect((await world.append(path, { type: "next" }))[0]?.offset).toBe(4);
  });

  test("moves that wait together, and an append, share a commit", async () => {
    const { intercept, commits } = counting();
    const world = await worldWith(3, { intercept });
    const before = commits.length;
    await Promise.all([
      put(world, at(1, null)),
      world.append(path, { type: "a" }),
      put(world, at(1, null), "b"),
      put(world, at(2, 1)),
    ]);
    expect(commits.length).toBeLessThanOrEqual(before + 2);
    expect([(await get(world)).offset, (await get(world, "b")).offset]).toEqual([2, 1]);
  });

  test("what cannot be committed is refused, and was not", async () => {
    let failing = false;
    const world = await worldWith(5, {
      intercept: (call, proceed) =>
        failing && call.operation === "append" ? Promise.reject(new Error("full")) : proceed(),
    });
    await put(world, at(2, null));
    failing = true;
    expect(await world.refusal(put(world, at(3, 2)))).toMatchObject({ code: "unavailable" });
    expect(await get(world)).toMatchObject({ offset: 2 });
    failing = false;
    expect(await put(world, at(3, 2))).toMatchObject({ offset: 3 });
  });

  test("what was committed though the answer was lost may be sent again", async () => {
    let failing = false;
    const world = await worldWith(5, {
      async intercept(call, proceed) {
        const done = await proceed();
        if (failing && call.operation === "append") throw new Error("who knows");
        return done;
      },
    });
    await put(world, at(2, null));
    failing = true;
    expect(await world.refusal(put(world, at(3, 2)))).toMatchObject({ code: "unavailable" });
    failing = false;
    expect(await put(world, at(3, 2))).toMatchObject({ offset: 3 });
  });

  test("a take-over that could not be committed does not make the old holder heard", async () => {
    let failing = false;
    const world = await worldWith(5, {
      intercept: (call, proceed) =>
        failing && call.operation === "append" ? Promise.reject(new Error("full")) : proceed(),
    });
    await put(world, at(2, null));
    world.clock.advance(30_000);
    failing = true;
    expect(await world.refusal(put(world, at(2, 2, byTwo)))).toMatchObject({ code: "unavailable" });
    failing = false;
    expect(await put(world, at(2, 2, byTwo))).toMatchObject({ runtimeId: "two" });
  });

  test("what the log cannot be read for is refused too", async () => {
    const world = await worldWith(2);
    const unreadable = createWorld({
      directory: world.directory,
      intercept: ({ operation }, proceed) =>
        operation === "load" ? Promise.reject(new Error("EIO")) : (proceed() as Promise<unknown>),
    });
    expect(await unreadable.refusal(put(unreadable, at(1, null)))).toMatchObject({ code: "unavailable" });
  });
});

describe("restarts and lives", () => {
  test("a crash loses nothing that was answered; every holder counts as heard at the start", async () => {
    const clock = createManualClock();
    const first = await worldWith(5, { clock });
    const kept = { interrupted: [1], progress: { work: { a: 1 } } };
    const cursor = await put(first, at(3, null, kept));
    clock.advance(60_000);
    const second = createWorld({ directory: first.directory, clock });
    expect(await get(second)).toEqual({ ...cursor, silentMs: 0 });
    clock.advance(29_999);
    expect(await second.refusal(put(second, at(3, 3, byTwo)))).toMatchObject({ holder: { silentMs: 29_999 } });
    expect(await put(second, at(4, 3))).toMatchObject({ offset: 4 });
    clock.advance(30_000);
    expect(await put(second, at(4, 4, byTwo))).toMatchObject({ runtimeId: "two" });
  });

  test("a deletion ends it; the next life has none", async () => {
    const world = await worldWith(5);
    await put(world, at(3, null));
    await world.engine.delete("public", path, { children: false });
    expect(await world.refusal(get(world))).toEqual({ code: "not_found" });
    expect(await world.refusal(put(world, at(3, 3)))).toEqual({ code: "not_found" });
    await world.append(path, { type: "reborn" });
    expect(await world.refusal(get(world))).toEqual({ code: "not_found" });
    expect(await world.refusal(put(world, at(4, 3)))).toEqual({ code: "cursor_conflict", holder: null });
    expect(await put(world, at(6, null, byTwo))).toMatchObject({ runtimeId: "two", offset: 6 });
  });

  test("a paused stream does not hold it up", async () => {
    const world = await worldWith(3);
    await world.append(path, { type: "https://events.iterate.com/events/stream/paused" });
    expect(await put(world, at(4, null))).toMatchObject({ offset: 4 });
  });

  test("consumers of the stream leave it alone, and it leaves them alone", async () => {
    const scripts = { greeter: acting("greeter", "a", () => {}) };
    const world = worldOf(scripts);
    await world.append(path, [{ type: "a" }, configured("greeter"), { type: "a" }]);
    await put(world, at(2, null));
    await pass(world, 3_000);
    const rows = async () => (await world.directory.log("public", path).load()).progress;
    const names = async () => (await rows()).map(({ consumer }) => consumer).sort();
    expect(await names()).toEqual(["cursor/greeter", "processor/greeter"]);
    const restarted = after(world, scripts);
    await restarted.append(path, removed("greeter"));
    await pass(restarted, 3_000);
    expect(await names()).toEqual(["cursor/greeter"]);
    expect(await get(restarted)).toMatchObject({ offset: 2, runtimeId: "one" });
  });
});
