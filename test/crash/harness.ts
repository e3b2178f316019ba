/**
 * The crash harness: kills a server in the middle of work, starts it again on what the disk has, and asks each
 * workload whether anything was lost, doubled or made up. One harness for every feature: a feature brings a workload.
 *
 * A round is: start, let every workload act at once, SIGKILL at a moment that the seed chooses, start again, let every
 * workload make good what was not acknowledged. After the last round each one verifies the whole.
 */
import { createSeededRandom, type SeededRandom } from "@millrace/testing";
import { evaluatorsOf, isAlive } from "../../packages/millrace/test/evaluators.ts";
import { sandboxesOf } from "../../packages/millrace/test/sandbox-processes.ts";
import { type Exit, type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";

export interface Workload {
  name: string;
  /** Once, before the first round, while nobody kills: for what is answered only once. */
  prepare?(server: ServerProcess): Promise<void>;
  /** Acts on the server until `signal` says that it is dead. Failures after that are expected. */
  act(server: ServerProcess, round: Round, signal: AbortSignal): Promise<void>;
  /** The server is back: whatever has no acknowledgement yet is sent again, with the same keys. */
  recover(server: ServerProcess, round: Round): Promise<void>;
  /** All rounds are over. Throws when the log is not what it has to be. */
  verify(server: ServerProcess): Promise<void>;
}

export interface Round {
  number: number;
  random: SeededRandom;
  /**
   * A workload calls it when the first thing that it did in this round was acknowledged. Most kills come at some moment
   * after that, so that a slow machine does not move all of them to before anything happened.
   */
  underway(): void;
}

export interface CrashOptions {
  workloads: Workload[];
  rounds: number;
  /** The same seed makes the same choices; the moment of a kill is a time, so the interleaving is not the same. */
  seed: number;
  /** For the server, beside port and data. */
  args?: string[];
  /** It comes back where it was: for clients that outlive it. */
  samePort?: boolean;
  /** What a server may say though all is well with it, as where a workload kills something else. */
  mayBeSaid?: RegExp;
}

const latestKillMs = 400;
/** One round in so many is killed without waiting for anything: while the first appends arrive. */
const earlyKillIn = 5;
const underwayMs = 10_000;
const stopMs = 60_000;

export interface Crashed {
  /** Processes of the killed servers: evaluators of expressions, and sandboxes. */
  orphans: number;
}

export async function crash(options: CrashOptions): Promise<Crashed> {
  const { workloads, rounds, seed, args = [], mayBeSaid, samePort = false } = options;
  const expectSilence = (exit: Exit) => expectNothingSaid(exit, mayBeSaid);
  const { directory: data, remove } = temporaryDirectory();
  const start = () => {
    const port = samePort ? server?.port : undefined;
    return startServer({
      data,
      args,
      ...(port === undefined ? {} : { port }),
    });
  };
  const random = createSeededRandom(seed);
  let server: ServerProcess | undefined;
  let orphans = 0;
  try {
    for (let number = 1; number <= rounds; number++) {
      server = await start();
      if (number === 1) for (const workload of workloads) await workload.prepare?.(server);
      const killed = await actUntilKilled(server, workloads, { number, random });
      orphans += killed.orphans;
      expectSilence(killed.exit);
      server = await start();
      for (const workload of workloads) await workload.recover(server, { number, random, underway() {} });
      // Every other round ends as hard as it began, in the middle of whatever recovery set in motion.
      expectSilence(number % 2 === 0 ? await server.kill() : await stopped(server));
    }
    server = await start();
    for (const workload of workloads) await workload.verify(server);
    expectSilence(await stopped(server));
    return { orphans };
  } catch (error) {
    await server?.kill().catch(() => {});
    const { message } = error as Error;
    throw new Error(`${message}\n(seed ${seed}: MILLRACE_CRASH_SEED=${seed} repeats its choices)`, { cause: error });
  } finally {
    remove();
  }
}

async function actUntilKilled(
  server: ServerProcess,
  workloads: Workload[],
  { number, random }: Omit<Round, "underway">,
): Promise<{ orphans: number; exit: Exit }> {
  const dead = new AbortController();
  const delayMs = random.integer(latestKillMs);
  const isEarly = random.integer(earlyKillIn) === 0;
  let waitingFor = workloads.length;
  let allUnderway = () => {};
  const started = new Promise<void>((resolve) => {
    allUnderway = resolve;
  });
  const acting = workloads.map((workload) => {
    let underway = () => {
      underway = () => {};
      if (--waitingFor === 0) allUnderway();
    };
    return workload.act(server, { number, random, underway: () => underway() }, dead.signal);
  });
  if (!isEarly) await Promise.race([started, after(underwayMs)]);
  await after(delayMs);
  const children = [...evaluatorsOf(server.pid), ...sandboxesOf(server.pid)];
  const exit = await server.kill();
  dead.abort();
  await Promise.all(acting);
  await eventually("the processes of a killed server", async () => {
    const left = children.filter(isAlive);
    return left.length === 0 ? undefined : `${left} still run`;
  });
  return { orphans: children.length, exit };
}

/** In good order, and before long: what a crash left behind is no reason to stay. */
async function stopped(server: ServerProcess): Promise<Exit> {
  const exit = await Promise.race([server.stop("SIGTERM"), after(stopMs)]);
  if (exit === undefined) throw new Error(`a server did not end within ${stopMs} ms: ${server.output().stderr}`);
  return exit;
}

/** A server that was killed before is in order for the next one, which has nothing to report. */
function expectNothingSaid({ code, signal, stderr: said }: Exit, mayBeSaid: RegExp = /(?!)/): void {
  const stderr = said
    .split("\n")
    .filter((line) => !mayBeSaid.test(line))
    .join("\n");
  if (stderr !== "" || (code !== 0 && signal !== "SIGKILL")) {
    throw new Error(`a server ended with code ${code}, signal ${signal}, and said: ${stderr.slice(-2_000)}`);
  }
}

/** Asks until the answer is yes; for what the server does by itself, some milliseconds after it is asked. */
export async function eventually(
  what: string,
  ask: () => Promise<string | undefined>,
  withinMs = 15_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const fault = await ask();
    if (fault === undefined) return;
    if (Date.now() > deadline) throw new Error(`${what}: ${fault}`);
    await after(50);
  }
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
