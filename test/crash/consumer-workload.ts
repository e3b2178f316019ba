/**
 * A processor that an event deployed, in a sandbox whose processes are killed in the middle of its hooks, under a server
 * that is. What it insists on: for each `ping` exactly one `pong` on its stream and one `told` on another, with the state
 * that a fresh fold gives; work that was open is completed or said to be interrupted, once; and a processor that is well
 * is never halted.
 */
import { readFileSync } from "node:fs";
import type { StreamEvent } from "@millrace/protocol";
import { sandboxesOf } from "../../packages/millrace/test/sandbox-processes.ts";
import { append, breakerOff, builtin, getJson, readAll } from "../processes/http.ts";
import type { ServerProcess } from "../processes/server-process.ts";
import { eventually, type Round, type Workload } from "./harness.ts";
import { createSender, type Sender, sendUntilDead } from "./keyed.ts";

const project = "consumers";
const paths = ["/work/0", "/work/1", "/work/2"];
const toldPaths = ["/told/0", "/told/1"];
/** A sandbox is killed at a moment up to this, once while a round acts and once while it recovers. */
const latestSandboxKillMs = 300;
/** Hooks take longer than appends: a backlog that never ended would be no test. */
const pingsOfRound = 8;
/** So often everything is awaited; in between a backlog is taken over from one crash to the next. */
const drainedEvery = 4;

export interface ConsumerWorkload extends Workload {
  counts(): { pings: number; retried: number; completed: number; interrupted: number; sandboxes: number };
}

interface Lane {
  path: string;
  sender: Sender;
  pings: StreamEvent[];
}

export function createConsumerWorkload(): ConsumerWorkload {
  const lanes = paths.map(createLane);
  const counts = { pings: 0, retried: 0, completed: 0, interrupted: 0, sandboxes: 0 };

  /** One of the server's sandbox processes, at some moment; the server lives on. */
  async function killSandbox(server: ServerProcess, { random }: Pick<Round, "random">): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, random.integer(latestSandboxKillMs)));
    const pids = sandboxesOf(server.pid);
    if (pids.length === 0) return;
    counts.sandboxes++;
    process.kill(random.pick(pids), "SIGKILL");
  }

  return {
    name: "consumers",
    counts: () => counts,

    async act(server, round, signal) {
      if (!(await configured(server, lanes))) return;
      const acting = lanes.map(({ sender }) => {
        let left = pingsOfRound;
        const stop = new AbortController();
        signal.addEventListener("abort", () => stop.abort());
        return sendUntilDead(sender, { server, round, signal: stop.signal }, () => {
          if (--left === 0) stop.abort();
          return ping(round);
        });
      });
      await Promise.all([...acting, killSandbox(server, round)]);
    },

    async recover(server, round) {
      const { number } = round;
      for (const { sender } of lanes) await sender.resend(server);
      await killSandbox(server, round);
      if (number % drainedEvery === 0) await drain(server, lanes);
    },

    async verify(server) {
      await drain(server, lanes);
      const told = await Promise.all(toldPaths.map((path) => readAll(server.url, path, project)));
      for (const lane of lanes) {
        const events = await readAll(server.url, lane.path, project);
        verifyPings(lane, events, told.flat());
        await verifyState(server, lane);
        const work = verifyWork(lane, events);
        counts.pings += lane.pings.length;
        counts.completed += work.completed;
        counts.interrupted += work.interrupted;
        counts.retried += verifyErrors(lane, events);
      }
    },
  };
}

function createLane(path: string): Lane {
  const pings: StreamEvent[] = [];
  const sender = createSender(project, path, (event) => {
    if (event.type === "ping") pings.push(event);
  });
  return { path, sender, pings };
}

/** Once for each stream: the key is the same in every round. False when the server died meanwhile. */
async function configured(server: ServerProcess, lanes: Lane[]): Promise<boolean> {
  const script = readFileSync(new URL("worker.js", import.meta.url), "utf8");
  const worker = { type: builtin("dynamic-worker/configured"), payload: { slug: "worker", script } };
  const once = (key: string) => ({ "x-project-slug": project, "idempotency-key": key });
  try {
    for (const path of toldPaths) await append(server.url, path, breakerOff, once("breaker"));
    for (const { path } of lanes) {
      await append(server.url, path, breakerOff, once("breaker"));
      await append(server.url, path, worker, once("worker"));
    }
    return true;
  } catch {
    return false;
  }
}

