/** Deployed code that makes streams without end, on a whole server: what stops it by itself, and how a person does. */
import { expect, test } from "vitest";
import { builtin } from "../processes/http.ts";
import { type DeployedWorld, startDeployedWorld } from "./deployed-world.ts";

const patience = { timeout: 20_000, interval: 50 };

/** Makes streams for each stream that it hears of. */
const answering = (children: number) => `export default {
  slug: "breeding",
  async afterAppend({ event, append }) {
    if (event.type !== "${builtin("child-stream-created")}") return;
    for (let n = 0; n < ${children}; n++) {
      await append({ path: event.streamPath + "/" + event.offset + "-" + n, event: { type: "hello" } });
    }
  },
};`;

/** Each new stream makes two more beside it; 1,024 streams at most, should nobody stop it. */
const splitting = `export default {
  slug: "splitting",
  async afterAppend({ event, append }) {
    if (event.type !== "split" || event.payload.generation >= 9) return;
    const payload = { generation: event.payload.generation + 1 };
    for (const side of ["l", "r"]) await append({ path: event.streamPath + side, event: { type: "split", payload } });
  },
};`;

async function streams(world: DeployedWorld, prefix: string): Promise<number> {
  const response = await fetch(`${world.url}/api/streams?prefix=${prefix}&limit=1000`);
  return ((await response.json()) as { streams: unknown[] }).streams.length;
}

/** Resolves when two looks in a row find as many as each other; with that number. */
async function untilNoMoreAreBorn(world: DeployedWorld, prefix: string): Promise<number> {
  let before = -1;
  const same = async () => {
    const now = await streams(world, prefix);
    const ended = now === before;
    before = now;
    return ended;
  };
  await expect.poll(same, { timeout: 20_000, interval: 500 }).toBe(true);
  return before;
}

test.each([1, 2])(
  "%i streams for each stream that is born end in a pause, which says what to look for",
  async (children) => {
    const world = await startDeployedWorld();
    // As it ships 40 a second are allowed for ever: a slower one ends by depth.
    const payload = { burstCapacity: 20, refillRatePerMinute: 1 };
    await world.append("/a", { type: builtin("circuit-breaker-configured"), payload });
    await world.deploy("/a", "breeding", answering(children));
    await world.append("/a/first", { type: "hello" });
    const [pause] = await world.until("/a", builtin("paused"));
    expect(pause.reason).toContain("makes streams below");
    expect(pause.reason).toContain("child-stream-created");
    const [trigger, born, because] = pause.cause.chain;
    expect(trigger.streamPath).toBe("/a");
    expect(born.streamPath).toMatch(/^\/a\/\d+-\d$/);
    expect(because.streamPath).toBe("/a");
    const count = await untilNoMoreAreBorn(world, "/a");
    expect(count).toBeLessThan(40);

    // It is removed first: otherwise `resumed` would go on with the births that it has not answered yet.
    await world.say("/a", "removed", { slug: "breeding" });
    await world.append("/a", { type: builtin("resumed") });
    expect(await untilNoMoreAreBorn(world, "/a")).toBe(count);
    const told = await world.events("/a", builtin("child-stream-created"));
    expect(told).toHaveLength(count - 1);
  },
);

test("streams that make two each are not stopped by the breaker; removing the configuration above stops them", async () => {
  const world = await startDeployedWorld();
  await world.deploy("/b", "splitting", splitting, { includeChildren: true });
  await world.append("/b/s", { type: "split", payload: { generation: 0 } });
  await expect.poll(() => streams(world, "/b"), patience).toBeGreaterThan(40);
  await world.say("/b", "removed", { slug: "splitting" });
  const count = await untilNoMoreAreBorn(world, "/b");
  expect(count).toBeLessThan(1_000);
  expect(await world.events("/b", builtin("paused"))).toEqual([]);

  await world.client.delete("/b", { children: true });
  expect(await untilNoMoreAreBorn(world, "/b")).toBe(0);
});
