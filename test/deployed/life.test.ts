/** The life of deployed processors on a whole server: replaced, removed, halted, resumed, beside each other, over restarts. */
import { expect, test } from "vitest";
import { sandboxesOf } from "../../packages/millrace/test/sandbox-processes.ts";
import { builtin } from "../processes/http.ts";
import { counting, ping, startDeployedWorld } from "./deployed-world.ts";

const answered = (...by: string[]) => by.map((name, i) => ({ pings: i + 1, by: name }));

test("another version goes on where the old one was, and the old one comes back by its code", async () => {
  const world = await startDeployedWorld();
  for (const [i, name] of ["one", "two", "one"].entries()) {
    await world.deploy("/s", "counting", counting(name));
    await world.append("/s", ping);
    await world.until("/s", "pong", i + 1);
  }
  expect(await world.until("/s", "pong", 3)).toEqual(answered("one", "two", "one"));
});

test("a hook that runs while its code is replaced may come to its end; one that does not is ended", async () => {
  const world = await startDeployedWorld();
  const slow = (untilAborted: boolean) =>
    counting(
      "slow",
      `if (event.type === "wait") {
        await append({ type: "waiting" });
        while (${untilAborted} && !signal.aborted || waits-- > 0) await new Promise((resolve) => setTimeout(resolve, 20));
        await append({ type: "waited" });
      }`,
    )
      .replace("async afterAppend({", "async afterAppend({ signal,")
      .replace("export default", "let waits = 10;\nexport default");
  for (const path of ["/short", "/long"]) {
    await world.deploy(path, "counting", slow(path === "/long"));
    await world.append(path, { type: "wait" });
    await world.until(path, "waiting");
    await world.deploy(path, "counting", counting("two"));
    await world.append(path, ping);
  }
  // The short one ended by itself, before the other version began.
  await world.until("/short", "pong");
  const types = (await world.events("/short")).map(({ type }) => type);
  expect(types.indexOf("waited")).toBeGreaterThan(0);
  expect(types.indexOf("waited")).toBeLessThan(types.indexOf("pong"));
  // The long one was ended after five seconds: nothing that it appends is taken, and the new version acts on its event.
  await world.until("/long", "pong");
  expect(await world.events("/long", "waited")).toEqual([]);
  expect(await world.until("/long", "pong")).toEqual(answered("two"));
});

test("several on one stream know nothing of each other", async () => {
  const world = await startDeployedWorld();
  await world.deploy("/s", "a", counting("a"));
  await world.deploy("/s", "b", 'export default { reduce() { throw new Error("not me"); } };');
  await world.deploy("/s", "c", counting("c"));
  await world.append("/s", ping, ping);
  const pongs = await world.until("/s", "pong", 4);
  expect(pongs.filter(({ by }) => by === "a")).toEqual(answered("a", "a"));
  expect(pongs.filter(({ by }) => by === "c")).toEqual(answered("c", "c"));
  expect(await world.halt("/s")).toMatchObject({ slug: "b", message: expect.stringContaining("not me") });
  expect((await world.events("/s", builtin("dynamic-worker/halted"))).length).toBe(1);
});

test("two streams with one code share what stands in its module scope, and no state", async () => {
  const world = await startDeployedWorld();
  const script = `let calls = 0;\n${counting("one", 'if (event.type === "ping") await append({ type: "calls", payload: ++calls });')}`;
  for (const path of ["/a", "/b"]) await world.deploy(path, "counting", script);
  for (let i = 1; i <= 3; i++) {
    for (const path of ["/a", "/b"]) {
      await world.append(path, ping);
      await world.until(path, "calls", i);
    }
  }
  expect(await world.until("/a", "calls", 3)).toEqual([1, 3, 5]);
  expect(await world.until("/b", "calls", 3)).toEqual([2, 4, 6]);
  for (const path of ["/a", "/b"]) expect(await world.until(path, "pong", 3)).toEqual(answered("one", "one", "one"));
});

test("one that is removed acts no more, and begins anew when it is configured again", async () => {
  const world = await startDeployedWorld();
  await world.deploy("/s", "counting", counting());
  await world.append("/s", ping);
  await world.until("/s", "pong");
  await world.say("/s", "removed", { slug: "counting" });
  await world.append("/s", ping);
  expect((await world.state("/s", "counting")).status).toBe(404);
  await world.deploy("/s", "counting", counting("again"));
  await world.append("/s", ping);
  expect(await world.until("/s", "pong", 2)).toEqual([
    { pings: 1, by: "one" },
    { pings: 3, by: "again" },
  ]);
});

