/** What becomes of unbundled code: one answer for each source, whatever happens in between. */
import type { JsonObject, StreamEvent } from "@millrace/protocol";
import { expect, test } from "vitest";
import { gate, ofType, pass } from "../../test/processors.ts";
import { builtin, createWorld, untilQuiet, type World, type WorldOptions } from "../../test/world.ts";
import { createMemoryDirectory } from "../memory/memory-directory.ts";
import type { Bundled, Bundler } from "../ports/bundler.ts";

type Bundling = (text: string, signal: AbortSignal) => Promise<Bundled>;

const asModule: Bundling = async (text) => ({ modules: { "processor.js": text } });

function bundlerOf(bundling: Bundling): Bundler {
  return { bundle: ({ files, main }, signal) => bundling(files[main] ?? "", signal), close: async () => {} };
}

function worldWith(bundling: Bundling, options: WorldOptions = {}): World {
  return createWorld({ ...options, ports: { bundler: bundlerOf(bundling) } });
}

const source = (slug: string, text: string, extra: object = {}) => ({
  type: builtin("dynamic-worker/source-configured"),
  payload: { slug, files: { "processor.ts": text }, ...extra },
});

const removed = (slug: string) => ({ type: builtin("dynamic-worker/removed"), payload: { slug } });

/** All that stands behind the birth, without what it is not about. */
async function answers(world: World): Promise<unknown[]> {
  const events = await world.events("/s");
  return events.flatMap(({ type, payload, source: from }) => {
    const { modules, message } = payload as { modules?: Record<string, string>; message?: string };
    if (type === builtin("dynamic-worker/configured")) return [[from?.cause?.offset, modules?.["processor.js"]]];
    return type === builtin("error-occurred") ? [[from?.cause?.offset, message]] : [];
  });
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await untilQuiet();
}

/** Resolves and rejects from outside. */
function held(): { bundling: Bundling; waiting: ((answer: Bundled) => void)[]; ended: number } {
  const world = { waiting: [] as ((answer: Bundled) => void)[], ended: 0 };
  const bundling: Bundling = (_text, signal) =>
    new Promise((resolve, reject) => {
      world.waiting.push(resolve);
      signal.addEventListener("abort", () => {
        world.ended++;
        reject(signal.reason);
      });
    });
  return Object.assign(world, { bundling });
}

test("a source is answered with the configuration that deploys it, and what it says of running is passed on", async () => {
  const world = worldWith(asModule);
  await world.append("/s", source("a", "code", { env: { KEY: "value" }, limits: { cpuMs: 50 }, main: "processor.ts" }));
  await settle();
  const [configured] = await ofType(world, builtin("dynamic-worker/configured"));
  expect(configured).toMatchObject({
    offset: 3,
    payload: { slug: "a", modules: { "processor.js": "code" }, env: { KEY: "value" }, limits: { cpuMs: 50 } },
    source: { kind: "server", slug: "a", cause: { streamPath: "/s", offset: 2 }, depth: 1 },
  });
  expect(Object.keys(configured?.payload as object)).not.toContain("files");
});

test("what is wrong is an error that says what to repair, and the corrected source is deployed", async () => {
  const problems = [{ file: "processor.ts", line: 1, column: 2, text: "no" }];
  const world = worldWith(async (text) =>
    text === "bad" ? { fault: "processor.ts:1:2: no", problems } : asModule(text, AbortSignal.abort()),
  );
  await world.append("/s", source("a", "bad"));
  await settle();
  const [error] = await ofType(world, builtin("error-occurred"));
  expect(error?.payload).toEqual({
    message: "processor.ts:1:2: no",
    about: { kind: "bundler", slug: "a", offset: 2 },
    error: { problems },
  });
  await world.append("/s", source("a", "good"));
  await settle();
  expect(await answers(world)).toEqual([
    [2, "processor.ts:1:2: no"],
    [4, "good"],
  ]);
});

