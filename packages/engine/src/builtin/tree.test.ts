import { createSeededRandom, type Intercept } from "@millrace/testing";
import { describe, expect, test } from "vitest";
import { builtin, createWorld, dyingAt, untilQuiet, upTo, type World } from "../../test/world.ts";

const plain = { type: "plain" };
const pausedEvent = { type: builtin("paused") };

/** A crash and a start: another engine over what is on disk. What the old one still tries comes to nothing. */
function restarted(world: World, seed = 2): World {
  return createWorld({ directory: world.directory, clock: world.clock, seed });
}

function createGate(): { opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

async function owed(world: World): Promise<string[]> {
  const { streams } = await world.directory.due({ now: 1e15, limit: 1_000 });
  return streams.map(({ path, claim }) => `${claim.kind} ${path}`).sort();
}

describe("a birth", () => {
  test("is told to every ancestor, once, and brings those into being that were not there", async () => {
    const world = createWorld();
    await world.append("/a/b/c", plain);
    await untilQuiet();
    expect(await world.news("/a/b")).toEqual(["created /a/b/c"]);
    expect((await world.news("/a")).sort()).toEqual(["created /a/b", "created /a/b/c"]);
    expect((await world.news("/")).sort()).toEqual(["created /a", "created /a/b", "created /a/b/c"]);
    expect(await world.news("/a/b/c")).toEqual([]);
    expect(await owed(world)).toEqual([]);
  });

  test("is owed no more when it was told while a commit of the same stream was under way", async () => {
    const underWay = createGate();
    const settled = createGate();
    let commits = 0;
    const world = createWorld({
      async intercept({ operation, path }, proceed) {
        const second = operation === "append" && path === "/a" && ++commits === 2;
        if (second) underWay.open();
        if (second) await settled.opened;
        if (operation === "settle") await underWay.opened;
        const value = await proceed();
        if (operation === "settle") settled.open();
        return value;
      },
    });
    await world.append("/a", plain);
    await world.append("/a", plain);
    await untilQuiet();
    expect(await owed(world)).toEqual([]);
    const { consumers } = await world.engine.state("public", "/a");
    expect(consumers.tree).toEqual({ kind: "builtin", cursor: 3, lag: 0 });
  });

  test("is a fact that the server states, because of the birth", async () => {
    const world = createWorld();
    await world.append("/a", plain);
    await untilQuiet();
    const [, told] = await world.events("/");
    expect(told).toMatchObject({
      type: builtin("child-stream-created"),
      payload: { childPath: "/a" },
      source: { kind: "server", slug: "tree", cause: { streamPath: "/a", offset: 1 } },
    });
  });

  test("of the root is told to nobody", async () => {
    const world = createWorld();
    await world.append("/", plain);
    await untilQuiet();
    expect((await world.events("/")).map(({ type }) => type)).toEqual([builtin("initialized"), "plain"]);
    expect(await owed(world)).toEqual([]);
  });

  test("is told to a paused ancestor too", async () => {
    const world = createWorld();
    await world.append("/", pausedEvent);
    await world.append("/a", plain);
    await untilQuiet();
    expect(await world.news("/")).toEqual(["created /a"]);
  });

  test("is told in few commits when there are many", async () => {
    let commits = 0;
    const world = createWorld({
      async intercept({ operation, path }, proceed) {
        if (operation === "append" && path === "/") commits++;
        return proceed();
      },
    });
    await Promise.all(upTo(3_000).map((n) => world.append(`/s${n}`, plain)));
    await untilQuiet();
    expect((await world.news("/")).length).toBe(3_000);
    expect(commits).toBeLessThan(300);
  });

  test("stays in its project", async () => {
    const world = createWorld();
    await world.engine.append("one", "/a", [{ event: plain }], { bytes: 1 });
    await world.engine.append("two", "/b", [{ event: plain }], { bytes: 1 });
    await untilQuiet();
    expect(
      (await world.engine.list({ project: "one", prefix: "/", depth: "all", limit: 9 })).streams.map((s) => s.path),
    ).toEqual(["/", "/a"]);
    expect(
      (await world.engine.list({ project: "two", prefix: "/", depth: "all", limit: 9 })).streams.map((s) => s.path),
    ).toEqual(["/", "/b"]);
  });

  test("shows in the state until it was told", async () => {
    let release = () => {};
    const world = createWorld({
      async intercept({ operation, path }, proceed) {
        if (operation === "append" && path === "/") {
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        }
        return proceed();
      },
    });
    await world.append("/a", plain);
    await untilQuiet();
    expect((await world.engine.state("public", "/a")).consumers).toEqual({
      tree: { kind: "builtin", cursor: 0, lag: 2, nextAttemptAt: "2026-01-01T00:00:00.000Z" },
    });
    release();
    await untilQuiet();
    expect((await world.engine.state("public", "/a")).consumers).toEqual({
      tree: { kind: "builtin", cursor: 2, lag: 0 },
    });
  });
});

describe("a deletion", () => {
  test("is told to every ancestor that lives, once, with the head", async () => {
    const world = createWorld();
    await world.append("/a/b", plain);
    await untilQuiet();
    await world.append("/a/b", plain);
    expect(await world.engine.delete("public", "/a/b", { children: false })).toEqual([{ path: "/a/b", head: 3 }]);
    await untilQuiet();
    expect(await world.news("/a")).toEqual(["created /a/b", "deleted /a/b"]);
    expect((await world.news("/")).filter((news) => news.startsWith("deleted"))).toEqual(["deleted /a/b"]);
    const told = (await world.events("/a")).at(-1);
    expect(told?.payload).toEqual({ childPath: "/a/b", head: 3 });
    expect(await owed(world)).toEqual([]);
  });

  test("twice, or of nothing, is nothing", async () => {
    const world = createWorld();
    await world.append("/a", plain);
    await untilQuiet();
    const deletions = await Promise.all(upTo(5).map(() => world.engine.delete("public", "/a", { children: false })));
    expect(deletions.flat()).toEqual([{ path: "/a", head: 2 }]);
    expect(await world.engine.delete("public", "/a", { children: true })).toEqual([]);
    await untilQuiet();
    expect(await world.news("/")).toEqual(["created /a", "deleted /a"]);
  });

  test("with children takes everything below, and nothing beside", async () => {
    const world = createWorld();
    for (const path of ["/a", "/a/b", "/a/b/c", "/a-b", "/a0", "/ab/c"]) await world.append(path, plain);
    await untilQuiet();
    const deleted = await world.engine.delete("public", "/a", { children: true });
    expect(deleted.map(({ path }) => path).sort()).toEqual(["/a", "/a/b", "/a/b/c"]);
    expect(deleted[0]?.path).toBe("/a");
    await untilQuiet();
    const { streams } = await world.engine.list({ project: "public", prefix: "/", depth: "all", limit: 100 });
    expect(streams.map(({ path }) => path)).toEqual(["/", "/a-b", "/a0", "/ab", "/ab/c"]);
    const news = await world.news("/");
    expect(news.filter((item) => item.startsWith("deleted")).sort()).toEqual([
      "deleted /a",
      "deleted /a/b",
      "deleted /a/b/c",
    ]);
  });

  test("with more children than a page", async () => {
    const world = createWorld();
    await Promise.all(upTo(2_500).map((n) => world.append(`/a/${n}`, plain)));
    await untilQuiet();
    expect((await world.engine.delete("public", "/a", { children: true })).length).toBe(2_501);
    await untilQuiet();
    expect((await world.news("/")).length).toBe(2 * 2_501);
    expect(await world.events("/a")).toEqual([]);
  });

  test("and a new life are told as two births", async () => {
    const world = createWorld();
    for (let life = 0; life < 3; life++) {
      await world.append("/a", plain);
      await untilQuiet();
      await world.engine.delete("public", "/a", { children: false });
      await untilQuiet();
    }
    expect(await world.news("/")).toEqual(Array(3).fill(["created /a", "deleted /a"]).flat());
  });

  test("never brings an ancestor back to life, however it meets the births below it", async () => {
    for (const turns of [0, 1, 2, 3, 5, 8, 20]) {
      const world = createWorld();
      await world.append("/other", plain);
      await untilQuiet();
      const births = upTo(20).map((n) => world.append(`/a/b${n % 3}/c${n}`, plain));
      await Promise.all(births);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      await world.engine.delete("public", "/a", { children: true });
      await untilQuiet();
      const { streams } = await world.engine.list({ project: "public", prefix: "/a", depth: "all", limit: 100 });
      expect(streams, `deleted ${turns} turns after the births`).toEqual([]);
      expect(await owed(world)).toEqual([]);
    }
  });
});

describe("after a crash", () => {
  test.each([
    { name: "before anything was told", dies: ({ operation, path }: Call) => operation === "append" && path === "/" },
    {
      name: "after some ancestors were told",
      dies: ({ operation, path }: Call) => operation === "append" && path === "/a",
    },
    { name: "before it was noted as told", dies: ({ operation }: Call) => operation === "settle" },
  ])("$name, every birth is told once", async ({ dies }) => {
    const world = dyingAt(dies);
    for (const path of ["/a/b/c", "/a/d", "/e"]) await Promise.race([world.append(path, plain), untilQuiet()]);
    await untilQuiet();
    const next = restarted(world);
    await untilQuiet();
    const { streams } = await next.engine.list({ project: "public", prefix: "/", depth: "all", limit: 100 });
    for (const { path } of streams) {
      const below = streams.filter(
        (other) => other.path !== path && `${other.path}/`.startsWith(path === "/" ? "/" : `${path}/`),
      );
      expect((await next.news(path)).sort(), path).toEqual(below.map((other) => `created ${other.path}`).sort());
    }
    expect(streams.length).toBeGreaterThan(1);
    expect(await owed(next)).toEqual([]);
  });

  test.each([
    {
      name: "before it was told",
      dies: ({ operation, arguments: [commit] }: Call) =>
        operation === "append" && JSON.stringify(commit).includes("child-stream-deleted"),
    },
    {
      name: "before it was noted as told",
      dies: ({ operation, arguments: [, from] }: Call) => operation === "settle" && from === "deletion",
    },
  ])("$name, every deletion is told once", async ({ dies }) => {
    const world = dyingAt(dies);
    await world.append("/a/b", plain);
    await untilQuiet();
    await world.engine.delete("public", "/a/b", { children: false });
    await untilQuiet();
    const next = restarted(world);
    await untilQuiet();
    expect(await next.news("/a")).toEqual(["created /a/b", "deleted /a/b"]);
    expect((await next.news("/")).sort()).toEqual(["created /a", "created /a/b", "deleted /a/b"]);
    expect(await owed(next)).toEqual([]);
  });

  test("and another, and another, at any point, everything is told once", async () => {
    for (const seed of upTo(30)) {
      const random = createSeededRandom(seed);
      let world = createWorld();
      const paths = ["/a", "/a/b", "/a/b/c", "/d/e", "/d/e/f/g"];
      for (let life = 0; life < 6; life++) {
        let callsLeft = random.integer(40);
        const { directory, clock } = world;
        world = createWorld({
          directory,
          clock,
          seed: 100 * seed + life,
          intercept: async (_, proceed) => (callsLeft-- <= 0 ? new Promise(() => {}) : proceed()),
        });
        for (let i = 0; i < 3; i++) {
          const path = random.pick(paths);
          const work =
            random.fraction() < 0.7
              ? world.append(path, plain)
              : world.engine.delete("public", path, { children: false });
          await Promise.race([work, untilQuiet()]);
        }
        await untilQuiet();
      }
      const last = restarted(world, 7_777);
      await untilQuiet();
      const told = (await last.news("/")).sort();
      const { commits } = await last.directory.readPositions({
        project: "public",
        prefix: "/",
        after: 0,
        maxEvents: 1e9,
        maxBytes: 1e9,
      });
      expect(await owed(last)).toEqual([]);
      expect(commits.length).toBeGreaterThan(0);
      for (const path of [...paths, "/d", "/d/e/f"]) {
        const created = told.filter((item) => item === `created ${path}`).length;
        const deleted = told.filter((item) => item === `deleted ${path}`).length;
        const lives = (await last.directory.log("public", path).load()).birth === undefined ? 0 : 1;
        expect(created - deleted, `${path} with seed ${seed}: ${told}`).toBe(lives);
      }
    }
  });
});

describe("when an ancestor cannot be told", () => {
  test("it is tried again, later and later, and told once", async () => {
    let refusals = 4;
    const world = createWorld({
      async intercept({ operation, path }, proceed) {
        if (operation === "append" && path === "/" && refusals > 0) {
          refusals--;
          throw new Error("disk full");
        }
        return proceed();
      },
    });
    await world.append("/a", plain);
    await untilQuiet();
    const waits: number[] = [];
    while (refusals > 0) {
      const wait = world.clock.nextTimerInMs() as number;
      waits.push(wait);
      expect(await owed(world)).toEqual(["birth /a"]);
      world.clock.advance(wait);
      await untilQuiet();
    }
    world.clock.advance(world.clock.nextTimerInMs() ?? 0);
    await untilQuiet();
    expect(await world.news("/")).toEqual(["created /a"]);
    expect(await owed(world)).toEqual([]);
    for (const [i, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(1_000 * 2 ** i);
      expect(wait).toBeLessThanOrEqual(1_250 * 2 ** i);
    }
    expect(world.failures.length).toBeGreaterThan(0);
  });

  test("others are told all the same", async () => {
    const world = createWorld({
      async intercept({ operation, path }, proceed) {
        if (operation === "append" && path === "/broken") throw new Error("damaged");
        return proceed();
      },
    });
    await world.append("/broken/a", plain);
    await world.append("/fine/b", plain);
    await untilQuiet();
    expect((await world.news("/")).sort()).toEqual(["created /broken/a", "created /fine", "created /fine/b"]);
    expect(await world.news("/fine")).toEqual(["created /fine/b"]);
    expect(await owed(world)).toEqual(["birth /broken/a"]);
  });

  test("a directory that cannot be asked at start is asked again", async () => {
    const first = dyingAt(({ operation, path }) => operation === "append" && path === "/");
    await first.append("/a", plain);
    await untilQuiet();
    let refusals = 2;
    const world = createWorld({
      directory: first.directory,
      clock: first.clock,
      seed: 5,
      async intercept({ operation }, proceed) {
        if (operation === "due" && refusals-- > 0) throw new Error("not now");
        return proceed();
      },
    });
    for (let i = 0; i < 3; i++) {
      await untilQuiet();
      world.clock.advance(world.clock.nextTimerInMs() ?? 0);
    }
    await untilQuiet();
    expect(await world.news("/")).toEqual(["created /a"]);
  });

  test("a clock that was set back before a restart delays the news until that time, and no longer", async () => {
    const first = dyingAt(({ operation, path }) => operation === "append" && path === "/");
    await first.append("/a", plain);
    await untilQuiet();
    first.clock.jump(-3_600_000);
    const world = restarted(first);
    await untilQuiet();
    world.clock.advance(3_600_000);
    await untilQuiet();
    expect(await world.news("/")).toEqual(["created /a"]);
  });
});

type Call = Parameters<Intercept>[0];
