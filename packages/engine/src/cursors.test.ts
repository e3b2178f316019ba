/** Cursors of remote processors: who may move one, and who is told what. */
import type { RemoteCursorInput } from "@millrace/protocol";
import { describe, expect, test } from "vitest";
import { at, byTwo, get, path, put, worldWith } from "../test/cursors.ts";
import { createWorld, upTo } from "../test/world.ts";

describe("a cursor", () => {
  test("begins where there is none, and moves when what it replaces is named", async () => {
    const world = await worldWith(5);
    const first = await put(world, at(2, null));
    const shown = { slug: "greeter", path, offset: 2, epoch: "1", runtimeId: "one", silentMs: 0 };
    expect(first).toEqual({ ...shown, updatedAt: "2026-01-01T00:00:00.000Z" });
    world.clock.advance(1_000);
    const kept = { interrupted: { offset: 4 }, progress: { work: ["a"], attempts: { 5: 1 } } };
    const second = await put(world, at(4, 2, kept));
    expect(second).toEqual({ ...shown, offset: 4, ...kept, updatedAt: "2026-01-01T00:00:01.000Z" });
    world.clock.advance(500);
    expect(await get(world)).toEqual({ ...second, silentMs: 500 });
    const third = await put(world, at(0, 4, { epoch: "2" }));
    expect([third.offset, third.epoch, "progress" in third], "anew, without what was kept").toEqual([0, "2", false]);
  });

  test.each<[what: string, input: RemoteCursorInput, refusal: object]>([
    ["that replaces none where there is one", at(3, null), { code: "cursor_conflict" }],
    ["that replaces another", at(4, 3), { code: "cursor_conflict" }],
    ["of another runtime", at(3, 2, byTwo), { code: "cursor_conflict" }],
    ["of another runtime that says the same", at(2, 2, byTwo), { code: "cursor_conflict" }],
    ["beyond the head", at(6, 2), { code: "offset_conflict", head: 5, expected: 6 }],
  ])("is not moved by a put %s", async (_, input, refusal) => {
    const world = await worldWith(5);
    const before = await put(world, at(2, null));
    const holder = { runtimeId: "one", offset: 2, silentMs: 0 };
    const expected = "head" in refusal ? refusal : { ...refusal, holder };
    expect(await world.refusal(put(world, input))).toEqual(expected);
    expect(await get(world)).toEqual(before);
  });

  test("that is not there is replaced by nobody, and found by nobody", async () => {
    const world = await worldWith(5);
    expect(await world.refusal(put(world, at(3, 2)))).toEqual({ code: "cursor_conflict", holder: null });
    expect(await world.refusal(get(world))).toEqual({ code: "not_found" });
    expect(await world.refusal(world.engine.cursor("public", "/nothing", "greeter"))).toEqual({ code: "not_found" });
    const nowhere = world.engine.putCursor("public", "/nothing", "greeter", at(0, null));
    expect(await world.refusal(nowhere)).toEqual({ code: "not_found" });
    expect(await world.refusal(world.engine.state("public", "/nothing"))).toEqual({ code: "not_found" });
  });

  test.each(["", "x".repeat(256), ".", "..", "\ud800"])("has a slug that a URL can name, not %j", async (slug) => {
    const world = await worldWith(2);
    const refusal = { code: "invalid_request", field: "slug" };
    expect(await world.refusal(put(world, at(1, null), slug))).toEqual(refusal);
    expect(await world.refusal(get(world, slug))).toEqual(refusal);
  });

  test("has a slug of any characters", async () => {
    const world = await worldWith(2);
    for (const slug of ["a/b", "%2F", "grüße 🎉", "cursor", "x".repeat(255), "__proto__"]) {
      await put(world, at(1, null), slug);
    }
    const again = createWorld({ directory: world.directory });
    for (const slug of ["a/b", "%2F", "grüße 🎉", "cursor", "x".repeat(255), "__proto__"]) {
      expect(await get(again, slug)).toMatchObject({ slug, offset: 1 });
    }
  });

  test("keeps up to 64 KiB beside it", async () => {
    const world = await worldWith(2);
    // Two bytes each, and what stands around them.
    const text = (bytes: number) => ({ text: "ü".repeat((bytes - '{"text":""}'.length - 1) / 2) });
    const limit = 64 * 1024;
    await put(world, at(1, null, { progress: text(limit - 4), interrupted: null }));
    const refusal = await world.refusal(put(world, at(1, 1, { progress: text(limit - 2), interrupted: null })));
    expect(refusal).toEqual({ code: "too_large", limit, unit: "bytes" });
  });

  test("is one of at most 100 of a stream, and all of them go on moving", async () => {
    const world = await worldWith(3);
    await Promise.all(upTo(100).map((n) => put(world, at(1, null), `s${n}`)));
    const refusal = { code: "rate_limited", limit: 100, unit: "cursors of this stream" };
    expect(await world.refusal(put(world, at(1, null), "one-more"))).toEqual(refusal);
    expect((await put(world, at(2, 1), "s100")).offset).toBe(2);
  });

  test("takes turns with what waits before it, up to a limit", async () => {
    const world = await worldWith(3, { limits: { cursorsPerStream: 2 } });
    const puts = upTo(5).map((n) => world.refusal(Promise.resolve().then(() => put(world, at(1, n, byTwo)))));
    const codes = (await Promise.all(puts)).map(({ code }) => code);
    expect(codes).toContain("rate_limited");
    expect(codes.filter((code) => code === "cursor_conflict").length).toBeGreaterThanOrEqual(3);
  });
});

