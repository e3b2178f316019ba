/** The state of deployed processors at any offset: as it was, without effects, also before and behind a fault. */
import { expect, test } from "vitest";
import { builtin } from "../processes/http.ts";
import { counting, ping, startDeployedWorld } from "./deployed-world.ts";

const pings = (count: number) => Array.from({ length: count }, () => ping);

test("the state at each offset is what the events up to there make of it, and nothing happens by asking", async () => {
  const world = await startDeployedWorld();
  await world.append("/s", ...pings(3));
  const configuredAt = await world.deploy("/s", "counting", counting());
  for (let i = 1; i <= 4; i++) {
    await world.append("/s", ...pings(5), { type: "other" });
    await world.until("/s", "pong", i * 5);
  }
  const events = await world.events("/s");
  let count = 0;
  for (const { offset, type } of events) {
    if (type === "ping") count++;
    const { body } = await world.state("/s", "counting", offset);
    expect(body).toMatchObject({ state: { pings: count }, offset, version: String(configuredAt) });
  }
  expect(await world.events("/s")).toEqual(events);
  const { body } = await world.state("/s", "counting");
  expect(body).toMatchObject({ state: { pings: 23 }, offset: events.length });
  expect((await world.state("/s", "counting", events.length + 1)).status).toBe(412);
  expect((await world.state("/s", "unknown", 1)).status).toBe(404);
});

test("before a fault there is a state at each offset; behind it an answer that names it; asking halts nobody", async () => {
  const world = await startDeployedWorld();
  const poisoned = counting().replace(
    "reduce: ({ state, event }) => (",
    'reduce: ({ state, event }) => { if (event.type === "poison") throw new RangeError("poisoned"); return (',
  );
  await world.deploy("/s", "counting", poisoned.replace(": state),", ": state); },"));
  await world.append("/s", ...pings(2));
  await world.until("/s", "pong", 2);
  const fault = await world.append("/s", { type: "poison" });
  await world.halt("/s");
  const head = await world.append("/s", ...pings(3));
  const before = await world.events("/s");
  for (let at = 1; at <= head; at++) {
    const { status, body } = await world.state("/s", "counting", at);
    if (at < fault) {
      const count = before.filter(({ type, offset }) => type === "ping" && offset <= at).length;
      expect(body).toMatchObject({ state: { pings: count }, offset: at });
    } else {
      expect([status, body.detail]).toEqual([400, expect.stringMatching(`at ${at}: at event ${fault}, .*poisoned`)]);
    }
  }
  expect(await world.events("/s")).toEqual(before);
  expect(await world.events("/s", builtin("dynamic-worker/halted"))).toHaveLength(1);
});

test("far back in a long stream it is folded as well, past the newest snapshot", async () => {
  const world = await startDeployedWorld();
  const quiet = counting().replace('event.type === "ping") await', 'event.type === "never") await');
  await world.deploy("/s", "counting", quiet);
  for (let i = 0; i < 6; i++) await world.append("/s", ...pings(500));
  // Created, configured, and then nothing but pings.
  for (const at of [1, 2, 3, 999, 1_500, 3_002]) {
    const { body } = await world.state("/s", "counting", at);
    expect(body).toMatchObject({ state: { pings: Math.max(at - 2, 0) }, offset: at });
  }
});

test("two ask for two offsets while the processor runs, and none is in the way of another", async () => {
  const world = await startDeployedWorld();
  await world.deploy("/s", "counting", counting());
  const head = await world.append("/s", ...pings(20));
  const asked = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => (await world.state("/s", "counting", head - i)).body.state.pings),
  );
  expect(asked).toEqual(Array.from({ length: 20 }, (_, i) => 20 - i));
  const pongs = await world.until("/s", "pong", 20);
  expect(pongs.map(({ pings: count }) => count)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
});