test("a bundle that comes while too many appends wait is deployed when they are over", async () => {
  const calls = held();
  let isSlow = false;
  const { opened, open } = gate();
  const world = worldWith(calls.bundling, {
    limits: { waitingAppends: 1 },
    async intercept({ operation }, proceed) {
      if (isSlow && operation === "append") await opened;
      return proceed();
    },
  });
  await world.append("/s", source("a", "code"));
  await settle();
  isSlow = true;
  const others = [world.append("/s", { type: "one" }), untilQuiet().then(() => world.append("/s", { type: "two" }))];
  await settle();
  calls.waiting[0]?.({ modules: { "processor.js": "code" } });
  await settle();
  open();
  await Promise.all(others);
  await pass(world, 2_000);
  // It was not taken, and is bundled once more.
  calls.waiting[1]?.({ modules: { "processor.js": "code" } });
  await pass(world, 5_000);
  expect((await answers(world)).at(-1)).toEqual([2, "code"]);
  expect(await ofType(world, builtin("error-occurred"))).toEqual([]);
});

test("depth counts on through the bundler, so that code which redeploys itself is found out", async () => {
  const world = worldWith(asModule);
  const from = { kind: "processor", slug: "a", depth: 7, cause: { streamPath: "/s", offset: 1 } } as const;
  await world.append("/s", source("a", "code"), from);
  await settle();
  const [configured] = await ofType(world, builtin("dynamic-worker/configured"));
  expect(configured?.source?.depth).toBe(8);
});

test("the newest source wins: one that is still bundled is ended, answered as replaced, and never deployed", async () => {
  const calls = held();
  const streams = worldWith((text, signal) => (text === "old" ? calls.bundling(text, signal) : asModule(text, signal)));
  await streams.append("/s", source("a", "old"));
  await settle();
  await streams.append("/s", source("a", "new"));
  await settle();
  await pass(streams, 6_000);
  await settle();
  expect(calls.ended).toBe(1);
  expect(await answers(streams)).toEqual([
    [2, "A newer source of this processor, event 3, replaced this one before it was bundled."],
    [3, "new"],
  ]);
});

test("a source whose bundle comes after somebody configured the processor by hand is not deployed over that", async () => {
  const calls = held();
  const world = worldWith(calls.bundling);
  await world.append("/s", source("a", "old"));
  await settle();
  await world.append("/s", { type: builtin("dynamic-worker/configured"), payload: { slug: "a", script: "by hand" } });
  calls.waiting[0]?.({ modules: { "processor.js": "old" } });
  await settle();
  const [, answer] = await answers(world);
  expect(answer).toEqual([2, expect.stringContaining("was configured by event 3 before this source was bundled")]);
});

test("a removal withdraws a source that is still bundled", async () => {
  const calls = held();
  const world = worldWith(calls.bundling);
  await world.append("/s", source("a", "code"));
  await settle();
  await world.append("/s", removed("a"));
  calls.waiting[0]?.({ modules: { "processor.js": "code" } });
  await settle();
  expect(await ofType(world, builtin("dynamic-worker/configured"))).toEqual([]);
});

test("sources of two processors do not wait for each other", async () => {
  const calls = held();
  const world = worldWith((text, signal) =>
    text === "slow" ? calls.bundling(text, signal) : asModule(text, AbortSignal.abort()),
  );
  await world.append("/s", [source("slow", "slow"), source("quick", "quick")]);
  await settle();
  expect(await answers(world)).toEqual([[3, "quick"]]);
});

test("a registry that is down climbs the ladder, is told once, and in the end is the answer", async () => {
  let attempts = 0;
  const world = worldWith(async () => {
    attempts++;
    throw new Error("The registry does not answer.");
  });
  await world.append("/s", source("a", "code"));
  await settle();
  expect(await answers(world)).toEqual([[2, "The registry does not answer."]]);
  for (let i = 0; i < 10; i++) {
    await pass(world, 700_000);
    await settle();
  }
  expect(attempts).toBe(10);
  expect(await answers(world)).toEqual([
    [2, "The registry does not answer."],
    [2, expect.stringContaining("This was attempt 10, the last one")],
  ]);
  expect(await ofType(world, builtin("dynamic-worker/halted"))).toEqual([]);
});

