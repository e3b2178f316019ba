/** What deployed code says by `logger` and `console`, from each place where it may be said, in the real sandbox. */
import type { LogLine } from "@millrace/sdk";
import { expect, test } from "vitest";
import { counting, type DeployedWorld, ping, startDeployedWorld } from "./deployed-world.ts";

async function linesOf(world: DeployedWorld, path: string): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for await (const line of world.client.logs({ path })) lines.push(line);
  return lines;
}

async function until(world: DeployedWorld, path: string, message: string): Promise<LogLine[]> {
  const heard = async () => (await linesOf(world, path)).map((line) => line.message);
  await expect.poll(heard, { timeout: 20_000, interval: 20 }).toContain(message);
  return linesOf(world, path);
}

const short = ({ level, offset, message, details }: LogLine) =>
  details === undefined ? [level, offset, message] : [level, offset, message, details];

test("from a hook, with details; from reduce, from the module while it is loaded, and from work", async () => {
  const world = await startDeployedWorld();
  const offset = await world.deploy(
    "/s",
    "talker",
    `console.log("module", { n: 1 });
    export default {
      reduce({ state, event }) { if (event.type === "ping") console.debug("reduce", event.offset); },
      async afterAppend({ event, logger, waitUntil }) {
        if (event.type !== "ping") return;
        console.log("plain", { a: [1] }, 2);
        console.warn(new Error("seen").message);
        console.error(new TypeError("with its lines"));
        logger.info("with details", { a: [1], error: new Error("inside") });
        logger.error("no details");
        waitUntil("later", async () => {
          await new Promise((resolve) => setTimeout(resolve, 50));
          console.info("from work");
          logger.debug("work is over");
        });
      },
    };`,
  );
  await world.append("/s", ping);
  const lines = await until(world, "/s", "work is over");
  const of = offset + 1;
  expect(lines.map(short)).toEqual([
    ["info", expect.any(Number), 'while it was loaded: module {"n":1}'],
    ["debug", of, `reduce ${of}`],
    ["info", of, 'plain {"a":[1]} 2'],
    ["warn", of, "seen"],
    ["error", of, expect.stringMatching(/^TypeError: with its lines\n\s+at /)],
    ["info", of, "with details", { a: [1], error: expect.objectContaining({ name: "Error", message: "inside" }) }],
    ["error", of, "no details"],
    ["info", of, "from work"],
    ["debug", of, "work is over"],
  ]);
  expect(lines.every(({ path, slug }) => path === "/s" && slug === "talker")).toBe(true);
});

test("of a processor that only reduces, each event is said once, and not when its state is asked for", async () => {
  const world = await startDeployedWorld();
  const script = `export default { initialState: 0,
    reduce({ state, event }) { if (event.type === "ping") console.log("folded " + event.offset); return state + 1; } };`;
  const offset = await world.deploy("/s", "folder", script);
  await world.append("/s", ping);
  await until(world, "/s", `folded ${offset + 1}`);
  await world.append("/s", ping, ping);
  const lines = await until(world, "/s", `folded ${offset + 3}`);
  expect((await world.state("/s", "folder")).body.state).toBeGreaterThan(0);
  expect(lines.map(({ message }) => message)).toEqual([1, 2, 3].map((n) => `folded ${offset + n}`));
  expect(await linesOf(world, "/s")).toEqual(lines);
});

test("from afterCatchUp, and of a hook that fails", async () => {
  const world = await startDeployedWorld();
  await world.append("/s", ping);
  await world.deploy(
    "/s",
    "talker",
    `export default {
      afterCatchUp({ logger, missed }) { logger.info("caught up", missed); },
      afterAppend({ event, attempt }) {
        if (event.type !== "ping") return;
        console.log("attempt " + attempt);
        throw new Error("no luck");
      },
    };`,
    { startFrom: "start" },
  );
  const lines = await until(world, "/s", "attempt 2");
  expect(lines.map(({ message }) => message).slice(-2)).toEqual(["attempt 1", "attempt 2"]);
});

test("what is said once the hook and its work are over is heard by nobody, and harms nothing", async () => {
  const world = await startDeployedWorld();
  await world.deploy(
    "/s",
    "late",
    `let tools;
    export default { async afterAppend({ event, logger }) {
      if (event.type !== "ping") return;
      tools?.info("said with the logger of the hook before");
      tools = logger;
      setTimeout(() => console.log("after the hook"), 1_000);
      if (event.payload.n === 3) await new Promise((resolve) => setTimeout(resolve, 1_500));
      console.log("hook " + event.payload.n);
    } };`,
  );
  for (let n = 1; n <= 3; n++) {
    await world.append("/s", { type: "ping", payload: { n } });
    await until(world, "/s", `hook ${n}`);
  }
  // The one that came while its own hook still ran.
  expect((await linesOf(world, "/s")).map(({ message }) => message)).toEqual([
    "hook 1",
    "hook 2",
    "after the hook",
    "hook 3",
  ]);
});

