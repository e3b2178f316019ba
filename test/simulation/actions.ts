/** What clients and operators do, at random: each action with its weight. */
import type { AppendInput } from "@millrace/engine";
import type { EventInput, JsonObject } from "@millrace/protocol";
import { project } from "./disk.ts";
import { builtin, cronPeriods } from "./reference.ts";
import { scripts } from "./scripts.ts";
import { isExpected, type Server } from "./server.ts";
import type { Simulation } from "./simulation.ts";
import { judgeState } from "./state-judge.ts";

export const paths = ["/a", "/a/child", "/b", "/shared"];

export interface Action {
  name: string;
  weight: number;
  run(simulation: Simulation, server: Server, path: string): void;
}

export const actions: readonly Action[] = [
  { name: "ping", weight: 20, run: (s, server, path) => append(s, server, path, [event(s, "ping")]) },
  {
    name: "batch",
    weight: 5,
    run(s, server, path) {
      const types = ["ping", "noise", "poison", "jam", "stop", "noise", "noise"];
      const batch = Array.from({ length: 2 + s.random.integer(5) }, () => event(s, s.random.pick(types)));
      append(s, server, path, batch);
    },
  },
  {
    name: "bulk",
    weight: 0.2,
    run: (s, server, path) =>
      append(
        s,
        server,
        path,
        Array.from({ length: 100 + s.random.integer(500) }, () => event(s, "noise")),
      ),
  },
  { name: "odd event", weight: 2, run: (s, server, path) => append(s, server, path, [event(s, s.random.pick(odd))]) },
  { name: "stop", weight: 2, run: stopWork },
  { name: "keyed", weight: 6, run: keyed },
  { name: "pause", weight: 2, run: (s, server, path) => append(s, server, path, [{ type: builtin("paused") }]) },
  { name: "pause work", weight: 4, run: pauseWork },
  { name: "resume", weight: 5, run: (s, server, path) => append(s, server, path, [{ type: builtin("resumed") }]) },
  { name: "delete", weight: 0.7, run: remove },
  { name: "configure", weight: 8, run: configure },
  {
    name: "remove processor",
    weight: 1.5,
    run: (s, server, path) => fact(s, server, path, "dynamic-worker/removed", { slug: slugOf(s) }),
  },
  { name: "resume processor", weight: 3, run: resume },
  { name: "schedule", weight: 4, run: schedule },
  {
    name: "cancel",
    weight: 2,
    run: (s, server, path) => fact(s, server, path, "schedule-cancelled", { slug: scheduleOf(s) }),
  },
  { name: "state", weight: 4, run: (s, server, path) => void judgeState(s, server, path) },
  {
    name: "end sandbox",
    weight: 2,
    run(s, server) {
      if (!s.profile.sandboxed) return;
      s.say(`the sandbox of ${server.name} ends`);
      server.endSandbox();
    },
  },
  { name: "stop server", weight: 1, run: (s, server) => stopServer(s, server) },
];

const odd = ["noise", "poison", "jam", "noise"];
const slugOf = ({ random }: Simulation) => random.pick(Object.keys(scripts));
const scheduleOf = ({ random }: Simulation) => random.pick(["beat", "tock", "later"]);

export function event(simulation: Simulation, type: string): EventInput {
  return { type, payload: { id: `client|${++simulation.counter}` } };
}

export function fact(s: Simulation, server: Server, path: string, name: string, payload: JsonObject): void {
  append(s, server, path, [{ type: builtin(name), payload }]);
}

/** Sends it, and remembers what was acknowledged. */
export function append(simulation: Simulation, server: Server, path: string, events: EventInput[], key?: string): void {
  const inputs: AppendInput[] = events.map((event) =>
    key === undefined ? { event } : { event: { ...event, idempotencyKey: key }, idempotencyKey: key },
  );
  const types = events.length > 8 ? `${events.length} events` : events.map(({ type }) => type.split("/").at(-1));
  simulation.say(`${server.name} is sent ${types} for ${path}${key === undefined ? "" : ` with ${key}`}`);
  refusalsOnly(simulation, async () => {
    const appended = await server.engine.append(project, path, inputs, { bytes: 100 * inputs.length });
    // The answer may have been long on its way; the disk may have moved on.
    const stream = simulation.disk.streams.get(path);
    for (const [i, { offset }] of appended.entries()) {
      const { id } = (events[i]?.payload ?? {}) as { id?: string };
      if (id === undefined || stream === undefined || offset < stream.birthOffset) continue;
      simulation.observer.acknowledged.push({ path, offset, id, streamId: stream.streamId });
    }
  });
}

