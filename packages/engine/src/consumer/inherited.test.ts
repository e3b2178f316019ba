/** Processors that a stream configured for its children: where they run, from where on, and what they know of each other. */
import { defineProcessor, type StreamEvent } from "@millrace/protocol";
import { createInProcessSandbox, type Intercept } from "@millrace/testing";
import { expect, test } from "vitest";
import {
  acting,
  after,
  configured,
  errorsIn,
  gate,
  mortal,
  ofType,
  pass,
  removed,
  resumedFrom,
  type Scripts,
  worldOf,
} from "../../test/processors.ts";
import { builtin, createWorld, untilQuiet, type World } from "../../test/world.ts";

const forAll = { includeChildren: true };
const halted = builtin("dynamic-worker/halted");

/** Answers each ping with what it is on: so that a second state or a second cursor would be seen. */
const checker = (version = "one") =>
  defineProcessor<number>({
    slug: "checker",
    initialState: 0,
    reduce: ({ state, event }) => (event.type === "ping" ? state + 1 : state),
    async afterAppend({ event, state, append }) {
      if (event.type === "ping") await append({ type: "pong", payload: { version, of: event.offset, state } });
    },
  });

const scripts: Scripts = { checker: checker(), two: checker("two"), own: checker("own") };
const ping = { type: "ping" };

const pongs = async (world: World, path: string) => (await ofType(world, "pong", path)).map(({ payload }) => payload);
const versions = async (world: World, path: string) =>
  (await pongs(world, path)).map((payload) => (payload as { version: string }).version);

async function say(world: World, path: string, ...events: object[]): Promise<void> {
  for (const event of events) {
    await world.append(path, event as never);
    await untilQuiet();
  }
}

async function consumersOf(world: World, path: string): Promise<Record<string, object>> {
  const { consumers } = await world.engine.state("public", path);
  const { tree: _, ...others } = consumers;
  return others;
}

test("it runs where it is configured and on every stream below, with a state and a cursor of its own on each", async () => {
  const world = worldOf(scripts);
  await say(world, "/agents", configured("checker", "checker", forAll), ping);
  await say(world, "/agents/ada", ping, ping);
  await say(world, "/agents/ada/deep/down", ping);
  await say(world, "/agentsmith", ping);
  await say(world, "/", ping);
  expect(await pongs(world, "/agents")).toEqual([{ version: "one", of: 3, state: 1 }]);
  expect(await pongs(world, "/agents/ada")).toEqual([
    { version: "one", of: 2, state: 1 },
    { version: "one", of: 4, state: 2 },
  ]);
  expect(await pongs(world, "/agents/ada/deep/down")).toEqual([{ version: "one", of: 2, state: 1 }]);
  expect([await pongs(world, "/agentsmith"), await pongs(world, "/")]).toEqual([[], []]);
  expect(await consumersOf(world, "/agents/ada")).toMatchObject({
    checker: { kind: "processor", inheritedFrom: "/agents", lag: 0 },
  });
  expect(await consumersOf(world, "/agentsmith")).toEqual({});
  const [pong] = await ofType(world, "pong", "/agents/ada");
  expect(pong?.source).toMatchObject({ kind: "processor", slug: "checker", cause: { streamPath: "/agents/ada" } });
  const state = world.engine.processorState("public", "/agents/ada", "checker", undefined);
  expect(await state).toMatchObject({ state: 2 });
});

test("what a stream had before the configuration is folded and not acted on, whether it was open or not", async () => {
  const before = worldOf(scripts);
  for (const path of ["/a/open", "/a/closed"]) await say(before, path, ping, ping);
  await before.engine.close();
  const world = after(before, scripts);
  await world.engine.state("public", "/a/open");
  await say(world, "/a", configured("checker", "checker", forAll));
  for (const path of ["/a/open", "/a/closed", "/a/new"]) await say(world, path, ping);
  for (const path of ["/a/open", "/a/closed"]) {
    expect(await pongs(world, path)).toEqual([{ version: "one", of: 4, state: 3 }]);
  }
  expect(await pongs(world, "/a/new")).toEqual([{ version: "one", of: 2, state: 1 }]);
});

test("startFrom start: everything is acted on, below too, once a stream is opened", async () => {
  const world = worldOf(scripts);
  await say(world, "/a/b", ping, ping);
  await say(world, "/a", configured("checker", "checker", { ...forAll, startFrom: "start" }));
  expect(await pongs(world, "/a/b")).toHaveLength(2);
});

