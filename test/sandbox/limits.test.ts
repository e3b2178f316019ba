/**
 * Code that holds more memory than it said, and code that takes a core for ever though it gives way: it is stopped, its
 * stream says so, and its neighbours go on. The half minute that burning takes to show is short here.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { builtin } from "../processes/http.ts";
import { type HostileWorld, isTold, type Neighbours, startHostileWorld, startNeighbours } from "./hostile-world.ts";

const windowMs = 2_000;
const burned = /took a whole core for 2 s, giving way now and then, as in a loop that awaits, and was stopped/;
/** What fills its heap may be found while it looks for room. */
const overstuffed =
  /took more memory than the 48 MB of its limits\.memoryMb, and was stopped|with \d+ of the 48 MB of its limits\.memoryMb in use/;
const halted = builtin("dynamic-worker/halted");

const hook = (body: string, above = "") => `${above}
const kept = [];
const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const burn = async () => {
  for (;;) {
    const until = Date.now() + 100;
    while (Date.now() < until);
    await wait(0);
  }
};
const objects = (megabytes) => {
  for (let i = 0; i < megabytes; i++) kept.push(new Array(26_000).fill(0).map((_, number) => ({ number })));
};
export default { async afterAppend({ event, append, waitUntil }) { if (event.type === "evil") { ${body} } } };`;

let world: HostileWorld;
let neighbours: Neighbours;
beforeAll(async () => {
  world = await startHostileWorld({ sandbox: { burning: { windowMs, lookEveryMs: 100, holdMs: 200 } } });
  const here = [1, 2, 3, 4].map((number) => ({ path: `/neighbours/${number}` }));
  neighbours = await startNeighbours(world, [...here, { path: "/neighbours/1", project: "other" }]);
});
afterEach(() => neighbours.goOn());
afterAll(async () => {
  const { pongs } = await neighbours.stop();
  await world.close();
  expect(pongs).toBeGreaterThan(100);
});

/** What the stream says of code that was left there and given an event. */
async function toldOf(path: string, script: string, limits?: Record<string, number>) {
  await world.deploy(path, { script, ...(limits && { limits }) });
  const { offset } = await world.append(path, "evil");
  const { type, payload } = await world.until(path, isTold);
  return { type, offset, payload: payload as { message: string; offset: number } };
}

describe("more memory than it said", () => {
  test.each([
    ["objects", "for (;;) { objects(4); await wait(5); }"],
    ["objects, without giving way", "for (;;) objects(4);"],
    ["buffers", "for (;;) { kept.push(new Uint8Array(4 << 20).fill(1)); await wait(5); }"],
    ["buffers, without giving way", "for (;;) kept.push(new Uint8Array(4 << 20).fill(1));"],
    ["texts", 'for (;;) { kept.push(JSON.stringify(["x".repeat(2 << 20), kept.length])); await wait(5); }'],
  ])("%s", async (what, body) => {
    const { type, offset, payload } = await toldOf(`/memory/${what.replaceAll(/\W+/g, "-")}`, hook(body), {
      memoryMb: 48,
    });
    expect(payload.message).toMatch(overstuffed);
    expect([type, payload.offset]).toEqual([halted, offset]);
  });

  test("when it is loaded", async () => {
    const script = `const kept = []; for (;;) kept.push({}); export default {};`;
    const { type, payload } = await toldOf("/memory/load", script, { memoryMb: 16 });
    expect(payload.message).toMatch(/While it was loaded, the code took more memory than the 16 MB/);
    expect(type).toBe(halted);
  });

  test("what is within goes on, also beyond what code has that says nothing", async () => {
    const body =
      'for (let i = 0; i < 20; i++) { objects(10); await wait(0); } await append({ type: "held", payload: { arrays: kept.length } });';
    await world.deploy("/memory/much", { script: hook(body), limits: { memoryMb: 400 } });
    await world.append("/memory/much", "evil");
    const { type, payload } = await world.until("/memory/much", (event) => event.type === "held" || isTold(event));
    expect([type, payload]).toEqual(["held", { arrays: 200 }]);
  });

  test("of two streams with the same code the one is stopped that does it", async () => {
    const both = {
      script: hook(
        'if (event.payload.bomb) for (;;) { objects(4); await wait(5); } else await append({ type: "fine" });',
      ),
      limits: { memoryMb: 48 },
    };
    for (const path of ["/memory/good", "/memory/bad"]) await world.deploy(path, both);
    await world.append("/memory/good", "evil");
    await world.until("/memory/good", ({ type }) => type === "fine");
    await world.append("/memory/bad", "evil", { bomb: true });
    const { payload } = await world.until("/memory/bad", isTold);
    expect((payload as { message: string }).message).toMatch(overstuffed);

    const { offset } = await world.append("/memory/good", "evil");
    await world.until("/memory/good", (event) => event.type === "fine" && event.offset > offset);
    expect((await world.read("/memory/good")).filter(isTold)).toEqual([]);
  });
});

describe("a core for ever, giving way", () => {
  test("in a hook, beside hooks that wait", async () => {
    const waiting = ["/burning/waits/1", "/burning/waits/2"];
    for (const path of waiting) {
      await world.deploy(path, hook(`await wait(${2 * windowMs}); await append({ type: "done" });`, `// ${path}`));
      await world.append(path, "evil");
    }
    const { type, offset, payload } = await toldOf("/burning/hook", hook("await burn();"));
    expect(payload.message).toMatch(burned);
    expect([type, payload.offset]).toEqual([halted, offset]);
    for (const path of waiting) {
      await world.until(path, (event) => event.type === "done");
      expect((await world.read(path)).filter(isTold)).toEqual([]);
    }
  });

  test("in work: it is interrupted, and the next time it is halted", async () => {
    const { type, payload } = await toldOf("/burning/work", hook('waitUntil("work", burn);'));
    expect([type, payload.message]).toEqual([
      builtin("error-occurred"),
      expect.stringMatching(/^The work "work" was interrupted/),
    ]);
    await world.append("/burning/work", "evil");
    await vi.waitFor(
      async () => {
        // It is told when there is something to do for it.
        await world.append("/burning/work", "more");
        const told = (await world.read("/burning/work")).filter((event) => event.type === halted);
        expect(told.map((event) => (event.payload as { message: string }).message)).toEqual([
          expect.stringMatching(burned),
        ]);
      },
      { timeout: 30_000, interval: 1_000 },
    );
  });

  test("in a hook that was left behind when its time was over", async () => {
    const before = world.faults.length;
    await toldOf("/burning/left", hook("await burn();"), { timeoutMs: 300 });
    await vi.waitFor(() => expect(world.faults.slice(before).join()).toMatch(/ended \(burning\)/), 30_000);
    await world.until("/burning/left", ({ type }) => type === halted);
  });

  test("in what nobody knows of: the process ends, and with the next event it is found", async () => {
    const before = world.faults.length;
    const script = hook(
      "waitUntilItself(burn());",
      'import { waitUntil as waitUntilItself } from "cloudflare:workers";',
    );
    await world.deploy("/burning/hidden", script);
    await world.append("/burning/hidden", "evil");
    await vi.waitFor(() => expect(world.faults.slice(before).join()).toMatch(/ended \(burning\)/), 30_000);

    await vi.waitFor(
      async () => {
        await world.append("/burning/hidden", "evil");
        const told = (await world.read("/burning/hidden")).filter((event) => event.type === halted);
        expect(told.map(({ payload }) => (payload as { message: string }).message)).toEqual([
          expect.stringMatching(burned),
        ]);
      },
      { timeout: 60_000, interval: 1_000 },
    );
  });
});
