/** What the simulation found: restarts, pauses, deletions and lost answers in the middle of what a consumer does. */
import { defineProcessor, type Processor, type StreamEvent } from "@millrace/protocol";
import type { Intercept } from "@millrace/testing";
import { expect, test } from "vitest";
import { builtin, createWorld, untilQuiet, type World, type WorldOptions } from "../../test/world.ts";
import { processorKind } from "./processors.ts";

interface Scene {
  world: World;
  /** Offsets of the pings that were acted on, in order, and versions where a script has some. */
  acted: (number | string)[];
  /** The process is gone; another one starts on the same disk. */
  crash(): void;
}

const ping = { type: "ping" };
const acting = (acted: Scene["acted"]) => (event: StreamEvent) => {
  if (event.type === "ping") acted.push(event.offset);
};

type AfterAppend = NonNullable<Processor<null>["afterAppend"]>;
type AfterCatchUp = NonNullable<Processor<null>["afterCatchUp"]>;

function sceneOf(hooks: (acted: Scene["acted"]) => Record<string, AfterAppend>, options: WorldOptions = {}): Scene {
  const acted: Scene["acted"] = [];
  const scripts = hooks(acted);
  const load = async ({ slug, payload }: { slug: string; payload: { script?: unknown } }) =>
    defineProcessor({
      slug,
      initialState: null,
      reduce: () => null,
      afterAppend: scripts[payload.script as string] as AfterAppend,
    });
  const consumers = [processorKind(load)];
  const scene: Scene = {
    world: createWorld({ ...options, consumers }),
    acted,
    crash() {
      const { directory, clock } = scene.world;
      // Of what was left behind nothing may go on: its hooks tell another list.
      scene.acted = [];
      const { acted: now } = scene;
      const again = hooks(now);
      const loadAgain: typeof load = async ({ slug, payload }) =>
        defineProcessor({
          slug,
          initialState: null,
          reduce: () => null,
          afterAppend: again[payload.script as string] as AfterAppend,
        });
      scene.world = createWorld({ directory, clock, consumers: [processorKind(loadAgain)] });
    },
  };
  return scene;
}

function configured(script: string, extra: object = {}) {
  return { type: builtin("dynamic-worker/configured"), payload: { slug: "p", script, ...extra } };
}

async function pass({ world }: Scene, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 500) {
    world.clock.advance(500);
    await untilQuiet();
  }
}

test("an event whose hook failed is acted on after a crash, though its claim lies in the future", async () => {
  let fails = true;
  const scene = sceneOf((acted) => ({
    failing({ event }) {
      if (event.type === "ping" && fails) throw new Error("not yet");
      acting(acted)(event);
    },
  }));
  await scene.world.append("/s", configured("failing"));
  await pass(scene, 2_000);
  await scene.world.append("/s", ping);
  await untilQuiet();
  fails = false;
  scene.crash();
  // Somebody opens the stream before the next attempt is due.
  await scene.world.engine.state("public", "/s");
  await pass(scene, 5_000);
  expect(scene.acted).toEqual([3]);
});

test("a consumer that starts in a paused stream goes on when the stream is resumed", async () => {
  const scene = sceneOf((acted) => ({ acting: ({ event }) => acting(acted)(event) }));
  await scene.world.append("/s", configured("acting"));
  await pass(scene, 2_000);
  await scene.world.append("/s", [ping, { type: builtin("paused") }]);
  scene.crash();
  await scene.world.engine.state("public", "/s");
  await untilQuiet();
  await scene.world.append("/s", { type: builtin("resumed") });
  await pass(scene, 2_000);
  expect(scene.acted).toEqual([3]);
  expect((await scene.world.events("/s")).map(({ type }) => type)).not.toContain(builtin("dynamic-worker/halted"));
});

test("a halted consumer that is resumed after a restart acts on all since, and not on its own halt", async () => {
  let fails = true;
  const types: string[] = [];
  const scene = sceneOf((acted) => ({
    failing({ event }) {
      if (fails && event.type === "ping") throw new Error("no");
      types.push(event.type);
      acting(acted)(event);
    },
  }));
  await scene.world.append("/s", configured("failing"));
  await scene.world.append("/s", ping);
  await pass(scene, 60_000);
  await scene.world.append("/s", ping);
  fails = false;
  scene.crash();
  await scene.world.append("/s", { type: builtin("dynamic-worker/resumed"), payload: { slug: "p" } });
  await pass(scene, 2_000);
  expect(scene.acted).toEqual([3, 6]);
  expect(types).not.toContain(builtin("dynamic-worker/halted"));
});