test("what came behind the configuration counts, also where the process died before anybody acted on it", async () => {
  const dying = mortal(scripts);
  await say(dying, "/a/b", ping);
  await say(dying, "/a", configured("checker", "checker", forAll));
  // On disk, and gone before its turn.
  await Promise.all([dying.append("/a/b", ping), dying.append("/a/new", ping)]);
  dying.die();
  const world = after(dying, scripts);
  await pass(world, 3_000);
  expect(await pongs(world, "/a/b"), "without anybody's opening it").toEqual([{ version: "one", of: 3, state: 2 }]);
  expect(await pongs(world, "/a/new"), "nor the one that was born").toEqual([{ version: "one", of: 2, state: 1 }]);
});

test("a stream that is born while the configuration is committed leaves a claim, and loses nothing", async () => {
  const { opened, open } = gate();
  let holding = false;
  let dead = false;
  const intercept: Intercept = async (call, proceed) => {
    if (dead) return new Promise(() => {});
    const result = await proceed();
    // It is on disk, and nobody knows yet.
    if (holding && call.operation === "append" && call.path === "/a") await opened;
    return result;
  };
  const world = worldOf(scripts, { intercept });
  await say(world, "/a/old", ping);
  holding = true;
  const configuring = world.append("/a", configured("checker", "checker", forAll) as never);
  await untilQuiet();
  await world.append("/a/old", ping);
  const birth = world.append("/a/born", ping);
  await untilQuiet();
  dead = true;
  open();
  void configuring.catch(() => {});
  void birth.catch(() => {});
  const next = after(world, scripts);
  await pass(next, 3_000);
  expect(await pongs(next, "/a/old")).toEqual([{ version: "one", of: 3, state: 2 }]);
  await say(next, "/a/born", ping);
  expect((await pongs(next, "/a/born")).length, "every ping of it").toBe(
    (await ofType(next, "ping", "/a/born")).length,
  );
});

test("a birth that was on disk before the configuration, and known only after it, is history", async () => {
  const { opened, open } = gate();
  const intercept: Intercept = async (call, proceed) => {
    const result = await proceed();
    if (call.operation === "append" && call.path === "/a/born") await opened;
    return result;
  };
  const world = worldOf(scripts, { intercept });
  const birth = world.append("/a/born", ping);
  await untilQuiet();
  const configuring = world.append("/a", configured("checker", "checker", forAll));
  await untilQuiet();
  open();
  await Promise.all([birth, configuring]);
  await say(world, "/a/born", ping);
  expect(await pongs(world, "/a/born")).toEqual([{ version: "one", of: 3, state: 2 }]);
});

test("a hot swap reaches every stream below; each goes on at its own cursor", async () => {
  const world = worldOf(scripts);
  await say(world, "/a", configured("checker", "checker", forAll));
  for (const path of ["/a/b", "/a/c"]) await say(world, path, ping);
  await pass(world, 2_000);
  await say(world, "/a", configured("checker", "two", forAll));
  for (const path of ["/a/b", "/a/c", "/a"]) await say(world, path, ping);
  await pass(world, 2_000);
  expect(await pongs(world, "/a/b")).toEqual([
    { version: "one", of: 2, state: 1 },
    { version: "two", of: 4, state: 2 },
  ]);
  expect([await versions(world, "/a/c"), await versions(world, "/a")]).toEqual([["one", "two"], ["two"]]);
});

test("removed above, or no more for the children: it ends below, and its progress is forgotten", async () => {
  for (const ending of [removed("checker"), configured("checker", "checker")]) {
    const world = worldOf(scripts);
    await say(world, "/a", configured("checker", "checker", forAll));
    await say(world, "/a/b", ping);
    await pass(world, 2_000);
    await say(world, "/a", ending);
    await say(world, "/a/b", ping);
    await pass(world, 2_000);
    expect(await pongs(world, "/a/b")).toHaveLength(1);
    expect(await consumersOf(world, "/a/b")).toEqual({});
    expect((await world.directory.log("public", "/a/b").load()).progress).toEqual([]);
    await say(world, "/a", configured("checker", "checker", forAll));
    await say(world, "/a/b", ping);
    expect(await pongs(world, "/a/b"), "what came between is not for it").toHaveLength(2);
  }
});