test.each([
  ["cursor", [1, 2]],
  ["head", [3]],
] as const)("one that was halted goes on from its %s when it is resumed", async (from, acted) => {
  const world = await startDeployedWorld();
  // What halts it goes away with a variable, as in no honest reducer.
  const script = `export default { initialState: { n: 0 },
    reduce({ state, event }) {
      if (event.type !== "ping") return;
      if (process.env.WELL !== "yes") throw new Error("unwell");
      return { n: state.n + 1 };
    },
    async afterAppend({ event, state, append }) {
      if (event.type === "ping") await append({ type: "acted", payload: state.n });
    } };`;
  await world.deploy("/s", "counting", script);
  const halts = await world.append("/s", ping, ping);
  expect(await world.halt("/s")).toMatchObject({ offset: halts - 1, message: expect.stringContaining("unwell") });
  await world.say("/s", "env-var-set", { key: "WELL", value: "yes" });
  await world.say("/s", "resumed", { slug: "counting", from });
  if (from === "head") await world.append("/s", ping);
  expect(await world.until("/s", "acted", acted.length)).toEqual(acted);
});

test("a paused stream takes nothing and calls nobody; what waited is acted on when it goes on", async () => {
  const world = await startDeployedWorld();
  await world.deploy("/s", "counting", counting());
  await world.append("/s", ping);
  await world.until("/s", "pong");
  await world.append("/s", { type: builtin("paused") });
  await expect(world.append("/s", ping)).rejects.toMatchObject({ code: "stream_paused" });
  await world.append("/s", { type: builtin("resumed") }, ping);
  expect(await world.until("/s", "pong", 2)).toEqual(answered("one", "one"));
});

test("a variable that is set restarts the code with it, and its state stays", async () => {
  const world = await startDeployedWorld();
  await world.say("/s", "env-var-set", { key: "WHO", value: "ada" });
  const telling = counting().replace('by: "one"', "by: env.WHO");
  await world.deploy("/s", "counting", telling);
  await world.append("/s", ping);
  await world.until("/s", "pong", 1);
  await world.say("/s", "env-var-set", { key: "WHO", value: "bob" });
  await world.append("/s", ping);
  expect(await world.until("/s", "pong", 2)).toEqual(answered("ada", "bob"));
});

test("a start goes on from the snapshot, and does not fold all again", async () => {
  const world = await startDeployedWorld();
  const script = `let folds = 0;\n${counting(
    "one",
    'if (event.type === "ask") await append({ type: "told", payload: { folds, ...state } });',
  ).replace("reduce: ({ state, event }) => (", "reduce: ({ state, event }) => (folds++, ")}`;
  await world.deploy("/s", "counting", script.replace('event.type === "ping") await', 'event.type === "never") await'));
  for (let i = 0; i < 6; i++) await world.append("/s", ...Array.from({ length: 500 }, () => ping));
  await world.append("/s", { type: "ask" });
  const [before] = await world.until("/s", "told");
  expect(before).toMatchObject({ pings: 3_000 });
  expect(before.folds).toBeGreaterThan(3_000);
  await world.restart();
  await world.append("/s", { type: "ask" });
  const told = await world.until("/s", "told", 2);
  expect(told[1]).toMatchObject({ pings: 3_000 });
  expect(told[1].folds).toBeLessThan(1_200);
});

test("after a restart everything that is deployed goes on, without anybody's asking", async () => {
  const world = await startDeployedWorld();
  await world.deploy("/s", "counting", counting());
  await world.append("/s", ping);
  await world.until("/s", "pong");
  await world.restart();
  expect(sandboxesOf()).toEqual([]);
  await world.append("/s", ping);
  expect(await world.until("/s", "pong", 2)).toEqual(answered("one", "one"));
});

test("the end of a sandbox process while nothing runs is not noticed", async () => {
  const world = await startDeployedWorld();
  for (const path of ["/a", "/b"]) await world.deploy(path, "counting", counting());
  for (let i = 1; i <= 3; i++) {
    for (const path of ["/a", "/b"]) await world.append(path, ping);
    for (const path of ["/a", "/b"]) await world.until(path, "pong", i);
    const pids = sandboxesOf();
    expect(pids.length).toBeGreaterThan(0);
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await expect.poll(() => sandboxesOf().filter((pid) => pids.includes(pid))).toEqual([]);
  }
  for (const path of ["/a", "/b"]) {
    expect(await world.until(path, "pong", 3)).toEqual(answered("one", "one", "one"));
    expect(await world.events(path, builtin("error-occurred"))).toEqual([]);
    expect(await world.events(path, builtin("dynamic-worker/halted"))).toEqual([]);
  }
});