function ping({ random }: Round): object {
  const oneIn = (many: number) => random.integer(many) === 0;
  const payload = {
    tell: random.pick(toldPaths),
    slowMs: oneIn(3) ? random.integer(40) : 0,
    workMs: oneIn(3) ? 1 + random.integer(200) : 0,
    failsOnce: oneIn(15),
  };
  return { type: "ping", payload };
}

async function drain(server: ServerProcess, lanes: Lane[]): Promise<void> {
  for (const { path } of lanes) {
    await eventually(
      `the worker of ${path}`,
      async () => {
        const { consumers } = await getJson(server.url, `/api/state${path}`, project);
        if (consumers.worker.halted !== undefined) throw new Error(`halted: ${JSON.stringify(consumers.worker)}`);
        const { lag, work = [] } = consumers.worker;
        return lag === 0 && work.length === 0 ? undefined : JSON.stringify(consumers.worker);
      },
      30_000,
    );
  }
}

function verifyPings({ path, pings }: Lane, events: StreamEvent[], told: StreamEvent[]): void {
  const stored = events.filter(({ type }) => type === "ping");
  if (stored.length !== pings.length) throw new Error(`${path}: ${pings.length} pings sent, ${stored.length} stored`);
  for (const [index, { offset }] of stored.entries()) {
    const pongs = events.filter(({ type, payload }) => type === "pong" && pingOf(payload) === offset);
    const news = told.filter(({ payload }) => (payload as { of?: string }).of === path && pingOf(payload) === offset);
    if (pongs.length !== 1 || news.length !== 1) {
      throw new Error(`${path}@${offset}: ${pongs.length} pongs and told ${news.length} times`);
    }
    const { pings } = (pongs[0] as StreamEvent).payload as { pings: number };
    if (pings !== index + 1) throw new Error(`${path}@${offset}: its state counted ${pings} pings of ${index + 1}`);
  }
}

/** At the end, and half-way: what is made again from a snapshot is what the events say. */
async function verifyState(server: ServerProcess, { path, pings }: Lane): Promise<void> {
  for (const count of [pings.length, Math.ceil(pings.length / 2)]) {
    const at = pings[count - 1]?.offset as number;
    const { state } = await getJson(server.url, `/api/state${path}?processor=worker&at=${at}`, project);
    if (state.pings !== count)
      throw new Error(`${path}@${at}: its state is ${JSON.stringify(state)} after ${count} pings`);
  }
}

/** Both may be there when it was killed between the last append of the work and the note that it is over. */
function verifyWork({ path, pings }: Lane, events: StreamEvent[]): { completed: number; interrupted: number } {
  const ends = (type: string, offset: number) =>
    events.filter((event) => event.type === type && pingOf(event.payload) === offset).length;
  const counts = { completed: 0, interrupted: 0 };
  for (const { offset, payload } of pings) {
    const completed = ends("work-completed", offset);
    const interrupted = ends("work-interrupted", offset);
    const asked = (payload as { workMs: number }).workMs > 0;
    const isRight = asked ? completed + interrupted > 0 : completed + interrupted === 0;
    if (!isRight || completed > 1 || interrupted > 1) {
      throw new Error(`${path}@${offset}: work completed ${completed} times, interrupted ${interrupted} times`);
    }
    counts.completed += completed;
    counts.interrupted += interrupted;
  }
  return counts;
}

/** Only what was asked to fail failed, and said so once. */
function verifyErrors({ path, pings }: Lane, events: StreamEvent[]): number {
  const errors = events.filter(({ type }) => type === builtin("error-occurred"));
  const failed = errors.map(({ payload }) => (payload as { about: { offset: number } }).about.offset);
  const asked = new Set(pings.filter(({ payload }) => (payload as { failsOnce: boolean }).failsOnce).map(offsetOf));
  if (new Set(failed).size !== failed.length || failed.some((offset) => !asked.has(offset))) {
    throw new Error(`${path}: ${JSON.stringify(errors.map(({ payload }) => payload))}`);
  }
  return errors.length;
}

function offsetOf({ offset }: StreamEvent): number {
  return offset;
}

function pingOf(payload: unknown): number | undefined {
  return (payload as { ping?: number }).ping;
}
