/**
 * A sandbox that is none: the code runs in this process, with all its rights. For tests of everything around a
 * sandbox, and never for code of somebody else.
 */
import {
  codeErrorOf,
  createBridge,
  createHarness,
  type Sandbox,
  type SandboxCode,
  SandboxError,
  type SandboxedProcessor,
  type SandboxPlace,
} from "@millrace/engine";

export interface InProcessSandbox extends Sandbox {
  /** All states are gone, as if the process that held them had ended; calls that run are interrupted. */
  crash(): void;
  /** How often code was loaded. */
  readonly loads: number;
}

const limits = { statesMax: 1_000, stateCharactersMax: 8 * 1024 * 1024 };

export interface InProcessSandboxOptions {
  /** How many states it holds for one piece of code. */
  statesMax?: number;
  /** What a module exports, asked for by each life of the sandbox; without it the source is run. */
  exportsOf?(code: SandboxCode, place: SandboxPlace): Record<string, unknown>;
}

export function createInProcessSandbox(options: InProcessSandboxOptions = {}): InProcessSandbox {
  const { statesMax = limits.statesMax, exportsOf } = options;
  const running = new Set<(message: string) => void>();
  let life = 0;
  let isClosed = false;
  let loads = 0;

  function expectOpen(): void {
    if (isClosed) throw new SandboxError("unavailable", "The sandbox is closed.");
  }

  function crash(): void {
    life++;
    for (const interrupt of running) interrupt("The sandbox was ended.");
    running.clear();
  }

  async function load(code: SandboxCode, place: SandboxPlace): Promise<SandboxedProcessor> {
    expectOpen();
    loads++;
    const imported = exportsOf === undefined ? await importSource(code) : {};
    const module = () => exportsOf?.(code, place) ?? imported;
    const surroundings = { fetch: (...args: Parameters<typeof fetch>) => fetch(...args), env: code.env };
    const start = () => createHarness(module(), surroundings, { ...limits, statesMax });
    let harness = start();
    let born = life;
    return {
      description: described(harness),
      async deliver(delivery, calls) {
        expectOpen();
        if (born !== life) {
          harness = start();
          born = life;
        }
        const bridge = createBridge(calls);
        const host = { ...bridge, logger: calls.logger };
        let interrupt: (message: string) => void = () => {};
        const interrupted = new Promise<never>((_, reject) => {
          interrupt = (message) => {
            bridge.interrupt(message);
            reject(new SandboxError("interrupted", message));
          };
        });
        running.add(interrupt);
        try {
          // What crosses a boundary is a copy.
          const crossing = structuredClone(delivery);
          const delivering = harness.deliver(crossing, host, () => calls.signal);
          const { result, works } = await Promise.race([delivering, interrupted]);
          if (works === undefined) running.delete(interrupt);
          else void works.finally(() => running.delete(interrupt));
          return result;
        } catch (error) {
          running.delete(interrupt);
          throw error;
        } finally {
          interrupted.catch(() => {});
        }
      },
      forget: (state) => harness.forget(state),
      close: () => {},
    };
  }

  return {
    load,
    async close() {
      isClosed = true;
      crash();
    },
    crash,
    get loads() {
      return loads;
    },
  };
}

async function importSource({ modules, main }: SandboxCode): Promise<Record<string, unknown>> {
  try {
    return await import(`data:text/javascript,${encodeURIComponent(modules[main] ?? "")}`);
  } catch (error) {
    throw new SandboxError("code", codeErrorOf(error).message);
  }
}

function described(harness: ReturnType<typeof createHarness>) {
  try {
    return harness.describe();
  } catch (error) {
    throw new SandboxError("code", codeErrorOf(error).message);
  }
}
