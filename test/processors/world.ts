/** A server in this process, behind a proxy that can cut connections, and processors that run on it from here. */
import { createEventsClient, type EventsClient, type StreamEvent } from "@millrace/sdk";
import { type ProcessorRun, type RunOptions, runProcessor } from "@millrace/sdk/processor";
import { serve } from "millrace";
import { onTestFinished } from "vitest";
import { temporaryDirectory } from "../processes/server-process.ts";
import { type CuttingProxy, startCuttingProxy } from "../sdk/cutting-proxy.ts";

export const builtin = (name: string): string => `https://events.iterate.com/events/stream/${name}`;
const quick = { baseMs: 5, maxMs: 50 };
const patienceMs = 60_000;

export interface World {
  client: EventsClient;
  proxy: CuttingProxy;
  data: string;
  /** What the processors said about themselves. */
  log: string[];
  run(processor: RunOptions["processor"], path: string, options?: Partial<RunOptions>): ProcessorRun;
  /** The same, once it is ready. */
  start(processor: RunOptions["processor"], path: string, options?: Partial<RunOptions>): Promise<ProcessorRun>;
  stopServer(): Promise<void>;
  startServer(): Promise<void>;
  /** The events of a stream, up to the first for which this is true. */
  until(path: string, last: (event: StreamEvent) => boolean): Promise<StreamEvent[]>;
  read(path: string): Promise<StreamEvent[]>;
}

/** For one test: all that it started ends with it. */
export async function startWorld(): Promise<World> {
  const { directory: data, remove } = temporaryDirectory();
  const onFault = (error: unknown) => console.error(error);
  const launch = () => serve({ port: 0, host: "127.0.0.1", data, access: {}, onFault, onFatal: onFault });
  let server = await launch();
  let stopped = false;
  const proxy = await startCuttingProxy(server.url);
  const client = createEventsClient({ baseUrl: proxy.url, retry: quick });
  const direct = () => createEventsClient({ baseUrl: server.url, retry: quick });
  const runs: ProcessorRun[] = [];
  const log: string[] = [];
  const logger = Object.fromEntries(
    ["debug", "info", "warn", "error"].map((level) => [level, (message: string) => void log.push(message)]),
  ) as unknown as NonNullable<RunOptions["logger"]>;

  async function stopServer(): Promise<void> {
    stopped = true;
    proxy.cut();
    await server.close();
  }
  onTestFinished(async () => {
    await Promise.all(runs.map((run) => run.stop().catch(() => {})));
    await proxy.close();
    if (!stopped) await server.close();
    remove();
  });

  const run: World["run"] = (processor, path, options) => {
    const running = runProcessor({ client, processor, path, logger, ...options });
    runs.push(running);
    return running;
  };
  return {
    client,
    proxy,
    data,
    log,
    run,
    async start(...args) {
      const running = run(...args);
      await running.ready;
      return running;
    },
    stopServer,
    async startServer() {
      server = await launch();
      stopped = false;
      proxy.leadTo(server.url);
    },
    async until(path, last) {
      const events: StreamEvent[] = [];
      const signal = AbortSignal.timeout(patienceMs);
      for await (const event of direct().stream(path, { signal })) {
        events.push(event);
        if (last(event)) return events;
      }
      throw new Error(`${path} ended`);
    },
    async read(path) {
      const events: StreamEvent[] = [];
      for await (const event of direct().read(path)) events.push(event);
      return events;
    },
  };
}

/** Something that a test waits for, and what it was. */
export function signalled<Value>(): { promise: Promise<Value>; resolve(value: Value): void } {
  let resolve: (value: Value) => void = () => {};
  const promise = new Promise<Value>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

export const ofType =
  (type: string, count = 1) =>
  (event: StreamEvent): boolean =>
    event.type === type && --count === 0;

export const isError = (about: string) => (event: StreamEvent) =>
  event.type === builtin("error-occurred") && (event.payload as { message: string }).message.includes(about);

export const types = (events: readonly StreamEvent[]): string[] => events.map(({ type }) => type);
