/** What processors say, over a clock that only the test moves: bounded, counted, read, and never in anybody's way. */
import { createManualClock, createSeededRandom } from "@millrace/testing";
import { expect, test } from "vitest";
import { acting, configured, worldOf } from "../../test/processors.ts";
import { untilQuiet } from "../../test/world.ts";
import { saidCharactersMax } from "./bounded.ts";
import type { SaidItem, SaidLine, SaidRequest } from "./read-said.ts";
import { charactersMax, linesMax, ringsMax } from "./ring.ts";
import type { Said } from "./said.ts";
import { createSayings } from "./sayings.ts";

function scene() {
  const clock = createManualClock();
  const heard: Said[] = [];
  const failures: unknown[] = [];
  const sayings = createSayings({
    clock,
    random: createSeededRandom(1),
    onSaid: (said) => heard.push(said),
    onFailure: (error) => failures.push(error),
  });
  const as = (slug: string, path = "/s", project = "public", offset = 1) =>
    sayings.loggerOf({ project, path, slug, offset });
  const leaving = new AbortController();
  const open = (request: Partial<SaidRequest> = {}, project = "public") =>
    sayings.read(project, { path: "/", ...request }, leaving.signal);
  return { clock, heard, failures, sayings, as, open, leave: () => leaving.abort() };
}

async function linesOf(items: AsyncGenerator<SaidItem>): Promise<SaidLine[]> {
  const lines: SaidLine[] = [];
  for await (const item of items) if (item.kind === "lines") lines.push(...item.lines);
  return lines;
}

const messages = (said: readonly Said[]) => said.map(({ message }) => message);

test("a line has its level, its place, its time and its details", async () => {
  const { heard, as, open } = scene();
  as("greeter", "/me", "demo", 7).warn("hello", { to: "you" });
  as("greeter", "/me", "demo", 8).info("bare");
  const place = { at: "2026-01-01T00:00:00.000Z", project: "demo", path: "/me", slug: "greeter" };
  const first = { ...place, level: "warn", offset: 7, message: "hello", details: { to: "you" } };
  expect(heard).toEqual([first, { ...place, level: "info", offset: 8, message: "bare" }]);
  const lines = await linesOf(open({}, "demo"));
  expect(lines.map(({ id: _, ...line }) => line)).toEqual(heard);
  expect(await linesOf(open({}, "public"))).toEqual([]);
});

test.each<[string, unknown, unknown]>([
  ["an error", new Error("no luck"), { name: "Error", message: "no luck", stack: expect.stringContaining("no luck") }],
  ["a bigint", 1n, "1"],
  ["what refers to itself", circle(), "[object Object]"],
  ["a function", () => 1, expect.stringContaining("=>")],
  ["what throws when it is looked at", { toJSON: fail, toString: fail }, "(what cannot be shown)"],
  ["null", null, null],
])("details that are %s", (_what, details, kept) => {
  const { heard, as } = scene();
  as("a").info("x", details);
  expect(heard).toMatchObject([{ details: kept }]);
});

function circle(): object {
  const one: { self?: object } = {};
  one.self = one;
  return one;
}

function fail(): never {
  throw new Error("not to be looked at");
}

