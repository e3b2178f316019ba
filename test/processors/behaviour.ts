/**
 * What a processor may rely on wherever it runs, as a function: one suite, passed in the server, in a sandbox, pulled,
 * and pushed to. Each place gets the same files and the same events, and has to leave the same log behind.
 */
import { createEventsClient, type EventsClient, type Processor, type StreamEvent } from "@millrace/sdk/processor";
import { expect, test } from "vitest";
import behaving from "./behaviour/processor.ts";
import typed from "./behaviour/typed.ts";

// biome-ignore lint/suspicious/noExplicitAny: processors of all kinds of state
export type AnyProcessor = Processor<any, any>;

/** A processor, and the file that it is the default export of. */
export interface ProcessorFile {
  processor: AnyProcessor;
  file: URL;
}

export interface Place {
  /** Lets the processor run on the stream; resolves when it acts on what comes. */
  start(client: EventsClient, what: ProcessorFile, path: string): Promise<Running>;
}

export interface Running {
  stop(): Promise<void>;
  /** Another stream with the same processor, on which everything happens as well, a moment earlier. */
  twin?: string;
}

const files = {
  behaving: { processor: behaving, file: new URL("behaviour/processor.ts", import.meta.url) },
  typed: { processor: typed, file: new URL("behaviour/typed.ts", import.meta.url) },
} satisfies Record<string, ProcessorFile>;

const builtin = (name: string) => `https://events.iterate.com/events/stream/${name}`;
const patience = { timeout: 20_000, interval: 20 };
let streams = 0;

export function behaviour(place: Place, baseUrl: () => string): void {
  async function scene(what: ProcessorFile = files.behaving) {
    const path = `/behaviour/${++streams}`;
    const client = createEventsClient({ baseUrl: baseUrl() });
    await client.append(path, [{ type: "begun" }]);
    const running = await place.start(client, what, path);
    return {
      path,
      client,
      running,
      async send(type: string, payload: unknown = {}) {
        const event = { type, payload: payload as never };
        if (running.twin !== undefined) await client.append(running.twin, event);
        return client.append(path, event);
      },
      /** Waits until there are so many events of a type. */
      async until(type: string, count = 1, of = path): Promise<StreamEvent[]> {
        const found = () => eventsOf(client, of, type);
        await expect.poll(async () => (await found()).length, patience).toBeGreaterThanOrEqual(count);
        return found();
      },
    };
  }

  test("it folds every event once, in order, and acts on each behind its start, in order", async () => {
    const { send, until, running, path } = await scene();
    for (let n = 1; n <= 20; n++) await send("number", n);
    for (const stream of [path, running.twin]) {
      if (stream === undefined) continue;
      const summed = await until("summed", 20, stream);
      const sums = summed.map(({ payload }) => (payload as { sum: number }).sum);
      expect(sums).toEqual(Array.from({ length: 20 }, (_, i) => ((i + 1) * (i + 2)) / 2));
    }
    await running.stop();
  });

  test("what it appends names its cause, grows in depth, and goes to relative paths", async () => {
    const { send, until, path, running } = await scene();
    const { event } = await send("tell");
    const [heard] = await until("heard");
    expect(heard?.source).toMatchObject({
      slug: "behaving",
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
    const { send, until, running } = await scene();
    const { event } = await send("lose", to);
    const [error] = await until(builtin("error-occurred"));
    expect(error?.payload).toMatchObject({
      message: expect.stringContaining(message),
      about: { kind: "processor", slug: "behaving", offset: event.offset },
    });
    await running.stop();
  });

  test("a hook that fails is called again, with the number of the attempt; its appends stand once", async () => {
    const { send, until, client, path, running } = await scene();
    await send("try");
    const [done] = await until("done");
    expect(done?.payload).toEqual({ attempt: 2 });
    const tried = await eventsOf(client, path, "tried");
    expect(tried.map(({ payload }) => payload)).toEqual([{ attempt: 1 }]);
    const errors = await eventsOf(client, path, builtin("error-occurred"));
    expect(errors.map(({ payload }) => (payload as { message: string }).message)).toEqual([
      expect.stringMatching(/^not yet/),
    ]);
    await running.stop();
  });

  test("long work goes on beside the events, and a later hook ends it; what it appended stays", async () => {
    const { send, until, client, path, running } = await scene();
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
    const { send, until, client, path, running } = await scene();
    const { event } = await send("hold");
    const [chunk] = await until("chunk");
    expect(chunk?.source).toMatchObject({ cause: { offset: event.offset } });
    await send(builtin("paused"));
    const [ended] = await until("ended", 1, `${path}/seen`);
    expect(ended?.payload).toMatchObject({ refusal: { name: "StreamError", code: "stream_paused" } });
    await client.append(path, [{ type: builtin("resumed") }, { type: "check" }]);
    const [checked] = await until("checked");
    const interrupted = await eventsOf(client, path, "interrupted");
    expect(interrupted.map(({ payload }) => payload)).toEqual([{ name: "holding", offset: event.offset, chunks: 1 }]);
    expect(interrupted[0]?.offset).toBeLessThan(checked?.offset as number);
    expect(await eventsOf(client, path, builtin("error-occurred"))).toEqual([]);
    await running.stop();
  });

  test("a halt ends long work", async () => {
    const { send, until, path, running } = await scene();
    await send("hold");
    await until("chunk");
    await send("poison");
    const [ended] = await until("ended", 1, `${path}/seen`);
    expect(ended?.payload).toMatchObject({ reason: "The consumer was halted." });
    await running.stop();
  });

  test("with schemas it is given events of their types alone, parsed; what does not parse is told and passed over", async () => {
    const { send, until, running } = await scene(files.typed);
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
    const { send, until, client, path, running } = await scene();
    await send("check");
    await until("checked");
    const { event } = await send("poison");
    await send("check");
    await expect
      .poll(async () => {
        const errors = [builtin("error-occurred"), builtin("dynamic-worker/halted")];
        const lists = await Promise.all(errors.map((type) => eventsOf(client, path, type)));
        return lists.flat().map(({ payload }) => JSON.stringify(payload));
      }, patience)
      .toContainEqual(
        expect.stringMatching(new RegExp(`cannot fold this.*${event.offset}|${event.offset}.*cannot fold this`)),
      );
    expect(await eventsOf(client, path, "checked")).toHaveLength(1);
    await send("check");
    await running.stop();
  });
}

export async function eventsOf(client: EventsClient, path: string, type: string): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of client.read(path)) if (event.type === type) events.push(event);
  return events;
}
