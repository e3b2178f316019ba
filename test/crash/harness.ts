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
import { lastLines, patienceMs, within } from "../processes/within.ts";
import { createPhases, type Phases } from "./phases.ts";

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
  /** For all of it: a little less than the test has, which could not say where it was. */
  withinMs: number;
  /** What a server may say though all is well with it, as where a workload kills something else. */
  mayBeSaid?: RegExp;
}

const latestKillMs = 400;
/** One round in so many is killed without waiting for anything: while the first appends arrive. */
const earlyKillIn = 5;
const underwayMs = 10_000;

export interface Crashed {
  /** Processes of the killed servers: evaluators of expressions, and sandboxes. */
  orphans: number;
}

export async function crash(options: CrashOptions): Promise<Crashed> {
  const { seed, args = [], samePort = false, withinMs } = options;
  const { directory: data, remove } = temporaryDirectory();
  const phases = createPhases();
  let server: ServerProcess | undefined;
  const start = async (what: string) => {
    const port = samePort && server !== undefined ? { port: server.port } : {};
    server = await phases.run(what, () => startServer({ data, args, ...port }));
    return server;
  };
  try {
    return await within("all rounds", allRounds({ ...options, phases, start }), withinMs);
  } catch (error) {
    const said = server === undefined ? "" : `The server: ${lastLines(server.output())}\n`;
    await server?.kill().catch(() => {});
    const { message } = error as Error;
    const repeat = `(seed ${seed}: MILLRACE_CRASH_SEED=${seed} repeats its choices)`;
    throw new Error(`${message}\n${phases.told()}\n${said}${repeat}`, { cause: error });
  } finally {
    remove();
  }
}

interface Rounds extends CrashOptions {
  phases: Phases;
  start(what: string): Promise<ServerProcess>;
}

async function allRounds({ workloads, rounds, seed, mayBeSaid, phases, start }: Rounds): Promise<Crashed> {
  const random = createSeededRandom(seed);
  const expectSilence = (exit: Exit) => expectNothingSaid(exit, mayBeSaid);
  let orphans = 0;
  for (let number = 1; number <= rounds; number++) {
    const round = `round ${number}`;
    const first = await start(`${round}: start`);
    for (const workload of number === 1 ? workloads : []) {
      await phases.run(`preparing ${workload.name}`, async () => workload.prepare?.(first));
    }
    const killed = await actUntilKilled(first, workloads, { number, random }, phases);
    orphans += killed.orphans;
    expectSilence(killed.exit);
    const second = await start(`${round}: start behind the kill`);
    for (const workload of workloads) {
      const recover = () => workload.recover(second, { number, random, underway() {} });
      await phases.run(`${round}: recovery of ${workload.name}`, recover);
    }
    // Every other round ends as hard as it began, in the middle of whatever recovery set in motion.
    expectSilence(await phases.run(`${round}: end`, () => second.stop(number % 2 === 0 ? "SIGKILL" : "SIGTERM")));
  }
  const last = await start("the last start");
  for (const workload of workloads) await phases.run(`verifying ${workload.name}`, () => workload.verify(last));
  // In good order, and before long: what a crash left behind is no reason to stay.
  expectSilence(await phases.run("the last end", () => last.stop("SIGTERM")));
  return { orphans };
}

async function actUntilKilled(
  server: ServerProcess,
  workloads: Workload[],
  { number, random }: Omit<Round, "underway">,
  phases: Phases,
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
    const acted = workload.act(server, { number, random, underway: () => underway() }, dead.signal);
    // It is waited for below, and may fail before that.
    acted.catch(() => {});
    return { name: workload.name, acted };
  });
  if (!isEarly) await phases.run(`round ${number}: under way`, () => Promise.race([started, after(underwayMs)]));
  await after(delayMs);
  const children = [...evaluatorsOf(server.pid), ...sandboxesOf(server.pid)];
  const exit = await phases.run(`round ${number}: kill`, () => server.kill());
  dead.abort();
  for (const { name, acted } of acting) {
    await phases.run(`round ${number}: ${name}, of a dead server`, () => acted, patienceMs);
  }
  await eventually("the processes of a killed server", async () => {
    const left = children.filter(isAlive);
    return left.length === 0 ? undefined : `${left} still run`;
  });
  return { orphans: children.length, exit };
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
    const fault = await within(what, ask());
    if (fault === undefined) return;
    if (Date.now() > deadline) throw new Error(`${what}: ${fault}`);
    await after(50);
  }
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
