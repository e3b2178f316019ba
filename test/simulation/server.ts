/**
 * One simulated server: an engine over the disk, of which every operation waits until the simulation lets it happen.
 * A crash abandons it: nothing of it is answered, no timer fires, no gate opens any more.
 */
import { createEngine, type Engine, HeadConflict, processorKind, type Sandbox, type Secrets } from "@millrace/engine";
import { isStreamError } from "@millrace/protocol";
import {
  createInProcessSandbox,
  createManualClock,
  createSeededRandom,
  type InterceptedCall,
  interceptDirectory,
  type ManualClock,
} from "@millrace/testing";
import type { Disk } from "./disk.ts";
import type { Network } from "./network.ts";
import type { Observer } from "./observer.ts";
import { createRules } from "./rules.ts";
import { processorOf } from "./scripts.ts";

export interface Operation {
  server: Server;
  name: string;
  path: string | undefined;
  /** Does it to the disk. */
  happen(): Promise<unknown>;
  answer(value: unknown): void;
  refuse(error: Error): void;
}

export interface Gate {
  server: Server;
  what: string;
  /** Of code that is gone when its sandbox ends. */
  inSandbox: boolean;
  open(): void;
  fail(): void;
}

export interface Server {
  readonly name: string;
  readonly engine: Engine;
  readonly clock: ManualClock;
  operations: Operation[];
  gates: Gate[];
  /** It takes no requests any more, and ends when it is done. */
  stopping: boolean;
  gone: boolean;
  /** It came to an orderly end: nothing comes from it any more. */
  stopped: boolean;
  /** What runs in its sandbox is interrupted, and all states there are gone. */
  endSandbox(): void;
}

export interface ServerNeeds {
  name: string;
  disk: Disk;
  network: Network;
  observer: Observer;
  now: number;
  seed: number;
  openStreams: number;
  /** Deployed processors run in a sandbox, not in the server. */
  sandboxed: boolean;
  wrong(message: string): void;
}

export class DiskFault extends Error {
  override readonly name = "DiskFault";
}

export function startServer(needs: ServerNeeds): Server {
  const { name, disk, network, observer, now, seed, openStreams, sandboxed, wrong } = needs;
  const clock = createManualClock(now);
  const random = createSeededRandom(seed);

  function ask({ operation, path, arguments: args }: InterceptedCall, proceed: () => Promise<unknown>) {
    if (server.stopped) wrong(`${name} has stopped, and asks for ${operation} ${path}`);
    return new Promise((answer, refuse) => {
      const happen = () => happens(disk, operation, path, args, proceed);
      server.operations.push({ server, name: operation, path, happen, answer, refuse });
    });
  }

  function gateOf(inSandbox: boolean) {
    return (what: string): Promise<void> =>
      new Promise((open, reject) => {
        server.gates.push({ server, what, inSandbox, open, fail: () => reject(new Error(`${what} fails`)) });
      });
  }

  const chance = createSeededRandom(seed + 1);
  // Code comes from the events, as anywhere; only the seat with its epoch is the simulation's own.
  const kind = processorKind(async () => {
    throw new Error("not loaded in this way");
  });
  /** Code takes its time now and then, while anything may happen to its stream. */
  const untilLoaded = () => (chance.integer(4) === 0 ? gateOf(false)("load") : undefined);
  const load: typeof kind.load = async ({ slug, epoch, configuredAt }, place, _cursor, left) => {
    await unlessLeft(untilLoaded(), left);
    const payload = (await place.eventAt(configuredAt))?.payload as { script?: string } | undefined;
    if (!payload?.script?.startsWith(slug)) throw new Error(`${place.path}|${configuredAt} holds no code of ${slug}`);
    return processorOf(observer.seat({ path: place.path, slug, epoch, configuredAt }, gateOf(false)));
  };
  const inside = createInProcessSandbox({
    statesMax: 2,
    exportsOf: (_, place) => ({ default: processorOf(observer.seat(place, gateOf(true))) }),
  });
  const sandbox: Sandbox = {
    ...inside,
    async load(...code) {
      await untilLoaded();
      return inside.load(...code);
    },
  };

  const server: Server = {
    name,
    clock,
    operations: [],
    gates: [],
    stopping: false,
    gone: false,
    stopped: false,
    endSandbox() {
      inside.crash();
      server.gates = server.gates.filter(({ inSandbox }) => !inSandbox);
    },
    get engine() {
      return engine;
    },
  };
  // It asks its directory as soon as it is made, so the server has to be there before.
  const engine: Engine = createEngine({
    directory: interceptDirectory(disk.directory, ask),
    clock,
    random,
    expressions: createRules(() => (chance.integer(6) === 0 ? gateOf(false)("evaluation") : undefined)),
    outbound: network.wayOut(server),
    secrets,
    limits: { openStreams },
    ...(sandboxed ? { sandbox } : { consumers: [{ ...kind, load }] }),
    onFailure: (error) => {
      if (!isExpected(error)) wrong(`${name} failed: ${(error as Error).stack ?? error}`);
    },
  });
  return server;
}

async function unlessLeft(loading: Promise<void> | undefined, left: AbortSignal | undefined): Promise<void> {
  if (loading === undefined) return;
  const leaving = new Promise<never>((_, reject) => {
    left?.addEventListener("abort", () => reject(new Error("Nobody waits for it any more.")));
  });
  await Promise.race([loading, leaving]);
}

/** There are none but those that are made. */
const secrets: Secrets = {
  set: () => Promise.reject(new Error("nobody sets a secret here")),
  list: async () => [],
  remove: async () => false,
  reveal: () => Promise.reject(new Error("nobody refers to a secret here")),
  derive: async (purpose) => new TextEncoder().encode(purpose.join("/").padEnd(32).slice(-32)),
};

async function happens(
  disk: Disk,
  operation: string,
  path: string | undefined,
  args: readonly unknown[],
  proceed: () => Promise<unknown>,
): Promise<unknown> {
  const value = await proceed();
  if (path !== undefined && operation === "append") await disk.look(path, (args[0] as { at: number }).at);
  if (path !== undefined && operation === "remove") await disk.look(path, undefined);
  return value;
}

/** What disks, other servers and stopped streams do; anything else is a fault of the engine. */
export function isExpected(error: unknown): boolean {
  // Deleted by another server between two reads: it is loaded again.
  const torn = error instanceof Error && error.message.endsWith("before its head");
  return torn || error instanceof DiskFault || error instanceof HeadConflict || isStreamError(error);
}
