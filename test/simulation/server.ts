/**
 * One simulated server: an engine over the disk, of which every operation waits until the simulation lets it happen.
 * A crash abandons it: nothing of it is answered, no timer fires, no gate opens any more.
 */
import { createEngine, type Engine, HeadConflict, processorKind } from "@millrace/engine";
import { isStreamError } from "@millrace/protocol";
import {
  createManualClock,
  createSeededRandom,
  type InterceptedCall,
  interceptDirectory,
  type ManualClock,
} from "@millrace/testing";
import type { Disk } from "./disk.ts";
import type { Observer } from "./observer.ts";
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
}

export interface ServerNeeds {
  name: string;
  disk: Disk;
  observer: Observer;
  now: number;
  seed: number;
  openStreams: number;
  wrong(message: string): void;
}

export class DiskFault extends Error {
  override readonly name = "DiskFault";
}

export function startServer({ name, disk, observer, now, seed, openStreams, wrong }: ServerNeeds): Server {
  const clock = createManualClock(now);

  function ask({ operation, path, arguments: args }: InterceptedCall, proceed: () => Promise<unknown>) {
    return new Promise((answer, refuse) => {
      const happen = () => happens(disk, operation, path, args, proceed);
      server.operations.push({ server, name: operation, path, happen, answer, refuse });
    });
  }

  function gate(what: string): Promise<void> {
    return new Promise((open, reject) => {
      server.gates.push({ server, what, open, fail: () => reject(new Error(`${what} fails`)) });
    });
  }

  // Code comes from the events, as anywhere; only the seat with its epoch is the simulation's own.
  const kind = processorKind(async () => {
    throw new Error("not loaded in this way");
  });
  const load: typeof kind.load = async ({ slug, epoch, configuredAt }, place) => {
    const payload = (await place.eventAt(configuredAt))?.payload as { script?: string } | undefined;
    if (!payload?.script?.startsWith(slug)) throw new Error(`${place.path}|${configuredAt} holds no code of ${slug}`);
    return processorOf(observer.seat({ path: place.path, slug, epoch, configuredAt }, gate));
  };

  const server: Server = {
    name,
    clock,
    operations: [],
    gates: [],
    stopping: false,
    gone: false,
    get engine() {
      return engine;
    },
  };
  // It asks its directory as soon as it is made, so the server has to be there before.
  const engine: Engine = createEngine({
    directory: interceptDirectory(disk.directory, ask),
    clock,
    random: createSeededRandom(seed),
    limits: { openStreams },
    consumers: [{ ...kind, load }],
    onFailure: (error) => {
      if (!isExpected(error)) wrong(`${name} failed: ${(error as Error).stack ?? error}`);
    },
  });
  return server;
}

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
