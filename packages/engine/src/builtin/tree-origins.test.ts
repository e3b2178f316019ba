/** What the news of a birth says of code that made the stream, and that it survives crashes, deletions, old databases. */
import type { EventSource, StreamEvent } from "@millrace/protocol";
import { createSeededRandom, type Intercept } from "@millrace/testing";
import { expect, test } from "vitest";
import { builtin, createWorld, dyingAt, untilQuiet, upTo, type World } from "../../test/world.ts";

const plain = { type: "plain" };

/** What code appends because of event 7 of a stream. */
function because(streamPath: string, depth: number): EventSource {
  return { kind: "processor", slug: "maker", cause: { streamPath, offset: 7 }, depth };
}

async function births(world: World, path: string): Promise<StreamEvent[]> {
  return world.events(path, { accepts: (type) => type === builtin("child-stream-created") });
}

async function claims(world: World): Promise<{ path: string; kind: string }[]> {
  const { streams } = await world.directory.due({ now: 1e15, limit: 100 });
  return streams.map(({ path, claim }) => ({ path, kind: claim.kind }));
}

function restarted(world: World): World {
  return createWorld({ directory: world.directory, clock: world.clock, seed: 2 });
}

/** What an earlier server would have left: claims that say nothing of code. */
async function forgetOrigins(world: World): Promise<void> {
  const { streams } = await world.directory.due({ now: 1e15, limit: 100 });
  for (const { head, claim } of streams) {
    const kind = claim.kind.split(" ")[0] as string;
    expect(await world.directory.settle(head, claim.kind, { ...claim, kind })).toBe(true);
  }
}

const diesBeforeTelling = ({ operation, path }: Parameters<Intercept>[0]) => operation === "append" && path === "/";

test("a stream that code made is told with the event because of which it did, one deeper than the birth", async () => {
  const world = createWorld();
  await world.append("/a/x", plain, because("/a", 3));
  await untilQuiet();
  for (const ancestor of ["/a", "/"]) {
    expect((await births(world, ancestor))[0]).toMatchObject({
      payload: { childPath: "/a/x", createdBy: { streamPath: "/a", offset: 7 } },
      source: { kind: "server", slug: "tree", cause: { streamPath: "/a/x", offset: 1 }, depth: 4 },
    });
  }
});

test("streams in between, which come into being with the news, are made by the same event", async () => {
  const world = createWorld();
  await world.append("/a/b/c/d", plain, because("/other", 3));
  await untilQuiet();
  const told = await births(world, "/");
  expect(told.map(({ payload }) => (payload as { childPath: string }).childPath).sort()).toEqual([
    "/a",
    "/a/b",
    "/a/b/c",
    "/a/b/c/d",
  ]);
  for (const { payload, source } of told) {
    expect(payload).toMatchObject({ createdBy: { streamPath: "/other", offset: 7 } });
    expect(source?.depth).toBe(4);
  }
});

test("a birth from outside is told as before, its claim is as before, and nothing is read for it", async () => {
  const kinds: string[] = [];
  const operations: string[] = [];
  const world = createWorld({
    async intercept({ operation, arguments: [commit] }, proceed) {
      operations.push(operation);
      const claim = (commit as { claim?: { kind: string } | null } | undefined)?.claim;
      if (operation === "append" && claim) kinds.push(claim.kind);
      return proceed();
    },
  });
  await world.append("/a/b", plain);
  await untilQuiet();
  expect(operations).not.toContain("read");
  expect(kinds).toEqual(["birth", "birth"]);
  for (const { payload, source } of await births(world, "/")) {
    expect(Object.keys(payload as object)).toEqual(["childPath"]);
    expect(source?.depth).toBe(1);
  }
});

test("what claims a depth without a cause counts on in it", async () => {
  const world = createWorld();
  await world.append("/a", plain, { kind: "remote", depth: 5 });
  await world.append("/b", plain, { kind: "remote", slug: "peer", depth: 0 });
  await untilQuiet();
  const told = await births(world, "/");
  expect(told.map(({ payload, source }) => [payload, source?.depth])).toEqual([
    [{ childPath: "/a" }, 6],
    [{ childPath: "/b" }, 1],
  ]);
});

test("the first append that was taken counts, not one that was refused before it in the same commit", async () => {
  const world = createWorld();
  const refused = world.append("/a", { ...plain, offset: 99 }, because("/wrong", 9));
  const taken = world.append("/a", plain, because("/right", 2));
  const later = world.append("/a", plain, because("/late", 5));
  expect(await world.refusal(refused)).toMatchObject({ code: "offset_conflict" });
  await Promise.all([taken, later]);
  await untilQuiet();
  expect((await births(world, "/"))[0]).toMatchObject({
    payload: { createdBy: { streamPath: "/right" } },
    source: { depth: 3 },
  });
});

test("after a crash it is found again", async () => {
  const world = dyingAt(diesBeforeTelling);
  await world.append("/a", plain, because("/maker", 2));
  await untilQuiet();
  const origin = JSON.stringify({ depth: 2, createdBy: { streamPath: "/maker", offset: 7 } });
  expect(await claims(world)).toEqual([{ path: "/a", kind: `birth ${origin}` }]);
  const next = restarted(world);
  await untilQuiet();
  expect((await births(next, "/"))[0]).toMatchObject({
    payload: { childPath: "/a", createdBy: { streamPath: "/maker", offset: 7 } },
    source: { depth: 3 },
  });
  expect(await claims(world)).toEqual([]);
});