test("the deletion of the stream that configured it ends it below", async () => {
  const world = worldOf(scripts);
  await say(world, "/a", configured("checker", "checker", forAll));
  await say(world, "/a/b", ping);
  await world.engine.delete("public", "/a", { children: false });
  await say(world, "/a/b", ping);
  expect(await pongs(world, "/a/b")).toHaveLength(1);
  expect(await consumersOf(world, "/a/b")).toEqual({});
});

test("a child that is deleted and born again is a new one: everything of its new life counts", async () => {
  const world = worldOf(scripts);
  await say(world, "/a", configured("checker", "checker", forAll));
  await say(world, "/a/b", ping, ping);
  await world.engine.delete("public", "/a/b", { children: false });
  await say(world, "/a/b", ping);
  const { head } = await world.engine.state("public", "/a/b");
  expect(await pongs(world, "/a/b")).toEqual([{ version: "one", of: head - 1, state: 1 }]);
});

test("while a child is paused nothing runs on it; on the others it does", async () => {
  const world = worldOf(scripts);
  await say(world, "/a", configured("checker", "checker", forAll));
  await say(world, "/a/b", ping, { type: builtin("paused") });
  await say(world, "/a/c", ping);
  await world.engine.append("public", "/a/b", [{ event: { type: builtin("resumed") } }], { bytes: 1 });
  await say(world, "/a/b", ping);
  expect([await pongs(world, "/a/b"), await pongs(world, "/a/c")]).toMatchObject([[{ of: 2 }, { of: 6 }], [{ of: 2 }]]);
});

const brittle = (fails: boolean) =>
  defineProcessor<number>({
    slug: "brittle",
    initialState: 0,
    reduce({ state, event }) {
      if (event.type === "poison" && fails) throw new Error("no such thing");
      return state + 1;
    },
    async afterAppend({ event, append }) {
      if (event.type === "ping") await append({ type: "pong", payload: { of: event.offset } });
    },
  });

test("halted on one stream, it goes on on the others; it is resumed where it was halted", async () => {
  let fails = true;
  const world = worldOf({
    brittle: () => {
      const sound = brittle(false);
      return { ...sound, reduce: (args) => (fails ? brittle(true).reduce(args) : sound.reduce(args)) };
    },
  });
  await say(world, "/a", configured("brittle", "brittle", forAll));
  await say(world, "/a/b", { type: "poison" }, ping);
  await say(world, "/a/c", ping);
  const [halt] = await ofType(world, halted, "/a/b");
  expect(halt?.payload).toMatchObject({
    slug: "brittle",
    offset: 2,
    message: "reduce failed: no such thing",
    configuration: { streamPath: "/a", offset: 2 },
    howToResume: expect.stringContaining("Configure it again on /a, or append"),
  });
  expect(await ofType(world, halted, "/a")).toEqual([]);
  expect([await pongs(world, "/a/b"), await pongs(world, "/a/c")]).toEqual([[], [{ of: 2 }]]);
  expect(await consumersOf(world, "/a/b")).toMatchObject({ brittle: { inheritedFrom: "/a", halted: { offset: 2 } } });
  await say(world, "/a/b", resumedFrom("brittle", "cursor"));
  expect(await ofType(world, halted, "/a/b"), "it fails there again, and says so again").toHaveLength(2);
  fails = false;
  await say(world, "/a/b", resumedFrom("brittle", "cursor"));
  expect(await pongs(world, "/a/b")).toEqual([{ of: 4 }]);
});

test("a halted one goes on with another version of above, and from another place where it is told to", async () => {
  const world = worldOf({ brittle: brittle(true), sound: brittle(false) });
  await say(world, "/a", configured("brittle", "brittle", forAll));
  for (const path of ["/a/b", "/a/c"]) await say(world, path, { type: "poison" }, ping);
  await say(world, "/a/c", resumedFrom("brittle", "head"));
  await say(world, "/a", configured("brittle", "sound", forAll));
  await pass(world, 2_000);
  expect(await pongs(world, "/a/b"), "at its cursor").toEqual([{ of: 4 }]);
  await say(world, "/a/c", ping);
  const { head } = await world.engine.state("public", "/a/c");
  expect(await pongs(world, "/a/c"), "at the head").toEqual([{ of: head - 1 }]);
  await world.engine.close();
  const next = after(world, { brittle: brittle(true), sound: brittle(false) });
  for (const path of ["/a/b", "/a/c"]) await say(next, path, { type: "look" });
  await pass(next, 2_000);
  expect([await pongs(next, "/a/b"), await pongs(next, "/a/c")], "after a restart").toMatchObject([
    { length: 1 },
    { length: 1 },
  ]);
});

