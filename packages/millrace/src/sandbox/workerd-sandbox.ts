/**
 * The sandbox of a server: workerd processes, each for one project, with one isolate for everything that is the same
 * code. Nothing in them is needed: what vanishes is loaded again, and its states are made again from the log.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CodeError,
  type Sandbox,
  type SandboxCalls,
  type SandboxCode,
  type SandboxDelivery,
  type SandboxDescription,
  SandboxError,
  type SandboxedProcessor,
  type SandboxPlace,
  type SandboxResult,
} from "@millrace/engine";
import { deployedMemoryMbMax, deployedMemoryMbMin } from "@millrace/protocol";
import { type BurningLimits, burningDefaults } from "./burning.ts";
import type { RunningCall } from "./delivery.ts";
import { identityOf } from "./identity.ts";
import type { Tenant } from "./isolate.ts";
import { findIsolation, type Isolation } from "./isolation.ts";
import type { LoadMessage } from "./messages.ts";
import { createPlaces, type ProcessesMax } from "./places.ts";
import { ProjectHouse } from "./project-house.ts";
import type { LoadedIsolate } from "./project-processes.ts";
import { convictionOf, isSuspect } from "./quarantine.ts";
import { warmUpSoon } from "./warm-up.ts";
import { workerModules } from "./worker-modules.ts";
import { defaultCompatibilityDate, workerdBinary, workerdBinaryIfThere } from "./workerd-binary.ts";
import { WorkerdProcess } from "./workerd-process.ts";

export interface Compiled {
  script: string;
  /** The same error with the author's own lines. */
  locate(error: CodeError): CodeError;
}

/** Who asks for something that leaves, as far as that is known. */
export interface Attribution {
  /** Of the isolate that asks: no other's. */
  callOf(isolate: string, delivery: number): RunningCall | undefined;
  /** What the configuration of an isolate's code gives all its requests. */
  fixedHeader(isolate: string): readonly [name: string, value: string] | undefined;
}

export interface WorkerdSandboxOptions {
  /** Rejects with SandboxError "code". */
  compile(code: SandboxCode): Promise<Compiled>;
  /** Listens on a unix socket for whatever leaves the processes of a project. */
  listen(project: string, socketPath: string, attribution: Attribution): Promise<{ close(): Promise<void> }>;
  isolation?: () => Promise<Isolation>;
  isolatesMax?: number;
  loadsMax?: number;
  processesMax?: ProcessesMax;
  /** Processes of code that says how much memory it may have, for each project. */
  ownMax?: number;
  /** When a process takes a core for too long, though it gives way. */
  burning?: Partial<BurningLimits>;
  /** How often what is not used is looked for. */
  sweepMs?: number;
  onFault(error: Error): void;
}

export interface WorkerdSandbox extends Sandbox {
  /** For people: how processes are shut in. */
  isolation(): Promise<Isolation>;
  /** Ids of the processes that run now. */
  readonly pids: readonly number[];
}

const isolatesMaxDefault = 150;
const loadsMaxDefault = 2_000;
/** Each takes 100 MB and more, and may take 2 GiB. With 150 isolates in each, what is busy at once is rarely so much. */
const processesMaxDefault: ProcessesMax = { ofProject: 16, all: 64 };
const ownMaxDefault = 8;
const reloadsMax = 5;
/** More than can run at the same time. */
const fixedHeadersMax = 10_000;
/** Of one project: of so many it is known that they heard of their conviction. */
const toldMax = 1_000;
const sweepMsDefault = 10_000;
/** A process that did not start within this time is not started again. */
const bootAgainMs = 2_000;

