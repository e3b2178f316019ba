/** What a server does a million times must leave nothing behind. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createEngine, createMemoryDirectory, type Engine } from "@millrace/engine";
import { systemClock, systemRandom } from "millrace";
import { expect, test } from "vitest";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const project = "public";

async function heapBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    collectGarbage();
  }
  return process.memoryUsage().heapUsed;
}

const acts: [what: string, act: (engine: Engine, n: number) => Promise<void>][] = [
  [
    "finite reads",
    async (engine) => {
      for await (const _ of engine.read(project, "/", { after: 0 }, new AbortController().signal));
    },
  ],
  [
    "live reads that were left",
    async (engine) => {
      const leaving = new AbortController();
      for await (const item of engine.read(project, "/", { after: 0, live: true }, leaving.signal)) {
        if (item.kind === "caught-up") leaving.abort();
      }
    },
  ],
  [
    "refused appends",
    async (engine) => {
      const event = { type: "a", payload: {}, offset: 1 };
      await engine.append(project, "/", [{ event }], { bytes: 1 }).catch(() => {});
    },
  ],
];

test.each(acts)("%s", async (_, act) => {
  const engine = createEngine({ directory: createMemoryDirectory(), clock: systemClock, random: systemRandom });
  await engine.append(project, "/", [{ event: { type: "a", payload: {} } }], { bytes: 1 });
  const repeat = async (times: number) => {
    for (let n = 0; n < times; n++) {
      await act(engine, n);
      if (n % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await repeat(5_000);
  const before = await heapBytes();
  const times = 40_000;
  await repeat(times);
  expect((await heapBytes()) - before).toBeLessThan(times * 20);
  expect(engine.gauges()).toMatchObject({ openStreams: 1, readers: 0 });
  await engine.close();
});