test("code that cannot be loaded is halted on each stream when it is needed there", async () => {
  const world = worldOf(scripts);
  await say(world, "/a", configured("checker", "there is none", forAll));
  await say(world, "/a/b", ping);
  const [halt] = await ofType(world, halted, "/a/b");
  expect(halt?.payload).toMatchObject({ offset: 1, message: expect.stringContaining("could not be loaded") });
  await say(world, "/a", configured("checker", "checker", forAll));
  await pass(world, 2_000);
  expect(await pongs(world, "/a/b")).toEqual([{ version: "one", of: 2, state: 1 }]);
});

test("it has the environment of the stream that configured it, and another value is another start", async () => {
  const sandbox = createInProcessSandbox();
  const world = createWorld({ ports: { sandbox } });
  const set = (value: string) => ({ type: builtin("dynamic-worker/env-var-set"), payload: { key: "WHO", value } });
  const telling = `export default { slug: "telling", initialState: 0, reduce: ({ state }) => state + 1,
    async afterAppend({ event, append, env }) {
      if (event.type === "ping") await append({ type: "pong", payload: { ...env } });
    } };`;
  const settle = async () => {
    for (let i = 0; i < 20; i++) await untilQuiet();
  };
  await say(world, "/a", set("ada"), configured("telling", telling, forAll));
  await say(world, "/a/b", set("nobody"), ping);
  await settle();
  await say(world, "/a", set("bob"));
  await settle();
  await say(world, "/a/b", ping);
  await settle();
  expect(await pongs(world, "/a/b")).toEqual([{ WHO: "ada" }, { WHO: "bob" }]);
});

test("the nearest configuration of a slug wins; when it ends, the next one begins behind it", async () => {
  const world = worldOf(scripts);
  await say(world, "/a", configured("checker", "checker", forAll));
  await say(world, "/a/b/c", ping);
  await say(world, "/a/b", configured("checker", "two", forAll));
  await say(world, "/a/b/c", ping, configured("checker", "own"), ping);
  await say(world, "/a/b/d", ping);
  await pass(world, 2_000);
  expect(await versions(world, "/a/b/c")).toEqual(["one", "two", "own"]);
  expect(await versions(world, "/a/b/d")).toEqual(["two"]);
  await say(world, "/a/b/c", removed("checker"), ping);
  await pass(world, 2_000);
  expect(await versions(world, "/a/b/c")).toEqual(["one", "two", "own", "two"]);
  await say(world, "/a/b", removed("checker"));
  await world.engine.close();
  const next = after(world, scripts);
  await say(next, "/a/b/c", ping);
  await say(next, "/a/b", ping);
  await pass(next, 2_000);
  expect(await versions(next, "/a/b/c")).toEqual(["one", "two", "own", "two", "one"]);
  expect(await versions(next, "/a/b"), "one of above comes back to a stream that had its own").toEqual(["one"]);
  expect(await errorsIn(next, "/a/b/c")).toEqual([]);
});

test("beyond the limit the farthest is left out, which is shown, and comes in when there is room", async () => {
  const world = worldOf(
    { checker: checker(), other: acting("other", "never", () => {}) },
    { limits: { processorsPerStream: 2 } },
  );
  await say(world, "/", configured("checker", "checker", forAll));
  await say(world, "/a/b", configured("mine", "other"), configured("yours", "other"), ping);
  expect(await pongs(world, "/a/b")).toEqual([]);
  expect(await consumersOf(world, "/a/b")).toMatchObject({
    checker: { inheritedFrom: "/", halted: { message: expect.stringContaining("has 2 processors already") } },
  });
  expect(await ofType(world, halted, "/a/b")).toEqual([]);
  await say(world, "/a/b", removed("yours"), ping);
  await pass(world, 2_000);
  expect(await pongs(world, "/a/b")).toMatchObject([{ state: 1 }, { state: 2 }]);
});

