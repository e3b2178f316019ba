/** A state that lies in a sandbox is never folded twice and never misses an event, whatever fails meanwhile. */
import type { DeliveryHouse, Opening, StreamEvent } from "@millrace/protocol";
import { createInProcessSandbox, createSeededRandom, type InProcessSandbox } from "@millrace/testing";
import { expect, test } from "vitest";
import { gate } from "../../test/processors.ts";
import { untilQuiet } from "../../test/world.ts";
import { openSandboxed } from "./sandboxed.ts";

/** Adds its numbers up; a hook waits for what the test names. */
const adding = `export default {
  slug: "adding", initialState: { sum: 0, seen: [] },
  reduce: ({ state, event }) => ({ sum: state.sum + (event.payload.n ?? 0), seen: [...state.seen, event.offset] }),
  afterAppend: ({ event }) => globalThis[event.payload.waitsFor],
};`;

interface Scene {
  sandbox: InProcessSandbox;
  sandboxed: Awaited<ReturnType<InProcessSandbox["load"]>>;
  folded: ReturnType<typeof openSandboxed>;
  /** As it is read from the log. */
  events: StreamEvent[];
  /** Hands it over, and calls the hook for it. */
  act(payload: object): Promise<void>;
  told: number[];
}

async function sceneOf(
  source = adding,
  from: { house?: Partial<Opening["house"]>; passedOver?: Opening["passedOver"] } = {},
): Promise<Scene> {
  const sandbox = createInProcessSandbox();
  const events: StreamEvent[] = [];
  const told: number[] = [];
  const house: Opening["house"] = {
    path: "/s",
    streamId: () => "life",
    random: createSeededRandom(1),
    async read(after, through) {
      // A page holds two.
      const page = events.filter(({ offset }) => offset > after && offset <= through).slice(0, 2);
      return { events: page, through: page.at(-1)?.offset ?? through };
    },
    ...from.house,
  };
  const loaded = await sandbox.load(
    { project: "public", modules: { "processor.js": source }, main: "processor.js", env: {} },
    { path: "/s", slug: "adding", epoch: 1, configuredAt: 1 },
  );
  const folded = openSandboxed(loaded, "adding", {
    house,
    stored: undefined,
    cursor: 0,
    passedOver: from.passedOver ?? (async (offset) => void told.push(offset)),
    tell: async () => {},
    loggerAt: () => tools.logger,
  });
  return {
    sandbox,
    sandboxed: loaded,
    folded,
    events,
    told,
    async act(payload) {
      const event = eventAt(events.length + 1, payload);
      events.push(event);
      await folded.fold(event);
      await folded.afterAppend({ event, attempt: 1, ...tools });
    },
  };
}

function eventAt(offset: number, payload: object): StreamEvent {
  const createdAt = "2026-01-01T00:00:00.000Z";
  return { type: "number", payload, streamPath: "/s", offset, createdAt } as unknown as StreamEvent;
}

const tools = {
  append: () => Promise.reject(new Error("nothing is appended")),
  signal: new AbortController().signal,
  waitUntil: () => {},
  abort: () => {},
  logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
  fetch,
  env: {},
} as never as Omit<Parameters<ReturnType<typeof openSandboxed>["afterAppend"]>[0], "event" | "attempt">;

test("a state that is made again in pages, and is interrupted half-way, misses nothing", async () => {
  let fails = false;
  let sandbox: InProcessSandbox | undefined;
  const events: StreamEvent[] = [];
  const read: DeliveryHouse["read"] = async (after, through) => {
    if (fails && after >= 2) {
      fails = false;
      sandbox?.crash();
      throw Object.assign(new Error("the log is away"), { name: "StreamError", code: "unavailable" });
    }
    const page = events.filter(({ offset }) => offset > after && offset <= through).slice(0, 2);
    return { events: page, through: page.at(-1)?.offset ?? through };
  };
  const scene = await sceneOf(adding, { house: { read } });
  ({ sandbox } = scene);
  for (let n = 1; n <= 5; n++) {
    events.push(eventAt(n, { n }));
    await scene.act({ n });
  }
  scene.sandbox.crash();
  fails = true;
  await expect(scene.folded.state()).rejects.toThrow("the log is away");
  expect(await scene.folded.state()).toEqual({ sum: 15, seen: [1, 2, 3, 4, 5] });
});

