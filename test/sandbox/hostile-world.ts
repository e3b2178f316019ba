/** A server in this process with its real sandbox, code that is left on its streams, and neighbours that work meanwhile. */
import { createEventsClient, type EventsClient, type StreamEvent } from "@millrace/sdk";
import { type ServeOptions, serve } from "millrace";
import { breakerOff, builtin } from "../processes/http.ts";

export interface HostileWorld {
  url: string;
  /** What the operator was told. */
  faults: string[];
  client(project?: string): EventsClient;
  /** Leaves code on a stream. */
  deploy(path: string, code: string | Deployment, project?: string): Promise<StreamEvent>;
  append(path: string, type: string, payload?: object, project?: string): Promise<StreamEvent>;
  read(path: string, project?: string): Promise<StreamEvent[]>;
  /** Waits for the first event for which this is true. */
  until(path: string, last: (event: StreamEvent) => boolean, project?: string): Promise<StreamEvent>;
  close(): Promise<void>;
}

export interface Deployment {
  script: string;
  env?: Record<string, string>;
  limits?: Record<string, number>;
  outboundGateway?: object;
}

const patienceMs = 60_000;
const slug = "code";

export async function startHostileWorld(options: Partial<ServeOptions> = {}): Promise<HostileWorld> {
  const faults: string[] = [];
  const fatal: string[] = [];
  const server = await serve({
    port: 0,
    host: "127.0.0.1",
    data: ":memory:",
    onFault: (error) => void faults.push(String(error)),
    onFatal: (message) => void fatal.push(message),
    ...options,
  });
  const clients = new Map<string, EventsClient>();
  const client = (project = "public") => {
    const known = clients.get(project) ?? createEventsClient({ baseUrl: server.url, projectSlug: project });
    clients.set(project, known);
    return known;
  };

  return {
    url: server.url,
    faults,
    client,
    async deploy(path, code, project) {
      const payload = { slug, ...(typeof code === "string" ? { script: code } : code) };
      const event = { type: builtin("dynamic-worker/configured"), payload };
      return (await client(project).append(path, event as never)).event;
    },
    async append(path, type, payload = {}, project = "public") {
      return (await client(project).append(path, { type, payload } as never)).event;
    },
    async read(path, project) {
      const events: StreamEvent[] = [];
      for await (const event of client(project).read(path)) events.push(event);
      return events;
    },
    async until(path, last, project) {
      for await (const event of client(project).stream(path, { signal: AbortSignal.timeout(patienceMs) })) {
        if (last(event)) return event;
      }
      throw new Error(`${path} ended.`);
    },
    async close() {
      await server.close();
      if (fatal.length > 0) throw new Error(fatal.join("\n"));
    },
  };
}

/** Whether the server says that code of this stream was stopped, or failed. */
export const isTold = ({ type }: StreamEvent): boolean =>
  type === builtin("dynamic-worker/halted") || type === builtin("error-occurred");

export interface Neighbours {
  /** Waits until each of them has answered once more; throws where one took harm. */
  goOn(): Promise<void>;
  /** Ends the pings; throws where one of them was lost, doubled, out of order, or took harm in any other way. */
  stop(): Promise<{ pongs: number; longestGapMs: number }>;
}

/** Processors that are asked all the time, each with code of its own. */
export async function startNeighbours(
  world: HostileWorld,
  where: readonly { path: string; project?: string }[],
): Promise<Neighbours> {
  const stopping = new AbortController();
  const running = await Promise.all(
    where.map(async ({ path, project }) => {
      await world.client(project).append(path, breakerOff);
      await world.deploy(path, { script: neighbour, env: { PATH_OF_MINE: path } }, project);
      return { path, project, ended: pingAndPong(world, path, project, stopping.signal) };
    }),
  );
  return {
    async goOn() {
      for (const { path, project, ended } of running) {
        const pings = (await world.read(path, project)).filter(({ type }) => type === "ping").length;
        const answered = ({ type, payload }: StreamEvent) =>
          isTold({ type } as StreamEvent) || (type === "pong" && (payload as { number: number }).number >= pings);
        const last = await Promise.race([world.until(path, answered, project), ended]);
        if (!("type" in last) || last.type !== "pong") throw new Error(`${path}: ${JSON.stringify(last)}`);
      }
    },
    async stop() {
      stopping.abort();
      const all = await Promise.all(running.map(({ ended }) => ended));
      for (const [i, { path, project }] of running.entries()) {
        expectWhole(path, await world.read(path, project), all[i]?.pongs as number);
      }
      return {
        pongs: all.reduce((sum, { pongs }) => sum + pongs, 0),
        longestGapMs: Math.max(...all.map(({ longestGapMs }) => longestGapMs)),
      };
    },
  };
}

const neighbour = `export default {
  initialState: { pings: 0 },
  reduce: ({ state, event }) => (event.type === "ping" ? { pings: state.pings + 1 } : state),
  async afterAppend({ event, state, append }) {
    if (event.type === "ping") await append({ type: "pong", payload: { number: event.payload.number, pings: state.pings } });
  },
};`;

const pauseMs = 20;

async function pingAndPong(world: HostileWorld, path: string, project: string | undefined, stopping: AbortSignal) {
  let pongs = 0;
  let longestGapMs = 0;
  let sentAt = performance.now();
  await world.append(path, "ping", { number: 0 }, project);
  const following = AbortSignal.timeout(3 * patienceMs);
  for await (const event of world.client(project).stream(path, { signal: following })) {
    if (event.type !== "pong") continue;
    if (pongs > 0) longestGapMs = Math.max(longestGapMs, performance.now() - sentAt);
    pongs++;
    if (stopping.aborted) break;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    sentAt = performance.now();
    await world.append(path, "ping", { number: pongs }, project);
  }
  return { pongs, longestGapMs };
}

function expectWhole(path: string, events: readonly StreamEvent[], pongs: number): void {
  const told = events.filter(isTold);
  if (told.length > 0) throw new Error(`${path}: ${JSON.stringify(told[0]?.payload)}`);
  const answers = events.filter(({ type }) => type === "pong").map(({ payload }) => payload);
  const wanted = Array.from({ length: pongs }, (_, number) => ({ number, pings: number + 1 }));
  if (JSON.stringify(answers) !== JSON.stringify(wanted)) {
    throw new Error(`${path}: ${pongs} pings were answered with ${JSON.stringify(answers)}`);
  }
}