export function createWorkerdSandbox(options: WorkerdSandboxOptions): WorkerdSandbox {
  const projects = new Map<string, ProjectHouse>();
  const stayCold = warmUpSoon();
  let directory: string | undefined;
  let started = 0;
  let ids = 0;
  let isClosed = false;
  const nextId = () => ++ids;
  const places = createPlaces(options.processesMax ?? processesMaxDefault);
  const burning = { ...burningDefaults, ...options.burning };
  let looking: Promise<Isolation> | undefined;
  /** By isolate, those used last: what their requests carry. */
  const fixedHeaders = new Map<string, readonly [name: string, value: string]>();

  function expectOpen(): void {
    if (isClosed) throw new SandboxError("unavailable", "The server is closing.");
  }

  /** Whoever asks first has it looked at. */
  function isolation(): Promise<Isolation> {
    looking ??= options.isolation?.() ?? findIsolation(workerdBinaryIfThere());
    return looking;
  }

  /** Whatever the end of the server does to a compiler is no fault of the code. */
  async function compile(code: SandboxCode): Promise<Compiled> {
    expectOpen();
    try {
      return await options.compile(code);
    } finally {
      expectOpen();
    }
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
      throw error;
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
    const [modules, walls] = await Promise.all([workerModules(), isolation()]);
    const needs = () => ({
      binary,
      isolation: walls,
      directory: join(within, String(++started)),
      number: started,
      modules,
      burning,
      ...(memoryMb === undefined ? {} : { memoryMb: withinBounds(memoryMb) }),
      listen: (socketPath: string) =>
        options.listen(project, socketPath, {
          callOf: (isolate, delivery) => attribution.callOf(isolate, delivery),
          fixedHeader: (isolate) => fixedHeaders.get(isolate),
        }),
    });
    try {
      return await startedOrAgain(() => WorkerdProcess.start(needs()));
    } catch (error) {
      options.onFault(error as Error);
      throw new SandboxError("unavailable", (error as Error).message);
    }
  }

  function houseOf(project: string): ProjectHouse {
    const known = projects.get(project);
    if (known !== undefined) return known;
    const { isolatesMax = isolatesMaxDefault, loadsMax = loadsMaxDefault, ownMax = ownMaxDefault } = options;
    const house = new ProjectHouse({
      start: (attribution, memoryMb) => start(project, attribution, memoryMb),
      ended({ death, said }) {
        if (death === "stopped") return;
        options.onFault(new Error(`A sandbox process of ${project} ended (${death}). ${said}`));
      },
      ...{ nextId, burning, isolatesMax, loadsMax, ownMax },
    });
    projects.set(project, house);
    return house;
  }

  const sweeping = setInterval(() => {
    const now = performance.now();
    for (const house of projects.values()) house.sweep(now);
  }, options.sweepMs ?? sweepMsDefault);
  sweeping.unref();

  async function load(code: SandboxCode, place: SandboxPlace): Promise<SandboxedProcessor> {
    const house = houseOf(code.project);
    const memoryMb = code.limits?.memoryMb;
    // It boots while the code is compiled, where it does not yet.
    house.prepare(memoryMb);
    const [{ script, locate }, { harness }] = await Promise.all([compile(code), workerModules()]);
    const identity = identityOf(code);
    const { path, slug, configuredAt } = place;
    // Paths and slugs are other people's words: nobody is to be convicted in the name of another.
    const suspect = JSON.stringify([code.project, path, slug, configuredAt]);
    const tenant: Tenant = { suspect, code: identity, place };
    const message = loadMessage(code, identity, { "harness.js": harness, "processor.js": script });
    const { suspects } = house;
    // Whoever asks for it to be loaded once more was told that it was stopped: it has another try, alone.
    if (house.told.delete(suspect)) for (const who of [suspect, identity]) suspects.tryAgain(who);

    /** The youngest is last. Of the code that runs it is among them: it is said again whenever that is asked. */
    function keepHeader(): void {
      if (code.fixedHeader === undefined) return;
      fixedHeaders.delete(identity);
      fixedHeaders.set(identity, code.fixedHeader);
      dropOldest(fixedHeaders, fixedHeadersMax);
    }

    /** Rejects with SandboxError. */
    async function isolate(): Promise<LoadedIsolate> {
      expectInnocent();
      try {
        return await house.of(identity, memoryMb).isolate(identity, message, tenant);
      } catch (error) {
        expectInnocent();
        throw located(error);
      }
    }

    /** It may be unloaded, or end, before anything is asked of it: then it is loaded again, and nobody is interrupted. */
    async function openIsolate(): Promise<LoadedIsolate> {
      for (let tries = 1; ; tries++) {
        const loaded = await isolate();
        if (!loaded.isolate.hasEnded || tries === reloadsMax) return loaded;
      }
    }

    function expectInnocent(): void {
      const conviction = convictionOf(suspects, tenant);
      if (conviction !== undefined) throw new SandboxError("code", conviction);
    }

    function located(error: unknown): unknown {
      const { codeError } = error as { codeError?: CodeError };
      if (codeError === undefined) return error;
      const { message: said, stack = "" } = locate(codeError);
      const text = withoutRuntime(said);
      const line = /^\s*at (.*)$/m.exec(stack)?.[1];
      return new SandboxError("code", line === undefined ? text : `${text} (at ${line})`);
    }

    async function describe(): Promise<SandboxDescription> {
      const alone = isSuspect(suspects, tenant)
        ? await house.quarantine.load(tenant, message).catch((error) => Promise.reject(located(error)))
        : undefined;
      return alone ?? (await isolate()).description;
    }

    /** Once it is told that it was stopped, whoever loads it again means it. */
    function remember(error: unknown): never {
      if (convictionOf(suspects, tenant) !== undefined) {
        house.told.add(suspect);
        dropOldest(house.told, toldMax);
      }
      throw error;
    }

    async function deliver(delivery: SandboxDelivery, calls: SandboxCalls): Promise<SandboxResult> {
      expectInnocent();
      keepHeader();
      if (isSuspect(suspects, tenant)) {
        const result = await house.quarantine.deliver(tenant, message, delivery, calls);
        if (result !== undefined) return withLines(result, locate);
      }
      const { isolate: loaded } = await openIsolate();
      try {
        return withLines(await loaded.deliver(delivery, calls, tenant), locate);
      } catch (error) {
        expectInnocent();
        throw error;
      }
    }

    keepHeader();
    const description = await retried(describe).catch(remember);
    return {
      description,
      deliver: (delivery, calls) => deliver(delivery, calls).catch(remember),
      forget(state) {
        const loading = house.peek(identity, memoryMb)?.peek(identity);
        void loading?.then(
          ({ isolate: loaded }) => loaded.forget(state),
          () => {},
        );
      },
      close: () => {},
    };
  }

  return {
    load,
    prepare: (project) => houseOf(project).prepare(undefined),
    isolation,
    get pids() {
      return [...projects.values()].flatMap(({ processes }) => processes.map(({ pid }) => pid as number));
    },
    async close() {
      isClosed = true;
      stayCold();
      clearInterval(sweeping);
      await Promise.all([...projects.values()].map((house) => house.stop()));
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}

function dropOldest(entries: Map<string, unknown> | Set<string>, max: number): void {
  for (const oldest of entries.keys()) {
    if (entries.size <= max) return;
    entries.delete(oldest);
  }
}

/** Somebody else may have ended it while it booted. What is wrong with it is wrong again, and takes its time. */
async function startedOrAgain(start: () => Promise<WorkerdProcess>): Promise<WorkerdProcess> {
  const began = performance.now();
  try {
    return await start();
  } catch (error) {
    if (performance.now() - began > bootAgainMs) throw error;
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

/** Somebody else may have ended what it was loaded into: once more, and then whoever asked waits. */
async function retried<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof SandboxError) || error.reason !== "interrupted") throw error;
    return await ask();
  }
}

function loadMessage(code: SandboxCode, identity: string, modules: Record<string, string>): LoadMessage {
  const { env, limits, compatibilityDate = defaultCompatibilityDate, compatibilityFlags = [] } = code;
  return {
    is: "load",
    modules,
    env: { ...env },
    isolate: identity,
    compatibilityDate,
    compatibilityFlags: [...new Set(["nodejs_compat", "nodejs_compat_populate_process_env", ...compatibilityFlags])],
    ...(limits === undefined ? {} : { limits }),
  };
}

/** What the runtime says around an error that the code threw while it was loaded: its lines are of no author's file. */
function withoutRuntime(said: string): string {
  return said
    .replace(/^Failed to start Worker:\s*(Uncaught )?/, "")
    .replace(/\n\s+at (?:processor|harness)\.js.*$/gm, "");
}

function withLines(result: SandboxResult, locate: Compiled["locate"]): SandboxResult {
  return result.is === "fold-failed" || result.is === "hook-failed"
    ? { ...result, error: locate(result.error) }
    : result;
}