test("a source that waits on the ladder makes no newer one wait", async () => {
  const world = worldWith(async (text) => {
    if (text === "old") throw new Error("The registry does not answer.");
    return { modules: { "processor.js": text } };
  });
  await world.append("/s", source("a", "old"));
  await settle();
  await pass(world, 20_000);
  await settle();
  await world.append("/s", source("a", "new"));
  await settle();
  expect((await answers(world)).at(-1)).toEqual([4, "new"]);
});

test("an answer that was owed is given after a crash, and one that was given is not given again", async () => {
  const directory = createMemoryDirectory();
  const calls = held();
  const before = worldWith(calls.bundling, { directory });
  await before.append("/s", [source("a", "code"), source("b", "code")]);
  await settle();
  expect(calls.waiting).toHaveLength(2);
  calls.waiting[0]?.({ modules: { "processor.js": "first answer" } });
  await settle();
  // The first server is simply not there any more: what it knew in memory is lost.
  const after = worldWith(async () => ({ modules: { "processor.js": "another answer" } }), {
    directory,
    clock: before.clock,
  });
  await after.events("/s");
  await pass(after, 2_000);
  await settle();
  expect(await answers(after)).toEqual([
    [3, "first answer"],
    [2, "another answer"],
  ]);
});

test("a paused stream takes a source and its answer, and an error as well", async () => {
  const world = worldWith(async (text) => (text === "bad" ? { fault: "no" } : asModule(text, AbortSignal.abort())));
  await world.append("/s", { type: builtin("paused") });
  await world.append("/s", source("a", "bad"));
  await settle();
  await world.append("/s", source("a", "good"));
  await settle();
  expect(await answers(world)).toEqual([
    [3, "no"],
    [5, "good"],
  ]);
});

test("what halts and resumes the processor is none of the bundler's business: nothing is answered twice", async () => {
  const world = worldWith(asModule);
  await world.append("/s", source("a", "one"));
  await settle();
  const halt = { slug: "a", offset: 3, message: "x" };
  const halts: JsonObject[] = [{ startedBy: 3 }, { startedBy: 2, configuration: { streamPath: "/", offset: 2 } }];
  for (const more of halts) {
    await world.append("/s", { type: builtin("dynamic-worker/halted"), payload: { ...halt, ...more } });
  }
  await world.append("/s", { type: builtin("dynamic-worker/resumed"), payload: { slug: "a", from: 0 } });
  await settle();
  await world.append("/s", source("a", "two"));
  await settle();
  expect(await answers(world)).toEqual([
    [2, "one"],
    [7, "two"],
  ]);
});

test("a bundle that the contract would refuse is an error", async () => {
  const world = worldWith(async () => ({ modules: { "processor.js": "x".repeat(5_000_000) } }));
  await world.append("/s", source("a", "code"));
  await settle();
  expect(await answers(world)).toEqual([[2, expect.stringContaining("expected at most 4194304 bytes of code")]]);
});

test("the processor is listed under its slug, and who bundles it beside that", async () => {
  const world = worldWith(asModule);
  await world.append("/s", source("a", "code"));
  await settle();
  const { consumers } = await world.engine.state("public", "/s");
  expect(consumers["bundler/a"]).toMatchObject({ kind: "bundler", lag: 0 });
});

test("a stream has so many sources at most", async () => {
  const world = worldWith(asModule, { limits: { processorsPerStream: 1 } });
  await world.append("/s", source("a", "code"));
  expect(await world.refusal(world.append("/s", source("b", "code")))).toMatchObject({
    code: "rate_limited",
    limit: 1,
  });
  await settle();
  await world.append("/s", removed("a"));
  const again: StreamEvent[] = await world.append("/s", source("b", "code"));
  expect(again).toHaveLength(1);
});
