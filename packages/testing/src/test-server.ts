/** The engine under a test stream: one start of the server, on a log and a clock that outlive it. */
import { type ConsumerState, createEngine, type Directory, type Engine, processorKind } from "@millrace/engine";
import type { Processor } from "@millrace/protocol";
import { aWhile, realNow, turns } from "./event-loop.ts";
import { interceptDirectory } from "./intercept-directory.ts";
import type { ManualClock } from "./manual-clock.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { watched } from "./watched-processor.ts";

export const project = "public";

export interface TestServer {
  readonly engine: Engine;
  /** Descriptions of the hooks that run. */
  readonly hooks: ReadonlySet<string>;
  /** What the processor is busy with on this stream, and could go on with now; empty when it rests. */
  busyWith(path: string): Promise<string[]>;
  /** With "crash" nothing is stored from here on. Resolves when nothing runs any more, or is left behind. */
  stop(how: "orderly" | "crash"): Promise<void>;
}

interface Needs<State> {
  processor: Processor<State>;
  directory: Directory;
  clock: ManualClock;
  random: SeededRandom;
}

export function startTestServer<State>({ processor, directory, clock, random }: Needs<State>): TestServer {
  const { processor: code, running } = watched(processor);
  let crashed = false;
  const engine = createEngine({
    directory: interceptDirectory(directory, ({ operation }, proceed) =>
      crashed && operation !== "close" ? Promise.reject(new Error("This server has crashed.")) : proceed(),
    ),
    clock,
    random,
    consumers: [processorKind(async () => code)],
  });

  async function busyWith(path: string): Promise<string[]> {
    if (running.size > 0) return [...running];
    const { consumers, paused } = await engine.state(project, path);
    const consumer: ConsumerState | undefined = consumers[`processor/${processor.slug}`] ?? consumers[processor.slug];
    if (consumer === undefined) return [];
    const works = (consumer.work ?? []).map((name) => `the work "${name}"`);
    const { lag, halted, nextAttemptAt } = consumer;
    if (works.length > 0 || halted !== undefined || paused || lag === 0) return works;
    if (nextAttemptAt !== undefined && Date.parse(nextAttemptAt) > clock.now()) return [];
    return [`${lag} ${lag === 1 ? "event" : "events"} that it has not acted on`];
  }

  return {
    engine,
    hooks: running,
    busyWith,
    async stop(how) {
      crashed = how === "crash";
      const end: { reached?: true; error?: unknown } = {};
      engine.close().then(
        () => Object.assign(end, { reached: true }),
        (error: unknown) => Object.assign(end, { reached: true, error }),
      );
      // A hook that does not listen to its signal is left behind after some seconds.
      for (await turns(); !end.reached; await turns()) clock.advance(1_000);
      if (end.error !== undefined && !crashed) throw end.error;
    },
  };
}

/**
 * @param busyWith what is still being done
 * @returns what is still being done after `limitMs` of real time
 */
export async function idleWithin(limitMs: number, busyWith: () => Promise<string[]>): Promise<string[]> {
  const until = realNow() + limitMs;
  // To ask may be what opens the stream, and so what begins something.
  for (let idle = 0; idle < 2; ) {
    await turns();
    const busy = await busyWith();
    idle = busy.length === 0 ? idle + 1 : 0;
    if (busy.length > 0 && realNow() >= until) return busy;
    if (busy.length > 0) await aWhile();
  }
  return [];
}
