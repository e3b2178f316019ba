/** How a run ends, and how a stream ends under it: nothing is left behind, and nothing of a dead life counts. */
import { createEventsClient, defineProcessor, memoryCursors } from "@millrace/sdk/processor";
import { expect, test } from "vitest";
import { builtin, ofType, signalled, startWorld, types } from "./world.ts";

const base = defineProcessor<number>({ slug: "counter", initialState: 0, reduce: ({ state }) => state + 1 });

test("a stop leaves no timer and no connection behind, also while a connection is being made again", async () => {
  const world = await startWorld();
  const processor = defineProcessor<number>({
    ...base,
    async afterAppend({ event, append, waitUntil }) {
      if (event.type === "fail") throw new Error("to be tried again later");
      if (event.type === "work") {
        waitUntil(
          "endless",
          ({ signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve())),
        );
        await append({ type: "began" });
      }
    },
  });
  let timers = 0;
  const clock = {
    now: () => Date.now(),
    elapsedMs: () => performance.now(),
    setTimer(delayMs: number, run: () => void) {
      timers++;
      let over = false;
      const end = () => {
        if (!over) timers--;
        over = true;
      };
      const timer = setTimeout(() => {
        end();
        run();
      }, delayMs);
      return () => {
        end();
        clearTimeout(timer);
      };
    },
  };
  const run = await world.start(processor, "/s/*", { clock });
  await world.client.append("/s/a", { type: "work" });
  await world.until("/s/a", ofType("began"));
  await world.client.append("/s/b", { type: "fail" });
  await world.until("/s/b", ofType(builtin("error-occurred")));
  const disconnected = signalled<void>();
  world.proxy.leadTo("http://127.0.0.1:9");
  const other = world.run(base, "/s/*", { clock, observer: { onFailure: () => disconnected.resolve() } });
  world.proxy.cut();
  await disconnected.promise;
  await Promise.all([run.stop(), other.stop().catch(() => {})]);
  expect(timers).toBe(0);
  const connections = world.proxy.connections();
  await world.read("/s/a");
  expect(world.proxy.connections()).toBe(connections);
});

test("the signal ends a run like stop, and done resolves", async () => {
  const world = await startWorld();
  const ending = new AbortController();
  const run = await world.start(base, "/s", { signal: ending.signal });
  ending.abort(new Error("enough"));
  await run.done;
  const never = world.run(base, "/s", { signal: ending.signal });
  await never.done;
  await never.ready;
});

test("what a hook appends after its stream was deleted is refused, and the cursor is that of the next life", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  const entered = signalled<void>();
  const late = signalled<unknown>();
  const processor = defineProcessor<number>({
    ...base,
    async afterAppend({ event, append, signal }) {
      if (event.type === "next") await append({ type: "lived" });
      if (event.type !== "go") return;
      entered.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      await append({ type: "late" }).catch(late.resolve);
    },
  });
  const run = await world.start(processor, "/d/*", { cursors });
  await world.client.append("/d/x", { type: "go" });
  await entered.promise;
  await world.client.delete("/d/x");
  await world.client.append("/d/x", { type: "next" });
  expect(await late.promise).toMatchObject({ code: "stream_deleted" });
  expect(types(await world.until("/d/x", ofType("lived")))).toEqual([builtin("initialized"), "next", "lived"]);
  await run.stop();
  expect((await cursors.load("/d/x"))?.streamId).toBe((await world.client.state("/d/x")).streamId);
});

test("an observer that throws changes nothing", async () => {
  const world = await startWorld();
  const fault = () => {
    throw new Error("the observer is broken");
  };
  const observer = {
    onReduced: fault,
    onActing: fault,
    onActed: fault,
    onAppended: fault,
    onTold: fault,
    onFailure: fault,
  };
  const processor = defineProcessor<number>({
    ...base,
    async afterAppend({ event, append, attempt }) {
      if (event.type === "go" && attempt === 1) throw new Error("first");
      if (event.type === "go") await append({ type: "went" });
    },
  });
  const run = await world.start(processor, "/o", { observer });
  await world.client.append("/o", { type: "go" });
  const events = await world.until("/o", ofType("went"));
  expect(types(events)).toEqual([builtin("initialized"), "go", builtin("error-occurred"), "went"]);
  expect(run.state("/o")).toBeGreaterThanOrEqual(2);
  expect(world.log.join()).toContain("The observer of counter failed: Error: the observer is broken");
});

test("a server that is away for a while: the run waits, looks again, and says that it could not reach it", async () => {
  const world = await startWorld();
  const processor = defineProcessor<number>({
    ...base,
    async afterAppend({ event, append }) {
      if (event.type === "go") await append({ type: "went" });
    },
  });
  const failures: unknown[] = [];
  const client = createEventsClient({ baseUrl: world.proxy.url, retry: { attempts: 1, baseMs: 5, maxMs: 20 } });
  const seen = signalled<void>();
  await world.start(processor, "/away", {
    client,
    observer: { onFailure: (error) => failures.push(error) === 8 && seen.resolve() },
  });
  await world.client.append("/away", { type: "go" });
  await world.until("/away", ofType("went"));
  await world.stopServer();
  world.proxy.leadTo("http://127.0.0.1:9");
  // More attempts than a single request would have.
  await seen.promise;
  await world.startServer();
  await world.client.append("/away", { type: "go" });
  await world.until("/away", ofType("went", 2));
  expect(failures[0]).toMatchObject({ name: "MillraceError" });
});

test("work that a halt cut short is settled when the processor is started again", async () => {
  const world = await startWorld();
  const cursors = memoryCursors();
  const cut = signalled<string>();
  const processorOf = (isWell: boolean) =>
    defineProcessor<number>({
      ...base,
      reduce({ state, event }) {
        if (event.type === "poison" && !isWell) throw new Error("cannot fold this");
        return state + 1;
      },
      afterAppend({ event, waitUntil }) {
        if (event.type !== "ask") return;
        waitUntil("call", async ({ signal, append }) => {
          await append({ type: "began" });
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          cut.resolve(signal.reason.message);
        });
      },
      async afterCatchUp({ append, interrupted }) {
        for (const { name } of interrupted?.work ?? []) await append({ type: "interrupted", payload: name });
      },
    });
  await world.client.append("/h", { type: "born" });
  const run = await world.start(processorOf(false), "/h", { cursors });
  await world.client.append("/h", { type: "ask" });
  await world.until("/h", ofType("began"));
  await world.client.append("/h", { type: "poison" });
  expect(await cut.promise).toBe("The consumer was halted.");
  await run.stop();
  await world.start(processorOf(true), "/h", { cursors });
  const events = await world.until("/h", ofType("interrupted"));
  expect(events.at(-1)?.payload).toBe("call");
});