test("a state that cannot be read from the log at all is made again when it can", async () => {
  let fails = false;
  const scene = await sceneOf();
  const events = scene.events;
  const failing = await sceneOf(adding, {
    house: {
      async read(after, through) {
        if (fails) throw new Error("the log is away");
        const page = events.filter(({ offset }) => offset > after && offset <= through);
        return { events: page, through };
      },
    },
  });
  for (let n = 1; n <= 3; n++) {
    events.push(eventAt(n, { n }));
    await failing.act({ n });
  }
  failing.sandbox.crash();
  events.push(eventAt(4, { n: 4 }));
  fails = true;
  await expect(failing.act({ n: 4 })).rejects.toThrow("the log is away");
  fails = false;
  expect(await failing.folded.state()).toEqual({ sum: 10, seen: [1, 2, 3, 4] });
});

test("an event that was passed over is told once that is possible, and what stands beside it is folded once", async () => {
  const picky = `const validate = (value) => value.n > 0 ? { value } : { issues: [{ message: "not positive" }] };
    export default { slug: "picky", initialState: { sum: 0 }, events: { number: { "~standard": { version: 1, vendor: "test", validate } } },
      reduce: ({ state, event }) => ({ sum: state.sum + event.payload.n }), afterAppend() {} };`;
  let fails = true;
  const told: [number, string][] = [];
  const scene = await sceneOf(picky, {
    async passedOver(offset, fault) {
      if (fails) throw new Error("the log is away");
      told.push([offset, fault]);
    },
  });
  for (const n of [1, -1]) {
    const event = eventAt(scene.events.length + 1, { n });
    scene.events.push(event);
    await scene.folded.fold(event);
  }
  await expect(scene.act({ n: 10 })).rejects.toThrow("the log is away");
  fails = false;
  await scene.act({ n: 100 });
  expect(await scene.folded.state()).toEqual({ sum: 111 });
  expect(told).toEqual([[2, expect.stringContaining("does not parse: not positive")]]);
});

test("whatever makes events large, what goes over at once stays far below what a message may have", async () => {
  const scene = await sceneOf();
  const sizes: number[] = [];
  const { deliver } = scene.sandboxed;
  scene.sandboxed.deliver = (delivery, calls) => {
    sizes.push(JSON.stringify(delivery.events).length);
    return deliver(delivery, calls);
  };
  for (let n = 1; n <= 40; n++) {
    const event = { ...eventAt(n, { n }), metadata: { text: "x".repeat(400_000) } };
    scene.events.push(event);
    await scene.folded.fold(event);
  }
  scene.sandbox.crash();
  expect(await scene.folded.state()).toMatchObject({ sum: 820 });
  expect(sizes.length).toBeGreaterThan(40);
  expect(Math.max(...sizes)).toBeLessThan(2 * 1024 * 1024);
});

test("a hook that was left behind, and comes to its end later, changes nothing", async () => {
  const scene = await sceneOf();
  const { opened, open } = gate();
  Object.assign(globalThis, { leftBehind: opened });
  const leftBehind = scene.act({ n: 1, waitsFor: "leftBehind" });
  const end = leftBehind.catch((error) => error);
  await untilQuiet();
  // The consumer gave it up, and calls again.
  Object.assign(globalThis, { leftBehind: undefined });
  const [event] = scene.events as [StreamEvent];
  await scene.folded.afterAppend({ event, attempt: 2, ...tools });
  await scene.act({ n: 2 });
  await scene.folded.fold(eventAt(3, { n: 4 }));
  scene.events.push(eventAt(3, { n: 4 }));
  open();
  await end;
  await scene.act({ n: 8 });
  expect(await scene.folded.state()).toEqual({ sum: 15, seen: [1, 2, 3, 4] });
});

test("an error whose stack is nothing but line breaks takes no time, of which everybody has only one", async () => {
  const source = `export default { afterAppend() {
    throw Object.assign(new Error("no"), { stack: "\\n".repeat(32 * 1024) });
  } };`;
  const scene = await sceneOf(source);
  const began = performance.now();
  await expect(scene.act({})).rejects.toThrow(/^no$/);
  expect(performance.now() - began).toBeLessThan(300);
});
