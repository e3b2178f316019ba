/** Work that is open when its code is replaced, its server restarted, its sandbox ended: it ends, and is told. */
import { expect, test } from "vitest";
import { sandboxesOf } from "../../packages/millrace/test/sandbox-processes.ts";
import { builtin } from "../processes/http.ts";
import { type DeployedWorld, startDeployedWorld } from "./deployed-world.ts";

const working = (name: string) => `export default {
  initialState: { asked: 0 },
  reduce: ({ state, event }) => (event.type === "ask" ? { asked: state.asked + 1 } : state),
  afterAppend({ event, waitUntil }) {
    if (event.type !== "ask") return;
    waitUntil("answer " + event.offset, async ({ append, signal, state }) => {
      await append({ type: "chunk", payload: { by: ${JSON.stringify(name)}, ...state() } });
      while (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 20));
      await append({ type: "late" });
    });
  },
  async afterCatchUp({ append, interrupted }) {
    const { work = [] } = interrupted ?? {};
    if (work.length > 0) await append({ type: "told", payload: { by: ${JSON.stringify(name)}, work } });
  },
};`;

test.each([
  ["another version", "two", 0, (world: DeployedWorld) => world.deploy("/s", "working", working("two"))],
  // In good order: what it appends last is taken.
  ["a restart of the server", "one", 1, (world: DeployedWorld) => world.restart()],
  [
    "the end of the sandbox",
    "one",
    0,
    async () => {
      for (const pid of sandboxesOf()) process.kill(pid, "SIGKILL");
    },
  ],
])("%s ends open work, and whoever comes then is told of it once", async (_what, by, late, end) => {
  const world = await startDeployedWorld();
  await world.deploy("/s", "working", working("one"));
  const offset = await world.append("/s", { type: "ask" });
  expect(await world.until("/s", "chunk")).toEqual([{ by: "one", asked: 1 }]);
  await end(world);
  const told = await world.until("/s", "told");
  expect(told).toEqual([{ by, work: [{ name: `answer ${offset}`, offset }] }]);
  await world.append("/s", { type: "ask" });
  expect((await world.until("/s", "chunk", 2))[1]).toEqual({ by, asked: 2 });
  expect(await world.events("/s", "late")).toHaveLength(late);
  expect(await world.events("/s", "told")).toHaveLength(1);
  expect(await world.events("/s", builtin("error-occurred"))).toEqual([]);
  expect(await world.events("/s", builtin("dynamic-worker/halted"))).toEqual([]);
});

test("one that is removed ends its work, and nobody is told", async () => {
  const world = await startDeployedWorld();
  await world.deploy("/s", "working", working("one"));
  await world.append("/s", { type: "ask" });
  await world.until("/s", "chunk");
  await world.say("/s", "removed", { slug: "working" });
  await world.deploy("/s", "working", working("two"));
  await world.append("/s", { type: "ask" });
  expect((await world.until("/s", "chunk", 2))[1]).toEqual({ by: "two", asked: 2 });
  expect(await world.events("/s", "told")).toEqual([]);
  expect(await world.events("/s", "late")).toEqual([]);
});
