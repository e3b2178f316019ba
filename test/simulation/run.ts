/** One run: a seed in, a trace and what was wrong out. */
import { paths, actions as streamActions } from "./actions.ts";
import { pushActions } from "./push-actions.ts";
import { rest } from "./rest.ts";
import { createSimulation, type Simulation } from "./simulation.ts";

export interface Run {
  seed: number;
  trace: readonly string[];
  /** What was wrong; undefined when nothing was. */
  fault?: string;
  commits: number;
  calls: number;
  arrivals: number;
  frames: number;
}

export async function simulate(seed: number, steps: number): Promise<Run> {
  const simulation = createSimulation(seed);
  const { trace, disk, observer } = simulation;
  let fault: { fault: string } | undefined;
  try {
    for (let step = 0; step < steps; step++) {
      await advance(simulation);
      await simulation.settle();
    }
    await rest(simulation);
  } catch (error) {
    fault = { fault: (error as Error).message || String(error) };
    if (!(error instanceof Error) || error.stack?.includes("TypeError"))
      fault = { fault: (error as Error).stack ?? "" };
  }
  const { arrivals, frames } = simulation.network;
  return { seed, trace, commits: disk.commits, calls: observer.calls, arrivals, frames, ...fault };
}

const mayFail: ReadonlySet<string> = new Set(["flaky", "evaluation"]);
const actions = [...streamActions, ...pushActions];

/** Lets one thing happen. */
async function advance(simulation: Simulation): Promise<void> {
  const { random, profile } = simulation;
  const servers = simulation.servers.filter(({ stopping }) => !stopping);
  // One server means that the next one waits until the last has stopped.
  const room = simulation.servers.length < profile.servers;
  if (room && (servers.length === 0 || random.integer(40) === 0)) {
    simulation.start();
    return;
  }
  const operations = simulation.servers.flatMap((server) => server.operations);
  if (operations.length > 0 && random.fraction() < 0.65) return operate(simulation);
  const gates = simulation.servers.flatMap((server) => server.gates);
  if (gates.length > 0 && random.integer(5) === 0) {
    const gate = random.pick(gates);
    return simulation.open(gate, mayFail.has(gate.what) && random.integer(3) === 0);
  }
  const packets = simulation.arriving();
  if (packets.length > 0 && random.integer(2) === 0) {
    return simulation.arrive(random.pick(packets), random.fraction() < profile.losses);
  }
  if (servers.length === 0 || random.integer(3) === 0) return passTime(simulation);
  const server = random.pick(servers);
  if (random.fraction() < profile.crashes) return simulation.crash(server);
  pickAction(simulation).run(simulation, server, random.pick(paths));
}

async function operate(simulation: Simulation): Promise<void> {
  const { random, profile } = simulation;
  const operation = random.pick(simulation.servers.flatMap((server) => server.operations));
  const roll = random.fraction();
  const { crashes, faults } = profile;
  if (roll < crashes) return simulation.misbehave(operation, random.pick(["dies before", "dies behind"]));
  if (roll < crashes + faults)
    return simulation.misbehave(operation, random.pick(["fails", "fails after it happened"]));
  await simulation.happen(operation);
}

function passTime(simulation: Simulation): void {
  const { random, profile } = simulation;
  if (profile.jumps && simulation.servers.length > 0 && random.integer(25) === 0) {
    const server = random.pick(simulation.servers);
    const milliseconds = (random.integer(2) === 0 ? -1 : 1) * random.pick([500, 20_000, 600_000]);
    simulation.say(`${server.name}: its clock jumps ${milliseconds} ms`);
    server.clock.jump(milliseconds);
    return;
  }
  const milliseconds = random.pick([1, 10, 200, 1_000, 1_000, 2_500, 10_000, 61_000, nextTimer(simulation)]);
  const passed = random.integer(100) === 0 ? 1_000_000 : milliseconds;
  simulation.say(`${passed} ms pass`);
  simulation.pass(passed);
}

function nextTimer({ servers }: Simulation): number {
  const timers = servers.map(({ clock }) => clock.nextTimerInMs() ?? 1_000);
  return timers.length === 0 ? 1_000 : Math.max(Math.ceil(Math.min(...timers)), 1);
}

const weights = actions.reduce((sum, { weight }) => sum + weight, 0);

function pickAction({ random }: Simulation) {
  let roll = random.fraction() * weights;
  for (const action of actions) {
    roll -= action.weight;
    if (roll < 0) return action;
  }
  return actions[0] as (typeof actions)[number];
}
