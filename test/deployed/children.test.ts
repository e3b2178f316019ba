/** One configuration for a subtree, on a whole server: workerd runs it on every stream below, over a restart too. */
import { createEventsClient, type StreamEvent } from "@millrace/sdk";
import { serve } from "millrace";
import { expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "../processes/server-process.ts";
import { findWorkerd } from "../processors/targets/workerd.ts";

const builtin = (name: string) => `https://events.iterate.com/events/stream/dynamic-worker/${name}`;
const patience = { timeout: 20_000, interval: 20 };
const asked = { type: "asked" };
const found = findWorkerd();

async function startWorld() {
  const { directory: data, remove } = temporaryDirectory();
  const onFatal = (message: string) => {
    throw new Error(message);
  };
  const launch = () => serve({ port: 0, host: "127.0.0.1", data, onFault: () => {}, onFatal });
  let server = await launch();
  onTestFinished(async () => {
    await server.close();
    remove();
  });
  const client = () => createEventsClient({ baseUrl: server.url });

  async function payloads(path: string, type: string) {
    const events: StreamEvent[] = [];
    for await (const event of client().read(path)) if (event.type === type) events.push(event);
    return events.map(({ payload }) => payload);
  }

  return {
    append: (path: string, ...events: { type: string; payload?: object }[]) => client().append(path, events as never),
    payloads,
    async until(path: string, type: string, count: number) {
      await expect.poll(async () => (await payloads(path, type)).length, patience).toBe(count);
      return payloads(path, type);
    },
    async consumers(path: string) {
      return ((await (await fetch(`${server.url}/api/state${path}`)).json()) as { consumers: object }).consumers;
    },
    async restart() {
      await server.close();
      server = await launch();
    },
  };
}

const checker = (version: string, onPoison: string) => `export default {
  slug: "checker",
  initialState: { asked: 0 },
  reduce({ state, event }) {
    if (event.type === "poison") ${onPoison};
    return event.type === "asked" ? { asked: state.asked + 1 } : state;
  },
  async afterAppend({ event, state, append, env }) {
    if (event.type === "asked") await append({ type: "checked", payload: { version: "${version}", ...state, who: env.WHO } });
  },
};`;

const deployed = (script: string) => ({
  type: builtin("configured"),
  payload: { slug: "checker", script, includeChildren: true },
});

if ("missing" in found) console.log(`test/deployed/children: left out, because ${found.missing}`);

test.skipIf("missing" in found)(
  "one configuration serves a subtree: streams that exist, streams that are born, each on its own",
  async () => {
    const world = await startWorld();
    await world.append("/agents/old", asked, asked);
    await world.append("/agents", { type: builtin("env-var-set"), payload: { key: "WHO", value: "agents" } });
    await world.append("/agents", deployed(checker("one", 'throw new TypeError("no such thing")')));
    await world.append("/agents/old", asked);
    await world.append("/agents/new/below", asked);
    await world.append("/others/x", asked);
    expect(await world.until("/agents/old", "checked", 1)).toEqual([{ version: "one", asked: 3, who: "agents" }]);
    expect(await world.until("/agents/new/below", "checked", 1)).toEqual([{ version: "one", asked: 1, who: "agents" }]);
    expect(await world.consumers("/agents/old")).toMatchObject({
      checker: { kind: "processor", inheritedFrom: "/agents" },
    });
    expect(await world.consumers("/others/x")).not.toHaveProperty("checker");

    await world.append("/agents/old", { type: "poison" }, asked);
    expect(await world.until("/agents/old", builtin("halted"), 1)).toMatchObject([
      { configuration: { streamPath: "/agents" }, message: expect.stringContaining("TypeError: no such thing (at ") },
    ]);
    await world.append("/agents/new/below", asked);
    await world.until("/agents/new/below", "checked", 2);
    await world.append("/agents/old", { type: builtin("resumed"), payload: { slug: "checker" } });
    await world.until("/agents/old", builtin("halted"), 2);

    await world.restart();
    await world.append("/agents", deployed(checker("two", "return state")));
    await world.append("/agents/new/below", asked);
    expect((await world.until("/agents/new/below", "checked", 3))[2]).toMatchObject({ version: "two", asked: 3 });
    // Nobody opened it for the new version: with the next event it goes on where it was halted.
    await world.append("/agents/old", asked);
    expect((await world.until("/agents/old", "checked", 3)).slice(1)).toMatchObject([
      { version: "two", asked: 4 },
      { version: "two", asked: 5 },
    ]);
    await world.append("/agents", { type: builtin("removed"), payload: { slug: "checker" } });
    await world.append("/agents/old", asked);
    expect(await world.consumers("/agents/old")).not.toHaveProperty("checker");
  },
  120_000,
);
