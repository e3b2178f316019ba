/**
 * Starts sandbox processes: as many as there may be, each in a directory of its own, shut in by what this machine offers.
 */
import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSandboxError, SandboxError, type SandboxIsolation } from "@millrace/engine";
import { deployedMemoryMbMax, deployedMemoryMbMin } from "@millrace/protocol";
import type { BurningLimits } from "./burning.ts";
import type { RunningCall } from "./delivery.ts";
import { findIsolation, type Isolation } from "./isolation.ts";
import { createPlaces, type ProcessesMax } from "./places.ts";
import { removeDirectory } from "./process-directory.ts";
import { workerModules } from "./worker-modules.ts";
import { workerdBinary, workerdBinaryIfThere } from "./workerd-binary.ts";
import { WorkerdProcess } from "./workerd-process.ts";

/** Who asks for something that leaves, as far as that is known. */
export interface Attribution {
  /** Of the isolate that asks: no other's. */
  callOf(isolate: string, delivery: number): RunningCall | undefined;
  /** What the configuration of an isolate's code gives all its requests. */
  fixedHeader(isolate: string): readonly [name: string, value: string] | undefined;
}

export interface StarterOptions {
  /** Listens on a unix socket for whatever leaves the processes of a project. */
  listen(project: string, socketPath: string, attribution: Attribution): Promise<{ close(): Promise<void> }>;
  isolation?: () => Promise<Isolation>;
  processesMax?: ProcessesMax;
  onFault(error: Error): void;
}

export interface StarterNeeds extends StarterOptions {
  burning: BurningLimits;
  /** @throws SandboxError "unavailable" when the server is closing */
  expectOpen(): void;
  fixedHeader: Attribution["fixedHeader"];
}

export interface ProcessStarter {
  /** Rejects with SandboxError "unavailable". */
  start(project: string, attribution: Pick<Attribution, "callOf">, memoryMb?: number): Promise<WorkerdProcess>;
  /** How many more processes this project may have now. */
  placesLeft(project: string): number;
  /** For people: how processes are shut in. */
  isolation(): Promise<SandboxIsolation>;
  /** Once none runs any more: nothing of them is left. */
  clear(): void;
}

/** Each takes 100 MB and more, and may take 2 GiB. With 150 isolates in each, what is busy at once is rarely so much. */
const processesMaxDefault: ProcessesMax = { ofProject: 16, all: 64 };
/** A process that did not start within this time is not started again. */
const bootAgainMs = 2_000;

export function createProcessStarter(needs: StarterNeeds): ProcessStarter {
  const { burning, expectOpen, fixedHeader, listen, onFault } = needs;
  const places = createPlaces(needs.processesMax ?? processesMaxDefault);
  let directory: string | undefined;
  let started = 0;
  let looking: Promise<Isolation> | undefined;

  /** Whoever asks first has it looked at, and where that cannot be, whoever asks next. */
  function look(): Promise<Isolation> {
    looking ??= (needs.isolation?.() ?? findIsolation(workerdBinaryIfThere())).catch((error) => {
      looking = undefined;
      throw error;
    });
    return looking;
  }

  async function start(
    project: string,
    attribution: Pick<Attribution, "callOf">,
    memoryMb?: number,
  ): Promise<WorkerdProcess> {
    expectOpen();
    const release = places.take(project);
    try {
      const process = await startOne(project, attribution, memoryMb);
      void process.ended.then(release);
      return process;
    } catch (error) {
      release();
      if (isSandboxError(error)) throw error;
      // Such as a disk that is full: no fault of the code, which anything else would be taken for.
      onFault(error as Error);
      throw new SandboxError("unavailable", (error as Error).message);
    }
  }

  async function startOne(
    project: string,
    attribution: Pick<Attribution, "callOf">,
    memoryMb: number | undefined,
  ): Promise<WorkerdProcess> {
    const binary = workerdBinary();
    directory ??= makeDirectory();
    const within = directory;
    const [modules, walls] = await Promise.all([workerModules(), look()]);
    expectOpen();
    const one = () => ({
      binary,
      isolation: walls,
      directory: join(within, String(++started)),
      number: started,
      modules,
      burning,
      ...(memoryMb === undefined ? {} : { memoryMb: withinBounds(memoryMb) }),
      listen: (socketPath: string) =>
        listen(project, socketPath, {
          callOf: (isolate, delivery) => attribution.callOf(isolate, delivery),
          fixedHeader,
        }),
    });
    return await startedOrAgain(() => WorkerdProcess.start(one()), expectOpen);
  }

  return {
    start,
    placesLeft: places.left,
    isolation: () => look().catch(unknownFor),
    clear() {
      if (directory !== undefined) removeDirectory(directory);
    },
  };
}

function unknownFor({ message }: Error): SandboxIsolation {
  const missing = [`what this machine offers (${message}): it is looked at again, and no code runs before`];
  return { description: "not known yet", missing };
}

/** Somebody else may have ended it while it booted. What is wrong with it is wrong again, and takes its time. */
async function startedOrAgain(start: () => Promise<WorkerdProcess>, expectOpen: () => void): Promise<WorkerdProcess> {
  const began = performance.now();
  try {
    return await start();
  } catch (error) {
    if (performance.now() - began > bootAgainMs) throw error;
    expectOpen();
    return start();
  }
}

/** What is stored may be from a server that took any number. */
function withinBounds(memoryMb: number): number {
  return Math.round(Math.min(Math.max(memoryMb, deployedMemoryMbMin), deployedMemoryMbMax));
}

/** Another user goes through it to a directory of its own, and sees nothing else. */
function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "millrace-"));
  chmodSync(directory, 0o711);
  return directory;
}