test("a cursor that began behind the head stays there over a restart", async () => {
  const scene = sceneOf((acted) => ({ acting: ({ event }) => acting(acted)(event) }));
  await scene.world.append("/s", configured("acting", { startFrom: 5 }));
  await pass(scene, 3_000);
  scene.crash();
  await scene.world.append("/s", [ping, ping, ping, ping]);
  await pass(scene, 2_000);
  expect(scene.acted).toEqual([6]);
});

test("of two versions that are configured while a hook runs, the newer one goes on", async () => {
  let release = () => {};
  const scene = sceneOf((acted) => ({
    slow: ({ event }) => (event.type === "ping" ? new Promise<void>((resolve) => (release = resolve)) : undefined),
    second: ({ event }) => void (event.type === "ping" && acted.push("second")),
    third: ({ event }) => void (event.type === "ping" && acted.push("third")),
  }));
  await scene.world.append("/s", configured("slow"));
  await scene.world.append("/s", ping);
  await untilQuiet();
  await scene.world.append("/s", configured("second"));
  await scene.world.append("/s", configured("third"));
  release();
  await untilQuiet();
  await scene.world.append("/s", ping);
  await pass(scene, 2_000);
  expect(scene.acted).toEqual(["third"]);
});

test("what a stream was to be woken for is no birth when the stream is deleted before", async () => {
  let release = () => {};
  const intercept: Intercept = async (call, proceed) => {
    const isHeld = call.operation === "append" && JSON.stringify(call.arguments[0]).includes("held");
    if (isHeld) await new Promise<void>((resolve) => (release = resolve));
    return proceed();
  };
  const scene = sceneOf((acted) => ({ acting: ({ event }) => acting(acted)(event) }), { intercept });
  const schedule = { slug: "tick", append: { type: "tick" }, schedule: { kind: "every", intervalSeconds: 5 } };
  await scene.world.append("/s", [configured("acting"), { type: builtin("append-scheduled"), payload: schedule }]);
  await pass(scene, 2_000);
  const held = scene.world.append("/s", { type: "held" });
  await pass(scene, 5_000);
  const deleted = scene.world.engine.delete("public", "/s", { children: false });
  release();
  await Promise.all([held, deleted]);
  await pass(scene, 2_000);
  await scene.world.append("/s", ping);
  expect((await scene.world.events("/s")).map(({ type }) => type)).toEqual([builtin("initialized"), "ping"]);
});

/** The n-th append to a path happens, and nobody hears of it. */
function lostAnswer(path: string, isLost: (records: readonly string[]) => boolean): Intercept {
  return async (call, proceed) => {
    const answer = await proceed();
    if (call.operation !== "append" || call.path !== path) return answer;
    if (isLost((call.arguments[0] as { records: readonly string[] }).records)) throw new Error("the answer was lost");
    return answer;
  };
}

test("the end of a pause that was committed with an unknown outcome reaches the consumers", async () => {
  let lost = 0;
  const intercept = lostAnswer("/s", (records) => records.some((record) => record.includes("resumed")) && lost++ === 0);
  const scene = sceneOf((acted) => ({ acting: ({ event }) => acting(acted)(event) }), { intercept });
  await scene.world.append("/s", [configured("acting"), ping, { type: builtin("paused") }]);
  await untilQuiet();
  await scene.world.refusal(scene.world.append("/s", { type: builtin("resumed") }));
  await pass(scene, 3_000);
  expect(scene.acted).toEqual([3]);
});

test("a birth that was committed with an unknown outcome is announced", async () => {
  let lost = 0;
  const intercept = lostAnswer("/a/b", () => lost++ === 0);
  const scene = sceneOf(() => ({}), { intercept });
  await scene.world.refusal(scene.world.append("/a/b", ping));
  await pass(scene, 3_000);
  expect(await scene.world.news("/a")).toEqual(["created /a/b"]);
});

