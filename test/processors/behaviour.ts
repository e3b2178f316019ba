/**
 * What a processor may rely on wherever it runs, as a function: one suite, passed in the server, pulled, and pushed to.
 * Each place gets the same processor and the same events, and has to leave the same log behind.
 */
import {
  createEventsClient,
  defineProcessor,
  type EventsClient,
  type Processor,
  type StreamEvent,
} from "@millrace/sdk/processor";
import { expect, test } from "vitest";
import { z } from "zod";

// biome-ignore lint/suspicious/noExplicitAny: processors of all kinds of state
export type AnyProcessor = Processor<any>;

export interface Place {
  /** Lets the processor run on the stream; resolves when it acts on what comes. */
  start(client: EventsClient, processor: AnyProcessor, path: string): Promise<{ stop(): Promise<void> }>;
}

const builtin = (name: string) => `https://events.iterate.com/events/stream/${name}`;
const patience = { timeout: 20_000, interval: 20 };
let streams = 0;

export function behaviour(place: Place, baseUrl: () => string): void {
  async function scene(processor: AnyProcessor, before: { type: string; payload?: never }[] = []) {
    const path = `/behaviour/${++streams}`;
    const client = createEventsClient({ baseUrl: baseUrl() });
    await client.append(path, [{ type: "begun" }, ...before]);
    const running = await place.start(client, processor, path);
    return {
      path,
      client,
      running,
      send: (type: string, payload: unknown = {}) => client.append(path, { type, payload: payload as never }),
      /** Waits until there are so many events of a type. */
      async until(type: string, count = 1, of = path): Promise<StreamEvent[]> {
        const found = () => eventsOf(client, of, type);
        await expect.poll(async () => (await found()).length, patience).toBeGreaterThanOrEqual(count);
        return found();
      },
    };
  }

  test("it folds every event once, in order, and acts on each behind its start, in order", async () => {
    const { send, until, running } = await scene({
      slug: "order",
      initialState: { sum: 0 },
      reduce: ({ state, event }) =>
        event.type === "number" ? { sum: state.sum + (event.payload as number) } : undefined,
      async afterAppend({ event, state, append }) {
        if (event.type === "number") await append({ type: "summed", payload: { of: event.offset, sum: state.sum } });
      },
    });
    for (let n = 1; n <= 20; n++) await send("number", n);
    const summed = await until("summed", 20);
    const sums = summed.map(({ payload }) => (payload as { sum: number }).sum);
    expect(sums).toEqual(Array.from({ length: 20 }, (_, i) => ((i + 1) * (i + 2)) / 2));
    await running.stop();
  });

  test("what it appends names its cause, grows in depth, and goes to relative paths", async () => {
    const { send, until, path, running } = await scene({
      slug: "caused",
      initialState: null,
      reduce: () => undefined,
      async afterAppend({ event, append }) {
        if (event.type !== "ask") return;
        await append({ type: "heard" });
        await append({ path: "./boris", event: { type: "work" } });
      },
    });
    const { event } = await send("ask");
    const [heard] = await until("heard");
    expect(heard?.source).toMatchObject({
      slug: "caused",
      cause: { streamPath: path, offset: event.offset },
      depth: 1,
    });
    const [work] = await until("work", 1, `${path}/boris`);
    expect(work?.source).toMatchObject({ cause: { streamPath: path, offset: event.offset } });
    await running.stop();
  });

  test.each([
    ["leads above the root", "../../../x", "above the root"],
    ["has no dot", "boris", "begins with"],
  ])("a path that %s is an error that says so", async (_, to, message) => {
    const { send, until, running } = await scene({
      slug: "lost",
      initialState: null,
      reduce: () => undefined,
      async afterAppend({ event, append }) {
        if (event.type === "go") await append({ path: to, event: { type: "never" } });
      },
    });
    const { event } = await send("go");
    const [error] = await until(builtin("error-occurred"));
    expect(error?.payload).toMatchObject({
      message: expect.stringContaining(message),
      about: { kind: "processor", slug: "lost", offset: event.offset },
    });
    await running.stop();
  });

  test("a hook that fails is called again, with the number of the attempt; its appends stand once", async () => {
    const attempts: number[] = [];
    const { send, until, client, path, running } = await scene({
      slug: "again",
      initialState: null,
      reduce: () => undefined,
      async afterAppend({ event, append, attempt }) {
        if (event.type !== "try") return;
        attempts.push(attempt);
        await append({ type: "tried" });
        if (attempt === 1) throw new Error("not yet");
        await append({ type: "done" });
      },
    });
    await send("try");
    await until("done");
    expect(attempts).toEqual([1, 2]);
    expect(await eventsOf(client, path, "tried")).toHaveLength(1);
    const errors = await eventsOf(client, path, builtin("error-occurred"));
    expect(errors.map(({ payload }) => (payload as { message: string }).message)).toEqual(["not yet"]);
    await running.stop();
  });

  test("long work goes on beside the events, and a later hook ends it; what it appended stays", async () => {
    const { send, until, client, path, running } = await scene({
      slug: "long",
      initialState: { asked: 0 },
      reduce: ({ state, event }) => (event.type === "ask" ? { asked: state.asked + 1 } : undefined),
      afterAppend({ event, waitUntil, abort }) {
        if (event.type !== "ask") return;
        abort("answer");
        const number = event.payload as number;
        waitUntil(`answer ${number}`, async ({ append, signal, state }) => {
          await append({ type: "chunk", payload: { number, asked: (state() as { asked: number }).asked } });
          if (number === 2) return;
          await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        });
        if (number === 2) abort("answer 1");
      },
    });
    await send("ask", 1);
    await until("chunk", 1);
    await send("ask", 2);
    const chunks = await until("chunk", 2);
    expect(chunks.map(({ payload }) => payload)).toEqual([
      { number: 1, asked: 1 },
      { number: 2, asked: 2 },
    ]);
    expect(await eventsOf(client, path, builtin("error-occurred"))).toEqual([]);
    await running.stop();
  });

  test("a pause ends long work; once the stream is resumed it is told, before what came behind is acted on", async () => {
    const refusals: string[] = [];
    const { send, until, client, path, running } = await scene({
      slug: "paused",
      initialState: { chunks: 0 },
      reduce: ({ state, event }) => (event.type === "chunk" ? { chunks: state.chunks + 1 } : undefined),
      async afterAppend({ event, append, waitUntil }) {
        if (event.type === "again") await append({ type: "acted" });
        if (event.type !== "ask") return;
        waitUntil("answer", async ({ append, signal }) => {
          await append({ type: "chunk" });
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          await append({ type: "chunk" }).catch((error) => refusals.push(error.code));
        });
      },
      async afterCatchUp({ append, state, interrupted }) {
        for (const { name, offset } of interrupted?.work ?? []) {
          await append({ type: "interrupted", payload: { name, offset, chunks: state.chunks } });
        }
      },
    });
    const { event } = await send("ask");
    const [chunk] = await until("chunk");
    expect(chunk?.source).toMatchObject({ cause: { offset: event.offset } });
    await send(builtin("paused"));
    await expect.poll(() => refusals, patience).toEqual(["stream_paused"]);
    await client.append(path, [{ type: builtin("resumed") }, { type: "again" }]);
    const [acted] = await until("acted");
    const interrupted = await eventsOf(client, path, "interrupted");
    expect(interrupted.map(({ payload }) => payload)).toEqual([{ name: "answer", offset: event.offset, chunks: 1 }]);
    expect(interrupted[0]?.offset).toBeLessThan(acted?.offset as number);
    expect(await eventsOf(client, path, builtin("error-occurred"))).toEqual([]);
    await running.stop();
  });

  test("a halt ends long work", async () => {
    const reasons: string[] = [];
    const { send, until, running } = await scene({
      slug: "halted",
      initialState: null,
      reduce({ event }) {
        if (event.type === "poison") throw new Error("cannot fold this");
      },
      afterAppend({ event, waitUntil }) {
        if (event.type !== "ask") return;
        waitUntil("answer", async ({ append, signal }) => {
          await append({ type: "chunk" });
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
          reasons.push(signal.reason.message);
        });
      },
    });
    await send("ask");
    await until("chunk");
    await send("poison");
    await expect.poll(() => reasons, patience).toEqual(["The consumer was halted."]);
    await running.stop();
  });

  test("with schemas it is given events of their types alone, parsed; what does not parse is told and passed over", async () => {
    const typed = defineProcessor({
      slug: "typed",
      initialState: null,
      events: { order: z.object({ cups: z.coerce.number() }) },
      reduce: () => undefined,
      async afterAppend({ event, append }) {
        // By its type the payload is known: this is a number for the compiler, too.
        const cups: number = event.payload.cups;
        await append({ type: "ordered", payload: { type: event.type, cups } });
      },
    });
    const { send, until, running } = await scene(typed);
    await send("other", { cups: 1 });
    const { event: wrong } = await send("order", { cups: "many" });
    await send("order", { cups: "3" });
    const [ordered, ...more] = await until("ordered");
    expect(more).toEqual([]);
    expect(ordered?.payload).toEqual({ type: "order", cups: 3 });
    const [error] = await until(builtin("error-occurred"));
    expect(error?.payload).toMatchObject({
      message: expect.stringMatching(/payload of event .*does not parse: cups/),
      about: { slug: "typed", offset: wrong.offset },
    });
    await running.stop();
  });

  test("a reducer that throws goes no further and says where; the stream lives on", async () => {
    const { send, until, client, path, running } = await scene({
      slug: "broken",
      initialState: null,
      reduce({ event }) {
        if (event.type === "poison") throw new Error("cannot fold this");
      },
      async afterAppend({ event, append }) {
        if (event.type === "fine") await append({ type: "acted" });
      },
    });
    await send("fine");
    await until("acted");
    const { event } = await send("poison");
    await send("fine");
    await expect
      .poll(async () => {
        const errors = [builtin("error-occurred"), builtin("dynamic-worker/halted")];
        const lists = await Promise.all(errors.map((type) => eventsOf(client, path, type)));
        return lists.flat().map(({ payload }) => JSON.stringify(payload));
      }, patience)
      .toContainEqual(
        expect.stringMatching(new RegExp(`cannot fold this.*${event.offset}|${event.offset}.*cannot fold this`)),
      );
    expect(await eventsOf(client, path, "acted")).toHaveLength(1);
    await send("fine");
    await running.stop();
  });
}

export async function eventsOf(client: EventsClient, path: string, type: string): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of client.read(path)) if (event.type === type) events.push(event);
  return events;
}
