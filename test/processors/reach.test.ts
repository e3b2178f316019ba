/** On which streams a processor runs: one, a subtree, a pattern; born, deleted and reborn while it runs, or before. */
import { createEventsClient, defineProcessor, memoryCursors, type StreamEvent } from "@millrace/sdk/processor";
import { expect, test } from "vitest";
import { builtin, ofType, startWorld, types } from "./world.ts";

const count = { type: "counted" };
const echo = defineProcessor<number>({
  slug: "echo",
  initialState: 0,
  reduce: ({ state, event }) => (event.type === "said" ? state + 1 : state),
  async afterAppend({ event, state, append }) {
    if (event.type === "said") await append({ type: "heard", payload: { total: state } });
  },
});
const totals = (events: readonly StreamEvent[]) =>
  events.filter(({ type }) => type === "heard").map(({ payload }) => (payload as { total: number }).total);

test("typed ping-pong", async () => {
  const world = await startWorld();
  const pong = defineProcessor<{ pings: number }>({
    slug: "pong",
    initialState: { pings: 0 },
    reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : undefined),
    async afterAppend({ event, state, append }) {
      if (event.type !== "ping") return;
      const stored = await append({ type: "pong", payload: { pings: state.pings } });
      expect(stored.source).toEqual({
        kind: "remote",
        slug: "pong",
        cause: { streamPath: "/p", offset: event.offset },
        depth: 1,
      });
    },
  });
  const run = await world.start(pong, "/p");
  for (let i = 0; i < 3; i++) await world.client.append("/p", { type: "ping" });
  const events = await world.until("/p", ofType("pong", 3));
  expect(events.filter(({ type }) => type === "pong").map(({ payload }) => payload)).toEqual([
    { pings: 1 },
    { pings: 2 },
    { pings: 3 },
  ]);
  expect(run.state("/p")).toEqual({ pings: 3 });
});

test.each([
  ["/agents/*", undefined, ["/agents/a", "/agents/b"]],
  ["/agents/**", undefined, ["/agents", "/agents/a", "/agents/a/deep/er", "/agents/b"]],
  ["/agents", true, ["/agents", "/agents/a", "/agents/a/deep/er", "/agents/b"]],
  ["/agents/*/deep/**", undefined, ["/agents/a/deep/er"]],
])(
  "%s, with children: %s, acts on what it names, each stream with a state of its own",
  async (path, includeChildren, expected) => {
    const world = await startWorld();
    await world.client.append("/agents/a", count);
    await world.start(echo, path, { includeChildren: includeChildren === true });
    const all = ["/agents", "/agents/a", "/agents/a/deep/er", "/agents/b", "/others"];
    for (const stream of all) await world.client.append(stream, [{ type: "said" }, { type: "said" }]);
    for (const stream of expected) expect(totals(await world.until(stream, ofType("heard", 2)))).toEqual([1, 2]);
    for (const stream of all.filter((each) => !expected.includes(each)))
      expect(totals(await world.read(stream))).toEqual([]);
  },
);

test("a child that is born while it runs is acted on from its first event, also by its parent's hook", async () => {
  const world = await startWorld();
  const parent = defineProcessor<string[]>({
    slug: "parent",
    initialState: [],
    reduce: ({ state, event }) => [...state, event.type],
    async afterAppend({ event, state, append }) {
      if (event.type === "begin") await append({ path: "./boris", event: { type: "task" } });
      if (event.type === "task") {
        expect(state).toEqual([builtin("initialized"), "task"]);
        await append({ path: "../", event: { type: "done" } });
      }
      if (event.type === builtin("initialized")) await append({ type: "welcomed" });
    },
  });
  await world.client.append("/team", count);
  await world.start(parent, "/team", { includeChildren: true });
  await world.client.append("/team", { type: "begin" });
  const events = await world.until("/team", ofType("done"));
  expect(events.at(-1)?.source?.cause).toEqual({ streamPath: "/team/boris", offset: 2 });
  const boris = await world.until("/team/boris", ofType("welcomed"));
  expect(types(boris)).toEqual([builtin("initialized"), "task", "welcomed"]);
});