test("work that was asked for while the log failed is run when the log is well again", async () => {
  let lost = 0;
  const open = (call: Parameters<Intercept>[0]) => JSON.stringify(call.arguments[0] ?? "").includes('work\\":[{');
  const intercept: Intercept = async (call, proceed) => {
    if (call.operation === "append" && open(call) && lost++ < 3) throw new Error("the disk is full");
    return proceed();
  };
  const scene = sceneOf(
    () => ({
      working({ event, waitUntil }) {
        if (event.type === "ping") waitUntil("work", async ({ append }) => void (await append({ type: "done" })));
      },
    }),
    { intercept },
  );
  await scene.world.append("/s", configured("working"));
  await scene.world.append("/s", ping);
  await pass(scene, 20_000);
  expect(lost).toBeGreaterThan(2);
  expect((await scene.world.events("/s")).filter(({ type }) => type === "done")).toHaveLength(1);
});

test("a log that cannot be read when a processor is loaded halts nobody", async () => {
  let failures = 0;
  const intercept: Intercept = async (call, proceed) => {
    if (call.operation === "consumerSnapshot" && failures++ < 3) throw new Error("the disk is away");
    return proceed();
  };
  const scene = sceneOf((acted) => ({ acting: ({ event }) => acting(acted)(event) }), { intercept });
  await scene.world.append("/s", [configured("acting"), ping]);
  await pass(scene, 10_000);
  expect(failures).toBeGreaterThan(3);
  expect(scene.acted).toEqual([3]);
});

test("what afterCatchUp appended before it failed is appended once, though its error stands behind it", async () => {
  let calls = 0;
  const afterCatchUp: AfterCatchUp = async ({ append }) => {
    await append({ event: { type: "decided" }, path: "/other" });
    if (++calls === 1) throw new Error("not yet");
  };
  const decider = defineProcessor({ slug: "p", initialState: null, reduce: () => null, afterCatchUp });
  const world = createWorld({ consumers: [processorKind(async () => decider)] });
  await world.append("/s", configured("decider"));
  await pass({ world, acted: [], crash() {} }, 10_000);
  expect(calls).toBe(2);
  expect((await world.events("/other")).filter(({ type }) => type === "decided")).toHaveLength(1);
});

test("what was to be saved soon as the stream was deleted holds up nothing of its next life", async () => {
  const scene = sceneOf((acted) => ({ acting: ({ event }) => acting(acted)(event) }));
  for (let life = 0; life < 2; life++) {
    await scene.world.append("/s", configured("acting"));
    await scene.world.append("/s", ping);
    await untilQuiet();
    if (life > 0) break;
    await scene.world.engine.delete("public", "/s", { children: false });
    await pass(scene, 3_000);
  }
  await pass(scene, 3_000);
  const { wakeAt, progress, head } = await scene.world.directory.log("public", "/s").load();
  expect(wakeAt).toBeNull();
  expect(progress).toHaveLength(1);
  expect(JSON.parse(progress[0]?.text as string)).toMatchObject({ cursor: head.offset });
});

test.each([
  ["crashed before", "lost"],
  ["fails", "before"],
  ["fails after it happened", "after"],
])(
  "the row of a removed processor goes without another append, also when the commit that takes it away %s",
  async (_, fault) => {
    let faults = 0;
    let dead = false;
    const takesAway = (commit: unknown) => JSON.stringify(commit).includes('"text":null');
    const intercept: Intercept = async (call, proceed) => {
      if (dead) return new Promise(() => {});
      if (call.operation !== "append" || !takesAway(call.arguments[0]) || faults++ > 0) return proceed();
      if (fault === "after") await proceed();
      if (fault !== "lost") throw new Error("the outcome is unknown");
      dead = true;
      return new Promise(() => {});
    };
    const scene = sceneOf((acted) => ({ acting: ({ event }) => acting(acted)(event) }), { intercept });
    await scene.world.append("/s", configured("acting"));
    await pass(scene, 2_000);
    const { directory } = scene.world;
    expect((await directory.log("public", "/s").load()).progress).toHaveLength(1);
    // No claim brings anybody to a paused stream.
    await scene.world.append("/s", { type: builtin("paused") });
    await scene.world.append("/s", { type: builtin("dynamic-worker/removed"), payload: { slug: "p" } });
    await pass(scene, 2_000);
    expect(faults).toBeGreaterThan(0);
    if (dead) scene.crash();
    // Whoever reads the stream opens it.
    await scene.world.events("/s");
    await pass(scene, 3_000);
    expect((await directory.log("public", "/s").load()).progress).toEqual([]);
    expect(scene.world.clock.nextTimerInMs()).toBeUndefined();
  },
);