/** Runs it, and takes every rejection that is not a StreamError for a fault. */
function refusalsOnly(simulation: Simulation, run: () => Promise<unknown>): void {
  const refused = (error: unknown) => {
    if (!isExpected(error)) simulation.wrong(`a request failed: ${(error as Error).stack ?? error}`);
  };
  run().catch(refused);
}

function keyed(simulation: Simulation, server: Server, path: string): void {
  const key = `key-${simulation.random.integer(20)}`;
  const input = { type: "ping", payload: { id: `keyed|${path}|${key}` } };
  append(simulation, server, path, [input], key);
}

function stopWork(simulation: Simulation, server: Server, path: string): void {
  const open = [...simulation.observer.works.values()].filter((work) => work.path === path && !work.ended);
  if (open.length === 0) return;
  const { name } = simulation.random.pick(open);
  append(simulation, server, path, [{ type: "stop", payload: { id: `client|${++simulation.counter}`, name } }]);
}

/** Where some is open, which chance alone would seldom meet; and often for a moment only. */
function pauseWork(simulation: Simulation, server: Server): void {
  const { random, observer } = simulation;
  const open = [...observer.works.values()].filter(({ began, cut, ended }) => began > 0 && !cut && !ended);
  if (open.length === 0) return;
  const { path } = random.pick(open);
  append(simulation, server, path, [{ type: builtin("paused") }]);
  if (random.integer(2) === 0) append(simulation, server, path, [{ type: builtin("resumed") }]);
}

function remove(simulation: Simulation, server: Server, path: string): void {
  simulation.say(`${server.name} is to delete ${path}`);
  const children = simulation.random.integer(3) === 0;
  refusalsOnly(simulation, () => server.engine.delete(project, path, { children }));
}

function configure(simulation: Simulation, server: Server, path: string): void {
  const { random } = simulation;
  const slug = slugOf(simulation);
  const startFrom = random.pick([undefined, undefined, "start", "end", 1 + random.integer(20)] as const);
  const script = `${slug} ${++simulation.counter}`;
  const payload: JsonObject = startFrom === undefined ? { slug, script } : { slug, script, startFrom };
  fact(simulation, server, path, "dynamic-worker/configured", payload);
}

function resume(simulation: Simulation, server: Server, path: string): void {
  const { random } = simulation;
  const from = random.pick(["cursor", "cursor", "head", 1 + random.integer(20)] as const);
  fact(simulation, server, path, "dynamic-worker/resumed", { slug: slugOf(simulation), from });
}

function schedule(simulation: Simulation, server: Server, path: string): void {
  const { random, now } = simulation;
  const times = random.pick<JsonObject>([
    { kind: "every", intervalSeconds: random.pick([1, 5, 7, 30, 3_600]) },
    { kind: "cron", cron: random.pick(Object.keys(cronPeriods)) },
    { kind: "once-in", delaySeconds: random.pick([0, 1, 15, 3_600]) },
    { kind: "once-at", at: new Date(now + random.integer(60_000) - 20_000).toISOString() },
  ]);
  const missed = random.pick(["fire-once", "skip"]);
  const appended = { type: random.pick(["ping", "tick"]) };
  fact(simulation, server, path, "append-scheduled", {
    slug: scheduleOf(simulation),
    append: appended,
    schedule: times,
    missed,
  });
}

export function stopServer(simulation: Simulation, server: Server): void {
  simulation.say(`${server.name} is to stop`);
  server.stopping = true;
  const gone = () => {
    if (server.gone) return;
    simulation.say(`${server.name} has stopped`);
    server.gone = true;
    server.stopped = true;
    simulation.servers = simulation.servers.filter((other) => other !== server);
  };
  server.engine.close().then(gone, (error) => {
    if (!isExpected(error)) simulation.wrong(`${server.name} could not stop: ${error}`);
    gone();
  });
}
