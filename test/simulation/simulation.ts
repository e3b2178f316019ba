/**
 * The simulation: one disk, some servers, clients, a clock and chance, all from one seed. A step lets one thing happen
 * (an operation of a server, a gate, an action, time), drains what follows from it without time, and judges the disk.
 */
import { setImmediate } from "node:timers/promises";
import { createSeededRandom, manualClockStart, type SeededRandom } from "@millrace/testing";
import { createDeliveries, type Deliveries } from "./deliveries.ts";
import { createDisk, type Disk } from "./disk.ts";
import { faultsOf, type Judged } from "./invariants.ts";
import { createNetwork, type Network, type Packet } from "./network.ts";
import { createObserver, type Observer } from "./observer.ts";
import { DiskFault, type Gate, type Operation, type Server, startServer } from "./server.ts";

/** How rough this seed is. */
export interface Profile {
  faults: number;
  crashes: number;
  servers: number;
  openStreams: number;
  jumps: boolean;
  /** Of packets. */
  losses: number;
  /** Deployed processors run in a sandbox that ends now and then. */
  sandboxed: boolean;
}

export type Outcome = "fails" | "fails after it happened" | "dies before" | "dies behind";

export interface Simulation {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly profile: Profile;
  readonly disk: Disk;
  readonly observer: Observer;
  readonly network: Network;
  readonly deliveries: Deliveries;
  readonly trace: string[];
  servers: Server[];
  /** Of the world; each server's clock may differ. */
  now: number;
  /** Numbers for ids. */
  counter: number;
  say(line: string): void;
  wrong(message: string): void;
  start(): Server;
  crash(server: Server): void;
  pass(milliseconds: number): void;
  happen(operation: Operation): Promise<void>;
  misbehave(operation: Operation, outcome: Outcome): Promise<void>;
  open(gate: Gate, fails: boolean): void;
  /** A packet arrives, or gets lost. */
  arrive(packet: Packet, lost: boolean): void;
  /** Packets that may arrive now. */
  arriving(): Packet[];
  settle(): Promise<void>;
}

export function createSimulation(seed: number): Simulation {
  const random = createSeededRandom(seed);
  const profile = profileOf(random);
  const trace: string[] = [];
  const disk = createDisk();
  const judged: Judged = new Map();
  const faults: string[] = [];
  const wrong = (message: string) => {
    faults.push(message);
  };
  const observer = createObserver(disk, profile.servers === 1, wrong);
  const alone = profile.servers === 1;
  const deliveries = createDeliveries(disk, { alone, strict: alone && profile.faults === 0 }, wrong);
  const network = createNetwork({ random, deliveries, now: () => simulation.now });
  let started = 0;

  async function applied(operation: Operation): Promise<{ value?: unknown; error?: Error }> {
    remove(operation.server.operations, operation);
    const { commits } = disk;
    try {
      return { value: await operation.happen() };
    } catch (error) {
      // A conflict is an answer. What the mirror of the disk complains about is not.
      if (disk.commits === commits) return { error: error as Error };
      wrong((error as Error).message);
      return {};
    }
  }

  const simulation: Simulation = {
    seed,
    random,
    profile,
    disk,
    observer,
    network,
    deliveries,
    trace,
    servers: [],
    now: manualClockStart,
    counter: 0,
    say: (line) => trace.push(line),
    wrong,

    start() {
      const name = `server ${++started}`;
      const skew = profile.jumps && random.integer(4) === 0 ? (random.integer(3) - 1) * random.integer(30_000) : 0;
      const needs = { name, disk, network, observer, now: simulation.now + skew, seed: random.integer(2 ** 31), wrong };
      const server = startServer({ ...needs, openStreams: profile.openStreams, sandboxed: profile.sandboxed });
      simulation.servers.push(server);
      simulation.say(`${name} starts${skew === 0 ? "" : `, its clock ${skew} ms off`}`);
      return server;
    },

    crash(server) {
      simulation.say(
        `${server.name} crashes with ${server.operations.map(({ name }) => name).join(", ") || "nothing"}`,
      );
      server.gone = true;
      server.operations = [];
      server.gates = [];
      remove(simulation.servers, server);
    },

    pass(milliseconds) {
      simulation.now += milliseconds;
      for (const { clock } of simulation.servers) clock.advance(milliseconds);
    },

    async happen(operation) {
      const { value, error } = await applied(operation);
      simulation.say(`${operation.server.name} ${described(operation)}${error === undefined ? "" : `: ${error.name}`}`);
      if (error === undefined) operation.answer(value);
      else operation.refuse(error);
    },

    async misbehave(operation, outcome) {
      simulation.say(`${operation.server.name} ${described(operation)} ${outcome}`);
      if (outcome === "dies before") return simulation.crash(operation.server);
      if (outcome === "fails") remove(operation.server.operations, operation);
      else await applied(operation);
      if (outcome === "dies behind") simulation.crash(operation.server);
      else operation.refuse(new DiskFault(`${operation.name} ${outcome}`));
    },

    open(gate, fails) {
      remove(gate.server.gates, gate);
      simulation.say(`${gate.server.name} gate ${gate.what} ${fails ? "fails" : "opens"}`);
      if (fails) gate.fail();
      else gate.open();
    },

    arrive(packet, lost) {
      remove(network.packets, packet);
      simulation.say(
        `${packet.what} ${lost ? "gets lost" : "arrives"}${packet.server.gone ? ", its sender gone" : ""}`,
      );
      if (lost) packet.lose();
      else packet.arrive();
    },

    arriving: () => network.packets.filter(({ notBefore }) => notBefore <= simulation.now),

    async settle() {
      await setImmediate();
      for (const stream of disk.streams.values()) {
        for (const fault of faultsOf(stream, observer, deliveries, judged)) wrong(fault);
      }
      if (faults.length > 0) throw new Error(faults.join("\n"));
    },
  };
  return simulation;
}

function profileOf(random: SeededRandom): Profile {
  return {
    faults: random.pick([0, 0, 0.01, 0.05]),
    crashes: random.pick([0, 0.003, 0.01, 0.03]),
    servers: random.pick([1, 1, 2]),
    openStreams: random.pick([10_000, 10_000, 2]),
    jumps: random.integer(2) === 0,
    losses: random.pick([0, 0.05, 0.2]),
    sandboxed: random.integer(2) === 0,
  };
}

function described({ name, path }: Operation): string {
  return path === undefined ? name : `${name} ${path}`;
}

function remove<Item>(list: Item[], item: Item): void {
  const index = list.indexOf(item);
  if (index >= 0) list.splice(index, 1);
}
