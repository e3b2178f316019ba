/** A server in this process that runs what is deployed to it, in workerd; it can end and come back on the same data. */
import { createEventsClient, type EventsClient, type StreamEvent } from "@millrace/sdk";
import { type RunningServer, serve } from "millrace";
import { expect, onTestFinished } from "vitest";
import { builtin } from "../processes/http.ts";
import { temporaryDirectory } from "../processes/server-process.ts";

const patience = { timeout: 20_000, interval: 20 };

export interface DeployedWorld {
  readonly client: EventsClient;
  readonly url: string;
  append(path: string, ...events: { type: string; payload?: unknown }[]): Promise<number>;
  /** Resolves with the offset of the configuration. */
  deploy(path: string, slug: string, script: string, extra?: object): Promise<number>;
  say(path: string, what: "removed" | "resumed" | "env-var-set", payload: object): Promise<number>;
  events(path: string, type?: string): Promise<StreamEvent[]>;
  /** Waits until there are so many; resolves with their payloads. */
  // biome-ignore lint/suspicious/noExplicitAny: payloads are looked at by whoever wrote them
  until(path: string, type: string, count?: number): Promise<any[]>;
  /** What is said of the newest halt. */
  halt(path: string, count?: number): Promise<{ slug: string; offset: number; message: string; attempts: number }>;
  // biome-ignore lint/suspicious/noExplicitAny: an answer, as JSON
  state(path: string, slug: string, at?: number): Promise<{ status: number; body: any }>;
  /** The server ends in good order, and another one comes. */
  restart(): Promise<void>;
}

export async function startDeployedWorld(): Promise<DeployedWorld> {
  const { directory: data, remove } = temporaryDirectory();
  const launch = () =>
    serve({
      port: 0,
      host: "127.0.0.1",
      data,
      allowPrivateDestinations: true,
      onFault: () => {},
      onFatal(message) {
        throw new Error(message);
      },
    });
  let server: RunningServer = await launch();
  onTestFinished(async () => {
    await server.close();
    remove();
  });
  const clientOf = () => createEventsClient({ baseUrl: server.url });

  async function append(path: string, ...events: { type: string; payload?: unknown }[]): Promise<number> {
    const appended = await clientOf().append(path, events as never);
    return (appended as unknown as { events: StreamEvent[] }).events.at(-1)?.offset as number;
  }

  async function events(path: string, type?: string): Promise<StreamEvent[]> {
    const found: StreamEvent[] = [];
    for await (const event of clientOf().read(path)) if (type === undefined || event.type === type) found.push(event);
    return found;
  }

  async function until(path: string, type: string, count = 1) {
    await expect.poll(async () => (await events(path, type)).length, patience).toBeGreaterThanOrEqual(count);
    return (await events(path, type)).map(({ payload }) => payload);
  }

  return {
    get client() {
      return clientOf();
    },
    get url() {
      return server.url;
    },
    append,
    deploy: (path, slug, script, extra = {}) =>
      append(path, { type: builtin("dynamic-worker/configured"), payload: { slug, script, ...extra } }),
    say: (path, what, payload) => append(path, { type: builtin(`dynamic-worker/${what}`), payload }),
    events,
    until,
    halt: async (path, count = 1) => (await until(path, builtin("dynamic-worker/halted"), count)).at(-1) as never,
    async state(path, slug, at) {
      const query = `processor=${slug}${at === undefined ? "" : `&at=${at}`}`;
      const response = await fetch(`${server.url}/api/state${path}?${query}`);
      return { status: response.status, body: await response.json() };
    },
    async restart() {
      await server.close();
      server = await launch();
    },
  };
}

/** Counts pings, and answers each with how many there were. `name` makes it another version of the same. */
export const counting = (name = "one", more = ""): string => `export default {
  slug: "counting",
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : state),
  async afterAppend({ event, state, append, env }) {
    if (event.type === "ping") await append({ type: "pong", payload: { ...state, by: ${JSON.stringify(name)} } });
    ${more}
  },
};`;

export const ping = { type: "ping" };