test("after a restart it goes on, with its state, and what it appended it appends no more", async () => {
  const first = worldOf(scripts);
  await say(first, "/a", configured("checker", "checker", forAll));
  await say(first, "/a/b", ping, ping);
  await first.engine.close();
  const world = after(first, scripts);
  await say(world, "/a/b", ping);
  expect(await pongs(world, "/a/b")).toMatchObject([{ state: 1 }, { state: 2 }, { state: 3 }]);
});

test("a crash between the append of a hook and its progress repeats nothing in the log", async () => {
  let dying = false;
  let calls = 0;
  const { opened } = gate();
  const counted: Scripts = {
    p: acting("p", "ping", async ({ append }) => {
      calls++;
      await append({ type: "pong" });
      if (dying) await opened;
    }),
  };
  const world = mortal(counted);
  await say(world, "/a", configured("p", "p", forAll));
  dying = true;
  await say(world, "/a/b", ping);
  world.die();
  dying = false;
  const next = after(world, counted);
  await pass(next, 3_000);
  expect(calls).toBe(2);
  expect(await ofType(next, "pong", "/a/b")).toHaveLength(1);
});

test("a log above that cannot be read: appends are taken, and what is owed is done once it can", async () => {
  let away = false;
  const intercept: Intercept = async (call, proceed) => {
    if (away && call.path === "/a" && call.operation !== "append") throw new Error("the disk is away");
    return proceed();
  };
  const asked: number[] = [];
  const asking: Scripts = { checker: acting("checker", "ping", ({ event }) => void asked.push(event.offset)) };
  const first = worldOf(asking);
  await say(first, "/a", configured("checker", "checker", forAll));
  await say(first, "/a/b", ping);
  await first.engine.close();
  const world = after(first, asking, { intercept });
  away = true;
  await say(world, "/a/b", ping);
  await pass(world, 30_000);
  expect(asked).toEqual([2]);
  away = false;
  await pass(world, 70_000);
  expect(asked, "and nothing a second time").toEqual([2, 3]);
  await pass(world, 70_000);
  expect(world.clock.nextTimerInMs(), "and then it is quiet").toBeUndefined();
});

test("a configuration opens nobody, and writes nothing on the streams below", async () => {
  const first = worldOf(scripts);
  for (let n = 0; n < 50; n++) await first.append(`/a/s${n}`, ping);
  await pass(first, 2_000);
  await first.engine.close();
  const touched: string[] = [];
  const intercept: Intercept = async ({ operation, path }, proceed) => {
    touched.push(`${operation} ${path}`);
    return proceed();
  };
  const world = after(first, scripts, { intercept });
  await world.engine.state("public", "/a/s7");
  touched.length = 0;
  for (const script of ["checker", "two"]) await say(world, "/a", configured("checker", script, forAll));
  await pass(world, 10_000);
  expect(touched.filter((call) => call.includes("/a/s") && !call.startsWith("headAt"))).toEqual([]);
  expect(touched.filter((call) => call.includes("/a/s") && !call.endsWith("/a/s7"))).toEqual([]);
  await say(world, "/a/s7", ping);
  await say(world, "/a/s8", ping);
  await pass(world, 2_000);
  expect([await versions(world, "/a/s7"), await versions(world, "/a/s8")]).toEqual([["two"], ["two"]]);
  await world.engine.close();
  const next = after(world, scripts);
  await pass(next, 60_000, 1_000);
  expect(next.engine.gauges().openStreams, "after a restart").toBe(0);
  expect(next.clock.nextTimerInMs()).toBeUndefined();
});

test("afterCatchUp runs on each stream before its first event, and after a new version", async () => {
  const asked: string[] = [];
  const p = defineProcessor<number>({
    slug: "p",
    initialState: 0,
    reduce: ({ state }) => state + 1,
    afterCatchUp({ streamPath }) {
      asked.push(`asked ${streamPath}`);
    },
    afterAppend({ event }: { event: StreamEvent }) {
      if (event.type === "ping") asked.push(`ping ${event.streamPath}`);
    },
  });
  const world = worldOf({ p });
  await say(world, "/a/b", ping);
  await say(world, "/a", configured("p", "p", forAll));
  await pass(world, 2_000);
  expect(asked).toEqual(["asked /a"]);
  await say(world, "/a/b", ping);
  await say(world, "/a", configured("p", "p", forAll));
  await say(world, "/a/b", ping);
  await pass(world, 2_000);
  expect(asked.filter((line) => line.endsWith("/b"))).toEqual(["asked /a/b", "ping /a/b", "asked /a/b", "ping /a/b"]);
});
