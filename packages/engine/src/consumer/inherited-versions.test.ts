/** Another version of a processor that a stream above configured: what is for it, and what the one before had done with. */
import { defineProcessor } from "@millrace/protocol";
import { expect, test } from "vitest";
import { after, configured, ofType, pass, removed, type Scripts, schemasOf, worldOf } from "../../test/processors.ts";
import { builtin, untilQuiet, type World } from "../../test/world.ts";

const forAll = { includeChildren: true };
const halted = builtin("dynamic-worker/halted");
const ping = { type: "ping" };

async function say(world: World, path: string, ...events: { type: string }[]): Promise<void> {
  for (const event of events) {
    await world.append(path, event);
    await untilQuiet();
  }
}

/** Acts on these types alone; others are passed over, which is not written down. */
const answering = (version: string, ...types: string[]) =>
  defineProcessor<number>({
    slug: "p",
    initialState: 0,
    events: schemasOf(types),
    reduce: ({ state, event }) => {
      if (version === "halting" && event.type === "call") throw new Error("no calls");
      return state + 1;
    },
    async afterAppend({ event, append }) {
      await append({ type: "answer", payload: `${version} ${event.offset}` });
    },
  });

const ofPings: Scripts = {
  pings: answering("pings", "ping"),
  both: answering("both", "ping", "call"),
  halting: answering("halting", "ping", "call"),
};
const answers = async (world: World) => (await ofType(world, "answer", "/a/b")).map(({ payload }) => payload);

test.each([false, true])(
  "what a version passed over is not for its successor; restarted in between: %s",
  async (isRestarted) => {
    let world = worldOf(ofPings);
    await say(world, "/a", configured("p", "pings", forAll));
    await say(world, "/a/b", ping);
    await pass(world, 3_000);
    await say(world, "/a/b", { type: "call" }, { type: "call" });
    await pass(world, 3_000);
    if (isRestarted) {
      await world.engine.close();
      world = after(world, ofPings);
    }
    await say(world, "/a", configured("p", "both", forAll));
    await say(world, "/a/b", { type: "call" });
    await pass(world, 3_000);
    expect(await answers(world)).toEqual(["pings 2", "both 6"]);
  },
);

test("what a version was halted at is for its successor, also after a restart", async () => {
  const world = worldOf(ofPings);
  await say(world, "/a", configured("p", "halting", forAll));
  await say(world, "/a/b", ping, { type: "call" }, { type: "call" });
  await pass(world, 3_000);
  await world.engine.close();
  const next = after(world, ofPings);
  await say(next, "/a", configured("p", "both", forAll));
  await say(next, "/a/b", ping);
  await pass(next, 3_000);
  expect((await ofType(next, halted, "/a/b")).map(({ offset }) => offset)).toEqual([5]);
  expect(await answers(next)).toEqual(["halting 2", "both 4", "both 6", "both 7"]);
});

test("what comes right behind another version is for that one, and not passed over by the one before", async () => {
  const world = worldOf(ofPings);
  await say(world, "/a", configured("p", "pings", forAll));
  await say(world, "/a/b", ping);
  await pass(world, 3_000);
  await world.append("/a", configured("p", "both", forAll));
  await world.append("/a/b", { type: "call" });
  await pass(world, 3_000);
  expect(await answers(world)).toEqual(["pings 2", "both 4"]);
});

test.each([false, true])(
  "what comes while there is no room for one is for it once there is; restarted in between: %s",
  async (isRestarted) => {
    const options = { limits: { processorsPerStream: 2 } };
    const scripts: Scripts = { near: answering("near"), far: answering("far", "ping"), other: answering("other") };
    let world = worldOf(scripts, options);
    await say(world, "/", configured("far", "far", forAll));
    await say(world, "/a", configured("near", "near", forAll));
    await say(world, "/a/b", ping);
    await pass(world, 3_000);
    await say(world, "/a", configured("other", "other", forAll));
    await say(world, "/a/b", ping);
    await pass(world, 3_000);
    expect(await answers(world)).toEqual(["far 2"]);
    if (isRestarted) {
      await world.engine.close();
      world = after(world, scripts, options);
    }
    await say(world, "/a", removed("other"));
    await say(world, "/a/b", ping);
    await pass(world, 3_000);
    const pings = (await ofType(world, "ping", "/a/b")).map(({ offset }) => `far ${offset}`);
    expect(await answers(world)).toEqual(pings);
  },
);