test("an unknown stream that is born later, deleted and born again: each life by itself", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  const run = await world.start(echo, "/later", { cursors });
  expect(run.paths()).toEqual([]);
  await world.client.append("/later", { type: "said" });
  expect(totals(await world.until("/later", ofType("heard")))).toEqual([1]);
  await world.client.delete("/later");
  await world.client.append("/later", [{ type: "said" }, { type: "said" }]);
  expect(totals(await world.until("/later", ofType("heard", 2)))).toEqual([1, 2]);
  expect(run.state("/later")).toBe(2);
  await run.stop();
  expect((await cursors.load("/later"))?.streamId).toBe((await world.client.state("/later")).streamId);
});

test("a child that is deleted and born again in a subtree begins anew, and the one that is gone is forgotten", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  const run = await world.start(echo, "/sub", { includeChildren: true, cursors });
  for (const path of ["/sub/a", "/sub/b"]) {
    await world.client.append(path, { type: "said" });
    await world.until(path, ofType("heard"));
  }
  await world.client.delete("/sub/a");
  await world.client.delete("/sub/b");
  await world.client.append("/sub/a", [{ type: "said" }, { type: "said" }]);
  expect(totals(await world.until("/sub/a", ofType("heard", 2)))).toEqual([1, 2]);
  // The news of /sub/b stands in /sub before anything else that is appended there.
  await world.until("/sub", ofType(builtin("child-stream-deleted"), 2));
  await world.client.append("/sub", { type: "said" });
  await world.until("/sub", ofType("heard"));
  expect(run.paths()).toEqual(["/sub", "/sub/a"]);
  await run.stop();
  expect((await cursors.paths()).filter((path) => path.startsWith("/")).sort()).toEqual(["/sub", "/sub/a"]);
});

test("what was born while it was stopped is missed, and told to afterCatchUp; what was deleted is forgotten", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  const decided: unknown[] = [];
  const decider = {
    ...echo,
    afterCatchUp: ({ streamPath, missed, state }: { streamPath: string; missed?: unknown; state: number }) =>
      void decided.push({ streamPath, missed, state }),
  };
  await world.client.append("/d/old", { type: "said" });
  await world.client.append("/d/gone", { type: "said" });
  const first = await world.start(decider, "/d/*", { cursors });
  await first.stop();
  await world.client.delete("/d/gone");
  await world.client.append("/d/new", [{ type: "said" }, { type: "said" }]);
  decided.length = 0;
  const second = await world.start(decider, "/d/*", { cursors });
  await world.client.append("/d/new", { type: "said" });
  expect(totals(await world.until("/d/new", ofType("heard")))).toEqual([3]);
  expect(decided).toContainEqual({ streamPath: "/d/new", missed: { after: 0, through: 3 }, state: 2 });
  await second.stop();
  expect((await cursors.paths()).filter((path) => path.startsWith("/")).sort()).toEqual(["/d/new", "/d/old"]);
});

test("startFrom: the end unless it says otherwise, the start, behind an offset", async () => {
  const world = await startWorld();
  await world.client.append("/from", [{ type: "said" }, { type: "said" }]);
  for (const startFrom of ["end", "start", 2] as const) {
    await world.start({ ...echo, slug: `from-${startFrom}`, startFrom }, "/from");
  }
  await world.client.append("/from", { type: "said" });
  const events = await world.until("/from", ofType("heard", 6));
  const by = (slug: string) => totals(events.filter(({ source }) => source?.slug === slug));
  expect([by("from-end"), by("from-start"), by("from-2")]).toEqual([[3], [1, 2, 3], [2, 3]]);
});

test("a client with a pathPrefix: the path is below it, and so are patterns", async () => {
  const world = await startWorld();
  const client = createEventsClient({ baseUrl: world.proxy.url, pathPrefix: "/me" });
  const run = await world.start(echo, "chats/*", { client });
  await world.client.append("/me/chats/a", { type: "said" });
  expect(totals(await world.until("/me/chats/a", ofType("heard")))).toEqual([1]);
  expect(run.paths()).toEqual(["/me/chats/a"]);
});

test("a wrong token ends the run: done and ready reject, and the log says why", async () => {
  const world = await startWorld();
  const client = createEventsClient({
    baseUrl: "http://127.0.0.1:9",
    fetch: async () =>
      Response.json({ type: "about:blank", status: 401, code: "unauthorized", detail: "no" }, { status: 401 }),
  });
  const run = world.run(echo, "/x", { client });
  await expect(run.done).rejects.toMatchObject({ status: 401 });
  await expect(run.ready).rejects.toMatchObject({ status: 401 });
  expect(world.log.join()).toContain("echo on /x ends");
});