test("a message and details are cut at their limit, and say how long they were", () => {
  const { heard, as } = scene();
  as("a").info("m".repeat(100_000), { text: "d".repeat(100_000) });
  const [{ message, details }] = heard as [Said];
  expect(message.length).toBeLessThanOrEqual(saidCharactersMax);
  expect(message).toMatch(/^m{16000}m*\.\.\. \(cut, it had 100000 characters\)$/);
  expect((details as string).length).toBeLessThanOrEqual(saidCharactersMax);
  expect(details).toMatch(/^\{"text":"d+\.\.\. \(cut, it had 100011 characters\)$/);
});

test("beyond a hundred at once it is counted, and one line says how much was left out", () => {
  const { clock, heard, as } = scene();
  for (let n = 0; n < 50_000; n++) as("loud", "/s", "public", n).info(`line ${n}`);
  as("neighbour").info("I am here");
  expect(heard.length).toBe(101);
  expect(heard.at(-1)?.message).toBe("I am here");
  clock.advance(1_000);
  expect(heard.length).toBe(102);
  expect(heard.at(-1)).toMatchObject({ level: "warn", slug: "loud", offset: 49_999, leftOut: 49_900 });
  expect(heard.at(-1)?.message).toContain("49900 lines were left out");
  for (let n = 0; n < 20; n++) as("loud").info("more");
  clock.advance(1_000);
  // What was refilled in a second, and a second line about the rest.
  expect(heard.slice(102).map(({ message, leftOut }) => leftOut ?? message)).toEqual([...Array(10).fill("more"), 10]);
  expect(clock.nextTimerInMs()).toBeUndefined();
});

test("who never stops is told of every ten seconds, and no more comes of it than the allowance", () => {
  const { clock, heard, as } = scene();
  for (let at = 0; at < 60_000; at += 10) {
    for (let n = 0; n < 10; n++) as("endless").info("x");
    clock.advance(10);
  }
  clock.advance(20_000);
  const told = heard.filter(({ leftOut }) => leftOut !== undefined);
  expect(told.length).toBeLessThanOrEqual(7);
  expect(heard.length - told.length).toBeLessThanOrEqual(100 + 60 * 10);
  const leftOut = told.reduce((sum, said) => sum + (said.leftOut as number), 0);
  expect(leftOut + heard.length - told.length).toBe(60_000);
});

test("a project has an allowance for all of its processors, and none for those of others", () => {
  const { clock, heard, as } = scene();
  for (let stream = 0; stream < 100; stream++) {
    for (let n = 0; n < 100; n++) as("loud", `/s/${stream}`).info("x");
  }
  expect(heard.length).toBe(1_000);
  as("quiet", "/s", "other").info("I am here");
  expect(messages(heard).at(-1)).toBe("I am here");
  clock.advance(10_000);
  const leftOut = heard.reduce((sum, said) => sum + (said.leftOut ?? 0), 0);
  expect(leftOut).toBe(9_000);
});

test("what was left out is told at the end", () => {
  const { clock, heard, as, sayings } = scene();
  for (let n = 0; n < 101; n++) as("loud").info("x");
  as("sandboxed").leftOut(7);
  sayings.close();
  expect(heard.slice(100).map(({ slug, leftOut }) => [slug, leftOut])).toEqual([
    ["loud", 1],
    ["sandboxed", 7],
  ]);
  expect(clock.nextTimerInMs()).toBeUndefined();
});

test("a log of the host that fails is a fault, and none of the hook's", async () => {
  const failures: unknown[] = [];
  const sayings = createSayings({
    clock: createManualClock(),
    random: createSeededRandom(1),
    onSaid: () => fail(),
    onFailure: (error) => failures.push(error),
  });
  sayings.loggerOf({ project: "public", path: "/s", slug: "a", offset: 1 }).info("x");
  expect(failures).toMatchObject([{ message: "not to be looked at" }]);
  expect(messages(await linesOf(sayings.read("public", { path: "/" }, new AbortController().signal)))).toEqual(["x"]);
});

test("the newest lines of a project are kept: so many, and of so many characters", async () => {
  const { clock, as, open } = scene();
  for (let n = 0; n < linesMax + 5; n++) {
    as("a", `/${n % 50}`).info(`line ${n}`);
    clock.advance(100);
  }
  const lines = await linesOf(open());
  expect([lines.length, lines[0]?.message, lines.at(-1)?.message]).toEqual([linesMax, "line 5", "line 1004"]);
  for (let n = 0; n < 90; n++) as("b", `/${n % 50}`).info("m".repeat(saidCharactersMax));
  const kept = await linesOf(open());
  expect(kept.length).toBe(Math.floor(charactersMax / (saidCharactersMax + 4)));
  expect(kept.every(({ slug }) => slug === "b")).toBe(true);
});

test("of too many projects the one that was silent for the longest is forgotten", async () => {
  const { as, open } = scene();
  for (let n = 0; n <= ringsMax; n++) {
    as("a", "/s", `p${n}`).info("x");
    if (n > 0) as("a", "/s", "p0").info("x");
  }
  expect((await linesOf(open({}, "p0"))).length).toBeGreaterThan(0);
  expect(await linesOf(open({}, "p1"))).toEqual([]);
});

test("a path means that stream and all below it; slug and level choose further", async () => {
  const { as, open } = scene();
  as("a", "/team").debug("1");
  as("a", "/team/x").info("2");
  as("b", "/team/x").error("3");
  as("b", "/teamwork").warn("4");
  expect(messages(await linesOf(open({ path: "/team" })))).toEqual(["1", "2", "3"]);
  expect(messages(await linesOf(open({ path: "/team", slug: "a" })))).toEqual(["1", "2"]);
  expect(messages(await linesOf(open({ level: "warn" })))).toEqual(["3", "4"]);
  expect(messages(await linesOf(open({ limit: 2, live: true })))).toEqual(["1", "2"]);
});

test("a live reader goes on with what is said, and one that comes back behind its last line", async () => {
  const { as, open, leave } = scene();
  as("a").info("1");
  const items = open({ live: true });
  expect(await items.next()).toMatchObject({ value: { kind: "lines", lines: [{ message: "1" }] } });
  expect((await items.next()).value).toEqual({ kind: "idle" });
  const next = items.next();
  as("a").info("2");
  const { lines } = (await next).value as Extract<SaidItem, { kind: "lines" }>;
  expect(messages(lines)).toEqual(["2"]);
  as("a").info("3");
  expect(messages(await linesOf(open({ after: lines[0]?.id as string })))).toEqual(["3"]);
  expect(messages(await linesOf(open({ after: "another-7" })))).toEqual(["1", "2", "3"]);
  leave();
  await items.return(undefined);
});

test("a live reader hears at once that it is open, where nothing was said, and then every while", async () => {
  const { clock, as, open, leave } = scene();
  const items = open({ live: true, path: "/s" });
  expect((await items.next()).value).toEqual({ kind: "idle" });
  const next = items.next();
  as("a", "/other").info("not for this reader");
  await untilQuiet();
  clock.advance(30_000);
  expect((await next).value).toEqual({ kind: "idle" });
  leave();
  await items.return(undefined);
});

test("a reader that is too slow is told how many lines it has lost, and holds up nobody", async () => {
  const { clock, as, open, leave } = scene();
  as("a").info("first");
  const items = open({ live: true });
  await items.next();
  await items.next();
  for (let n = 0; n < linesMax + 50; n++) {
    as("a", `/${n % 50}`).info(`line ${n}`);
    clock.advance(100);
  }
  expect((await items.next()).value).toEqual({ kind: "missed", count: 50 });
  const { lines } = (await items.next()).value as Extract<SaidItem, { kind: "lines" }>;
  expect([lines.length, lines[0]?.message]).toEqual([100, "line 50"]);
  leave();
  await items.return(undefined);
});

test("processors of the host's own are heard too, and their work", async () => {
  const talker = acting("talker", "talk", ({ logger, event, waitUntil }) => {
    logger.info("from the hook", event.payload);
    waitUntil("more", async () => logger.warn("from the work"));
  });
  const world = worldOf({ talker });
  await world.append("/s", configured("talker"));
  await world.append("/s", { type: "talk", payload: { n: 1 } });
  await untilQuiet();
  const lines = await linesOf(world.engine.readSaid("public", { path: "/s" }, new AbortController().signal));
  expect(lines.map(({ level, slug, offset, message, details }) => [level, slug, offset, message, details])).toEqual([
    ["info", "talker", 3, "from the hook", { n: 1 }],
    ["warn", "talker", 3, "from the work", undefined],
  ]);
});
