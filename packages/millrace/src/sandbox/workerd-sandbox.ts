/**
 * The sandbox of a server: workerd processes, each for one project, with one isolate for everything that is the same
 * code. Nothing in them is needed: what vanishes is loaded again, and its states are made again from the log.
 */
import {
  type Sandbox,
  type SandboxCalls,
  type SandboxCode,
  type SandboxDelivery,
  type SandboxDescription,
  SandboxError,
  type SandboxedProcessor,
  type SandboxIsolation,
  type SandboxPlace,
  type SandboxResult,
} from "@millrace/engine";
import { asAuthorsError, authorsLogger, type Compiled, withAuthorsLines } from "./authors-view.ts";
import { type BurningLimits, burningDefaults } from "./burning.ts";
import { identityOf } from "./identity.ts";
import type { Tenant } from "./isolate.ts";
import type { LoadMessage } from "./messages.ts";
import { createProcessStarter, type StarterOptions } from "./process-starter.ts";
import { ProjectHouse } from "./project-house.ts";
import type { LoadedIsolate } from "./project-processes.ts";
import { convictionOf, isSuspect } from "./quarantine.ts";
import { SandboxEnd } from "./sandbox-end.ts";
import { warmUpSoon } from "./warm-up.ts";
import { workerModules } from "./worker-modules.ts";
import { defaultCompatibilityDate } from "./workerd-binary.ts";

export interface WorkerdSandboxOptions extends StarterOptions {
  /** Rejects with SandboxError "code". */
  compile(code: SandboxCode): Promise<Compiled>;
  isolatesMax?: number;
  loadsMax?: number;
  /** Processes of code that says how much memory it may have, for each project. */
  ownMax?: number;
  /** When a process takes a core for too long, though it gives way. */
  burning?: Partial<BurningLimits>;
  /** How often what is not used is looked for. */
  sweepMs?: number;
}

export interface WorkerdSandbox extends Sandbox {
  /** For people: how processes are shut in. */
  isolation(): Promise<SandboxIsolation>;
  /** Ids of the processes that run now. */
  readonly pids: readonly number[];
}

const isolatesMaxDefault = 150;
const loadsMaxDefault = 2_000;
const ownMaxDefault = 8;
const reloadsMax = 5;
/** More than can run at the same time. */
const fixedHeadersMax = 10_000;
/** Of one project: of so many it is known that they heard of their conviction. */
const toldMax = 1_000;
const sweepMsDefault = 10_000;

export function createWorkerdSandbox(options: WorkerdSandboxOptions): WorkerdSandbox {
  const projects = new Map<string, ProjectHouse>();
  const stayCold = warmUpSoon();
  let ids = 0;
  let isClosed = false;
  const nextId = () => ++ids;
  const burning = { ...burningDefaults, ...options.burning };
  /** By isolate, those used last: what their requests carry. */
  const fixedHeaders = new Map<string, readonly [name: string, value: string]>();

  const starter = createProcessStarter({
    ...options,
    burning,
    expectOpen,
    fixedHeader: (isolate) => fixedHeaders.get(isolate),
  });

  function expectOpen(): void {
    if (isClosed) throw new SandboxError("unavailable", "The server is closing.");
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

  function houseOf(project: string): ProjectHouse {
    const known = projects.get(project);
    if (known !== undefined) return known;
    const { isolatesMax = isolatesMaxDefault, loadsMax = loadsMaxDefault, ownMax = ownMaxDefault } = options;
    const house = new ProjectHouse({
      start: (attribution, memoryMb) => starter.start(project, attribution, memoryMb),
      placesLeft: () => starter.placesLeft(project),
      ended({ death, said }) {
        if (death === "stopped") return;
        options.onFault(new SandboxEnd(project, death, said));
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
    const [compiled, { harness }] = await Promise.all([compile(code), workerModules()]);
    const identity = identityOf(code);
    const { path, slug, configuredAt } = place;
    // Paths and slugs are other people's words: nobody is to be convicted in the name of another.
    const suspect = JSON.stringify([code.project, path, slug, configuredAt]);
    const tenant: Tenant = { suspect, code: identity, place };
    const message = loadMessage(code, identity, { "harness.js": harness, "processor.js": compiled.script });
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
        throw asAuthorsError(error, compiled);
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

    async function describe(): Promise<SandboxDescription> {
      const alone = isSuspect(suspects, tenant)
        ? await house.quarantine.load(tenant, message).catch((error) => Promise.reject(asAuthorsError(error, compiled)))
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

    async function deliver(delivery: SandboxDelivery, consumers: SandboxCalls): Promise<SandboxResult> {
      expectInnocent();
      keepHeader();
      const calls = { ...consumers, logger: authorsLogger(consumers.logger, compiled) };
      if (isSuspect(suspects, tenant)) {
        const result = await house.quarantine.deliver(tenant, message, delivery, calls);
        if (result !== undefined) return withAuthorsLines(result, compiled);
      }
      const { isolate: loaded } = await openIsolate();
      try {
        return withAuthorsLines(await loaded.deliver(delivery, calls, tenant), compiled);
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
    isolation: starter.isolation,
    get pids() {
      return [...projects.values()].flatMap(({ processes }) => processes.map(({ pid }) => pid as number));
    },
    async close() {
      isClosed = true;
      stayCold();
      clearInterval(sweeping);
      await Promise.all([...projects.values()].map((house) => house.stop()));
      starter.clear();
    },
  };
}

function dropOldest(entries: Map<string, unknown> | Set<string>, max: number): void {
  for (const oldest of entries.keys()) {
    if (entries.size <= max) return;
    entries.delete(oldest);
  }
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