describe("two runtimes", () => {
  test("that come at once: one has it, the other is told who", async () => {
    const world = await worldWith(3);
    const outcomes = await Promise.allSettled([put(world, at(1, null)), put(world, at(2, null, byTwo))]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect((outcomes[1] as PromiseRejectedResult).reason.data.holder).toEqual({
      runtimeId: "one",
      offset: 1,
      silentMs: 0,
    });
    expect(await get(world)).toMatchObject({ runtimeId: "one", offset: 1 });
  });

  test("the second takes over when the first was silent for 30 s, and not before", async () => {
    const world = await worldWith(5);
    await put(world, at(2, null));
    world.clock.advance(29_999);
    const early = await world.refusal(put(world, at(2, 2, byTwo)));
    expect(early).toMatchObject({ holder: { runtimeId: "one", silentMs: 29_999 } });
    world.clock.advance(1);
    expect(await world.refusal(put(world, at(3, 1, byTwo))), "what it replaces has to be right").toMatchObject({
      holder: { runtimeId: "one", silentMs: 30_000 },
    });
    expect(await put(world, at(2, 2, byTwo))).toMatchObject({ runtimeId: "two", offset: 2, silentMs: 0 });
    const late = await world.refusal(put(world, at(3, 2)));
    expect(late).toEqual({ code: "cursor_conflict", holder: { runtimeId: "two", offset: 2, silentMs: 0 } });
  });

  test("a sign of life keeps it, also one that is refused; a read, or a call of the other, does not", async () => {
    const world = await worldWith(5);
    await put(world, at(2, null));
    world.clock.advance(20_000);
    await put(world, at(2, 2));
    world.clock.advance(20_000);
    expect(await world.refusal(put(world, at(2, 2, byTwo)))).toMatchObject({ holder: { silentMs: 20_000 } });
    expect(await world.refusal(put(world, at(9, 2)))).toMatchObject({ code: "offset_conflict" });
    world.clock.advance(20_000);
    expect((await get(world)).silentMs).toBe(20_000);
    expect(await world.refusal(put(world, at(2, 2, byTwo)))).toMatchObject({ holder: { silentMs: 20_000 } });
    world.clock.advance(10_000);
    expect(await put(world, at(2, 2, byTwo))).toMatchObject({ runtimeId: "two" });
  });

  test("a clock that is set takes it from nobody", async () => {
    const world = await worldWith(5);
    await put(world, at(2, null));
    world.clock.jump(3_600_000);
    expect(await world.refusal(put(world, at(2, 2, byTwo)))).toMatchObject({ holder: { silentMs: 0 } });
    world.clock.jump(-7_200_000);
    world.clock.advance(30_000);
    expect(await put(world, at(2, 2, byTwo))).toMatchObject({ runtimeId: "two" });
  });

  test("of streams that leave memory are heard all the same", async () => {
    const world = await worldWith(5, { limits: { openStreams: 2 } });
    await put(world, at(2, null));
    world.clock.advance(25_000);
    await put(world, at(2, 2));
    for (const n of upTo(20)) await world.append(`/s${n}`, { type: "a" });
    world.clock.advance(25_000);
    expect(await world.refusal(put(world, at(2, 2, byTwo)))).toMatchObject({ holder: { silentMs: 25_000 } });
  });
});

describe("a cursor that is given back", () => {
  test("may be taken at once by another, who names what it replaces; the one before is refused then", async () => {
    const world = await worldWith(5);
    await put(world, at(2, null));
    expect(await put(world, at(3, 2, { release: true }))).toMatchObject({
      runtimeId: "one",
      offset: 3,
      released: true,
    });
    const wrong = await world.refusal(put(world, at(4, 2, byTwo)));
    expect(wrong).toEqual({ code: "cursor_conflict", holder: { runtimeId: "one", offset: 3, silentMs: 0 } });
    const taken = await put(world, at(3, 3, byTwo));
    expect([taken.runtimeId, taken.released]).toEqual(["two", undefined]);
    const late = { code: "cursor_conflict", holder: { runtimeId: "two", offset: 3, silentMs: 0 } };
    expect(await world.refusal(put(world, at(4, 3)))).toEqual(late);
    expect(await world.refusal(put(world, at(3, 3, { release: true })))).toEqual(late);
  });

  test("stays given back over a restart, and is held again by whoever puts it, the same one too", async () => {
    const world = await worldWith(5);
    await put(world, at(3, null, { release: true }));
    const again = createWorld({ directory: world.directory });
    expect(await get(again)).toMatchObject({ released: true });
    expect(await put(again, at(3, 3, byTwo))).toMatchObject({ runtimeId: "two" });
    await put(again, at(3, 3, { ...byTwo, release: true }));
    await put(again, at(3, 3, byTwo));
    expect(await again.refusal(put(again, at(3, 3)))).toMatchObject({ code: "cursor_conflict" });
    expect((await get(again)).released).toBeUndefined();
  });

  test("release: false is the same as nothing", async () => {
    const world = await worldWith(3);
    expect((await put(world, at(2, null, { release: false }))).released).toBeUndefined();
    expect(await world.refusal(put(world, at(2, 2, byTwo)))).toMatchObject({ code: "cursor_conflict" });
  });
});

describe("a cursor that is deleted", () => {
  const remove = (world: Awaited<ReturnType<typeof worldWith>>, slug = "greeter") =>
    world.engine.deleteCursor("public", path, slug);

  test("is gone, on disk too, and whoever held it is refused", async () => {
    const world = await worldWith(5);
    await put(world, at(2, null));
    await put(world, at(3, null), "other");
    await remove(world);
    expect(await world.refusal(get(world))).toEqual({ code: "not_found" });
    expect(await world.refusal(remove(world))).toEqual({ code: "not_found" });
    const refusal = { code: "cursor_conflict", holder: null };
    expect(await world.refusal(put(world, at(2, 2)))).toEqual(refusal);
    expect(await world.refusal(put(world, at(3, 2)))).toEqual(refusal);
    const again = createWorld({ directory: world.directory });
    expect(await again.refusal(get(again))).toEqual({ code: "not_found" });
    expect(await get(again, "other")).toMatchObject({ offset: 3 });
    expect(await put(again, at(1, null, byTwo))).toMatchObject({ runtimeId: "two", offset: 1 });
  });

  test("takes its turn with what is put before and behind it", async () => {
    const world = await worldWith(5);
    const outcomes = await Promise.allSettled([
      put(world, at(2, null)),
      remove(world),
      put(world, at(3, 2)),
      put(world, at(4, null, byTwo)),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
    const again = createWorld({ directory: world.directory });
    expect(await get(again)).toMatchObject({ runtimeId: "two", offset: 4 });
  });

  test("makes room for another", async () => {
    const world = await worldWith(3, { limits: { cursorsPerStream: 1 } });
    await put(world, at(2, null));
    expect(await world.refusal(put(world, at(2, null), "second"))).toMatchObject({ code: "rate_limited" });
    await remove(world);
    expect(await put(world, at(2, null), "second")).toMatchObject({ slug: "second" });
  });

  test("where there is no stream, or a slug that is none, there is nothing to delete", async () => {
    const world = createWorld();
    expect(await world.refusal(remove(world))).toEqual({ code: "not_found" });
    expect(await world.refusal(remove(world, ".."))).toMatchObject({ code: "invalid_request" });
  });
});

describe("the state", () => {
  test("lists them among the consumers", async () => {
    const world = await worldWith(5);
    await put(world, at(2, null));
    await put(world, at(5, null), "tree");
    expect((await world.engine.state("public", path)).consumers).toMatchObject({
      tree: { kind: "builtin" },
      greeter: { kind: "remote", cursor: 2, lag: 3 },
      "cursor/tree": { kind: "remote", cursor: 5, lag: 0 },
    });
  });
});