test("a stream that was deleted before it was told is told all the same, though its log is empty", async () => {
  let refuses = true;
  const world = createWorld({
    async intercept({ operation, path, arguments: [commit] }, proceed) {
      const tells = JSON.stringify(commit ?? null).includes("childPath");
      if (refuses && operation === "append" && path === "/" && tells) throw new Error("disk full");
      return proceed();
    },
  });
  await world.append("/", plain);
  await world.append("/a", plain, because("/maker", 2));
  await untilQuiet();
  await world.engine.delete("public", "/a", { children: false });
  await untilQuiet();
  const origin = JSON.stringify({ depth: 2, createdBy: { streamPath: "/maker", offset: 7 } });
  expect(await claims(world)).toEqual([{ path: "/a", kind: `birth,deletion ${origin}` }]);
  refuses = false;
  world.clock.advance(3_600_000);
  await untilQuiet();
  expect(await world.news("/")).toEqual(["created /a", "deleted /a"]);
  expect((await births(world, "/"))[0]).toMatchObject({
    payload: { createdBy: { streamPath: "/maker" } },
    source: { depth: 3 },
  });
  const deleted = (await world.events("/")).at(-1);
  expect(deleted?.source?.depth).toBe(1);
  expect(await claims(world)).toEqual([]);
});

test("a claim of an earlier server is told without", async () => {
  const old = dyingAt(diesBeforeTelling);
  await old.append("/a", plain, because("/maker", 2));
  await untilQuiet();
  await forgetOrigins(old);
  const world = restarted(old);
  await untilQuiet();
  const [told] = await births(world, "/");
  expect(told?.payload).toEqual({ childPath: "/a" });
  expect(told?.source?.depth).toBe(1);
  expect(await claims(world)).toEqual([]);
});

test("told again by one who knows less, it stays as it was told first", async () => {
  const first = dyingAt(({ operation }) => operation === "settle");
  await first.append("/a", plain, because("/maker", 2));
  await untilQuiet();
  await forgetOrigins(first);
  const world = restarted(first);
  await untilQuiet();
  const told = await births(world, "/");
  expect(told.map(({ payload }) => payload)).toEqual([
    { childPath: "/a", createdBy: { streamPath: "/maker", offset: 7 } },
  ]);
  expect(await claims(world)).toEqual([]);
});

test("another life has another origin", async () => {
  const world = createWorld();
  await world.append("/a", plain, because("/maker", 2));
  await untilQuiet();
  await world.engine.delete("public", "/a", { children: false });
  await untilQuiet();
  await world.append("/a", plain);
  await untilQuiet();
  expect((await births(world, "/")).map(({ payload }) => payload)).toEqual([
    { childPath: "/a", createdBy: { streamPath: "/maker", offset: 7 } },
    { childPath: "/a" },
  ]);
});

test("over crashes, deletions and new lives at any point, what was told is what stands in the logs", async () => {
  let byCode = 0;
  for (const seed of upTo(40)) {
    const random = createSeededRandom(seed);
    let world = createWorld();
    for (let life = 0; life < 5; life++) {
      let callsLeft = random.integer(60);
      const { directory, clock } = world;
      const intercept: Intercept = async (_, proceed) => (callsLeft-- <= 0 ? new Promise(() => {}) : proceed());
      world = createWorld({ directory, clock, seed: 100 * seed + life, intercept });
      for (let i = 0; i < 5; i++) {
        const path = random.pick(["/a", "/a/b", "/a/b/c", "/d/e", "/d/e/f/g"]);
        const source = random.fraction() < 0.6 ? because(random.pick(["/a", "/d", "/x"]), 1 + i) : undefined;
        const remove = () => world.engine.delete("public", path, { children: false });
        await Promise.race([random.fraction() < 0.75 ? world.append(path, plain, source) : remove(), untilQuiet()]);
      }
      await untilQuiet();
    }
    const last = createWorld({ directory: world.directory, clock: world.clock, seed: 7_777 });
    await untilQuiet();
    expect(await claims(last)).toEqual([]);
    const { streams } = await last.engine.list({ project: "public", prefix: "/", depth: "all", limit: 100 });
    for (const { path } of streams) {
      if (path === "/") continue;
      const { told, stands, ...life } = await newest(last, path);
      expect(told, `seed ${seed}`).toEqual(stands);
      if (life.byCode) byCode++;
    }
  }
  expect(byCode).toBeGreaterThan(20);
});

/** What the root was told of a path last, and what it should have been told by what brought that into being. */
async function newest(world: World, path: string): Promise<{ told: object; stands: object; byCode: boolean }> {
  const news = (await births(world, "/")).findLast(
    ({ payload }) => (payload as { childPath: string }).childPath === path,
  );
  const [birth, first] = await world.events(path);
  const byNews = first?.type === builtin("child-stream-created");
  const { createdBy } = (byNews ? first.payload : { createdBy: first?.source?.cause }) as { createdBy?: object };
  const depth = (first?.source?.depth ?? 0) + (byNews ? 0 : 1);
  const cause = { streamPath: path, offset: birth?.offset };
  const { payload, source } = news ?? {};
  return {
    told: { payload, cause: source?.cause, depth: source?.depth },
    stands: { payload: { childPath: path, ...(createdBy === undefined ? {} : { createdBy }) }, cause, depth },
    byCode: createdBy !== undefined,
  };
}