test("a long line of what JSON has to escape is cut, and heard", async () => {
  const world = await startDeployedWorld();
  const script = `export default { afterAppend({ event, logger }) {
    if (event.type !== "ping") return;
    logger.info("\\u0001".repeat(100_000), { quotes: '"'.repeat(100_000) });
    logger.info("done");
  } };`;
  await world.deploy("/s", "long", script);
  await world.append("/s", ping);
  const [line] = await until(world, "/s", "done");
  expect(line?.message).toMatch(/^.{16000}.*\(cut, it had 100000 characters\)$/);
  expect(line?.details).toMatch(/^\{"quotes":".*\(cut, it had 200013 characters\)$/);
});

test("50,000 lines of one hook are a hundred and one that says how many were left out; neighbours go on", async () => {
  const world = await startDeployedWorld();
  const loud = `export default { async afterAppend({ event, append }) {
    if (event.type !== "ping") return;
    for (let n = 0; n < 50_000; n++) console.log("line " + n);
    await append({ type: "said" });
  } };`;
  const quiet = `export default { async afterAppend({ event, append }) {
    if (event.type !== "ping") return;
    console.log("I am here");
    await append({ type: "pong" });
  } };`;
  await world.deploy("/loud", "loud", loud, { limits: { cpuMs: 5_000 } });
  await world.deploy("/quiet", "quiet", quiet);
  await world.append("/loud", ping);
  await world.append("/quiet", ping);
  await world.until("/quiet", "pong");
  await until(world, "/quiet", "I am here");
  await world.until("/loud", "said");
  const leftOut = async () => (await linesOf(world, "/loud")).filter((line) => line.leftOut !== undefined);
  await expect.poll(async () => (await leftOut()).length, { timeout: 20_000 }).toBe(1);
  expect((await linesOf(world, "/loud")).length).toBe(101);
  expect((await leftOut())[0]).toMatchObject({ level: "warn", leftOut: 49_900 });
});

test("lines that go on for as long as a hook runs fill nothing, and it is told of them meanwhile", async () => {
  const world = await startDeployedWorld();
  const endless = `export default { async afterAppend({ event, append, signal }) {
    if (event.type !== "ping") return;
    const end = Date.now() + 4_000;
    while (Date.now() < end) {
      for (let n = 0; n < 500; n++) console.log("x".repeat(1_000));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await append({ type: "said" });
  } };`;
  await world.deploy("/s", "endless", endless);
  await world.append("/s", ping);
  await world.until("/s", "said");
  const leftOut = async () => (await linesOf(world, "/s")).filter((line) => line.leftOut !== undefined);
  await expect.poll(async () => (await leftOut()).length, { timeout: 20_000 }).toBeGreaterThan(0);
  expect((await linesOf(world, "/s")).length).toBeLessThan(100 + 20 * 10);
  await world.append("/s", ping);
  await world.until("/s", "said", 2);
});

test("a hook that says something for ever, and never gives way, is ended as any other; neighbours go on", async () => {
  const world = await startDeployedWorld();
  const endless = `export default { afterAppend({ event }) {
    if (event.type === "ping") for (;;) console.log("x".repeat(1_000), { a: 1 });
  } };`;
  await world.deploy("/loud", "endless", endless);
  await world.deploy("/quiet", "quiet", counting());
  await world.append("/loud", ping);
  for (let n = 1; n <= 3; n++) {
    await world.append("/quiet", ping);
    await world.until("/quiet", "pong", n);
  }
  // At most what one delivery may have under way, and one line about the rest.
  expect((await linesOf(world, "/loud")).length).toBeLessThanOrEqual(101);
});

test("the lines of a stack are the author's own", async () => {
  const world = await startDeployedWorld();
  const script = `type Event = { type: string };
const fail = (): never => {
  throw new TypeError("no");
};
export default {
  afterAppend({ event }: { event: Event }) {
    if (event.type !== "ping") return;
    try {
      fail();
    } catch (error) {
      console.error(error);
      console.log("at noon");
    }
  },
};`;
  await world.deploy("/s", "failing", script);
  await world.client.append("/s", ping);

  const lines = await until(world, "/s", "at noon");

  const said = lines.find(({ level }) => level === "error")?.message.split("\n") ?? [];
  expect(said[0]).toBe("TypeError: no");
  expect(said.slice(1).map((line) => line.trim())).toEqual([
    "at fail (processor.ts:3:9)",
    "at Object.afterAppend (processor.ts:9:7)",
  ]);
});
