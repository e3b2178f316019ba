/**
 * The crash harness: kills a server in the middle of work, starts it again on what the disk has, and asks each
 * workload whether anything was lost, doubled or made up. One harness for every feature: a feature brings a workload.
 *
 * A round is: start, let every workload act at once, SIGKILL at a moment that the seed chooses, start again, let every
 * workload make good what was not acknowledged. After the last round each one verifies the whole.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createSeededRandom, type SeededRandom } from "@millrace/testing";
import { type ServerProcess, startServer } from "./server-process.ts";

export interface Workload {
  name: string;
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
}

export interface CrashOptions {
  workloads: Workload[];
  rounds: number;
  /** The same seed makes the same choices; the moment of a kill is a time, so the interleaving is not the same. */
  seed: number;
  /** For the server, beside port and data. */
  args?: string[];
}

const earliestKillMs = 20;
const latestKillMs = 400;

export async function crash({ workloads, rounds, seed, args = [] }: CrashOptions): Promise<void> {
  const data = mkdtempSync(path.join(tmpdir(), "millrace-crash-"));
  const random = createSeededRandom(seed);
  let server: ServerProcess | undefined;
  try {
    for (let number = 1; number <= rounds; number++) {
      const round = { number, random };
      server = await startServer({ data, args });
      await actUntilKilled(server, workloads, round);
      server = await startServer({ data, args });
      for (const workload of workloads) await workload.recover(server, round);
      // Every other round ends as hard as it began, in the middle of whatever recovery set in motion.
      if (number % 2 === 0) await server.kill();
      else await server.stop();
    }
    server = await startServer({ data, args });
    for (const workload of workloads) await workload.verify(server);
    await server.stop();
  } catch (error) {
    await server?.kill().catch(() => {});
    const { message } = error as Error;
    throw new Error(`${message}\n(seed ${seed}: MILLRACE_CRASH_SEED=${seed} repeats its choices)`, { cause: error });
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}

async function actUntilKilled(server: ServerProcess, workloads: Workload[], round: Round): Promise<void> {
  const dead = new AbortController();
  const acting = workloads.map((workload) => workload.act(server, round, dead.signal));
  const delayMs = earliestKillMs + round.random.integer(latestKillMs - earliestKillMs);
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  await server.kill();
  dead.abort();
  await Promise.all(acting);
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
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
