/** Whatever is asked of an engine that stops is refused as such: a closed log is no fault that anybody has to look into. */
import { expect, test } from "vitest";
import { acting, after, configured, gate, ofType, pass, worldOf } from "../test/processors.ts";
import { createWorld, untilQuiet } from "../test/world.ts";
import { processorKind } from "./consumer/processors.ts";

test("everything is refused as unavailable once it stops", async () => {
  const world = createWorld();
  const { engine } = world;
  await world.append("/a/b", { type: "a" });
  await engine.close();
  const attempts = [
    async () => engine.append("public", "/a/b", [{ event: { type: "a" } }], { bytes: 1 }),
    async () => engine.delete("public", "/a/b", { children: false }),
    async () => engine.delete("public", "/a", { children: true }),
    async () => engine.state("public", "/a/b"),
    async () => engine.processorState("public", "/a/b", "pause", undefined),
    async () => engine.list({ project: "public", prefix: "/", depth: "all", limit: 10 }),
    async () => engine.projects({ limit: 10 }),
    async () => engine.read("public", "/a/b", { after: 0 }, new AbortController().signal).next(),
  ];
  for (const attempt of attempts) expect(await world.refusal(attempt())).toMatchObject({ code: "unavailable" });
  expect(world.failures).toEqual([]);
});

test("no version begins any more while the one before comes to its end; the next start begins it", async () => {
  const seen: string[] = [];
  const old = acting("p", "ping", async ({ signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    seen.push("old is aborted");
  });
  const fresh = acting("p", "ping", ({ event, attempt }) => void seen.push(`new ${event.offset} #${attempt}`));
  const world = worldOf({ old, fresh });
  await world.append("/s", configured("p", "old"));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  await world.append("/s", configured("p", "fresh"));
  await world.engine.close();
  await pass(world, 5_000);
  expect(seen).toEqual(["old is aborted"]);
  const next = after(world, { old, fresh });
  await pass(next, 5_000);
  expect(seen).toEqual(["old is aborted", "new 3 #2"]);
  expect([world.failures, next.failures]).toEqual([[], []]);
});

test("nobody begins on a stream that is opened by what comes to its end; the next start does", async () => {
  const { opened, open } = gate();
  const seen: string[] = [];
  const last = acting("last", "ping", async ({ signal, append }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    await append({ path: "/other", event: { type: "ping" } });
    open();
  });
  const other = acting("other", "ping", ({ attempt }) => void seen.push(`other #${attempt}`));
  const before = worldOf({ last, other });
  await before.append("/other", configured("other"));
  await before.append("/s", configured("last"));
  await pass(before, 2_000);
  await before.engine.close();
  const world = after(before, { last, other });
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  await world.engine.close();
  await opened;
  await pass(world, 5_000);
  expect(seen).toEqual([]);
  const next = after(world, { last: acting("last", "none", () => {}), other });
  await pass(next, 5_000);
  expect([await ofType(next, "ping", "/other"), seen]).toEqual([[expect.anything()], ["other #1"]]);
});

test("a host that never comes to load the code of a processor holds up neither the end nor another version", async () => {
  const acted: string[] = [];
  const quick = acting("p", "ping", () => void acted.push("quick"));
  const load = ({ payload }: { payload: object }) =>
    "quick" in payload ? Promise.resolve(quick) : new Promise<never>(() => {});
  const world = createWorld({ consumers: [processorKind(load)] });
  await world.append("/s", configured("p", "slow"));
  await world.append("/t", configured("p", "slow"));
  await untilQuiet();
  await world.append("/s", configured("p", "quick", { quick: true }));
  await world.append("/s", { type: "ping" });
  await untilQuiet();
  expect(acted).toEqual(["quick"]);
  await world.engine.close();
});
