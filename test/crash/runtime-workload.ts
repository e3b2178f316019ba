/**
 * Processors in a runtime of its own, and both of them are killed: the server, as everything here, and the runtime at
 * moments of its own, to be begun again at once or after an absence. What it insists on stands in `runtime-ledger.ts`.
 */
import type { StreamEvent } from "@millrace/protocol";
import { append, breakerOff, getJson, readAll } from "../processes/http.ts";
import type { ServerProcess } from "../processes/server-process.ts";
import { eventually, type Round, type Workload } from "./harness.ts";
import { createSender, type Sender, sendUntilDead } from "./keyed.ts";
import { createRuntime, type Runtime } from "./runtime.ts";
import { type Tally, verifyActing, verifyDeciding } from "./runtime-ledger.ts";

const project = "runtimes";
const headers = { "x-project-slug": project };
const lanePaths = ["/runs/0", "/runs/1"];
const slugs = ["file-decide", "file-act", "server-decide", "server-act"];
const inputsOfRound = 12;
/** While nobody runs. */
const inputsOfAbsence = 5;
const inputsOfBirth = 3;
const latestKillMs = 300;
/** So often everything is awaited, and the runtime ends in good order. */
const drainedEvery = 4;
const drainMs = 30_000;

export interface RuntimeWorkload extends Workload {
  counts(): Tally & { kills: number; stops: number };
  dispose(): Promise<void>;
}

interface Lane {
  path: string;
  sender: Sender;
  inputs: StreamEvent[];
}

export function createRuntimeWorkload(): RuntimeWorkload {
  const runtime = createRuntime();
  const lanes = lanePaths.map(createLane);
  const tally: Tally = { acted: 0, actedAgain: 0, missed: 0, actedAndMissed: 0, decisions: 0, decisionsAgain: 0 };
  const ends = { kills: 0, stops: 0 };

  /** A stream that is born with its first inputs, whoever is there to see it. */
  function bear(name: string): Lane {
    const lane = createLane(`/runs/${name}`);
    lanes.push(lane);
    return lane;
  }

  async function killRuntime(server: ServerProcess, round: Round): Promise<void> {
    await after(round.random.integer(latestKillMs));
    await runtime.kill();
    ends.kills++;
    if (round.random.integer(2) === 0) runtime.begin(server);
  }

  return {
    name: "runtimes",
    counts: () => ({ ...tally, ...ends }),
    dispose: runtime.dispose,

    async prepare(server) {
      for (const path of lanePaths) await append(server.url, path, breakerOff, headers);
      runtime.begin(server);
      await runtime.ready();
      await eventually("the first start", () => firstStart(server, runtime));
    },

    async act(server, round, signal) {
      runtime.begin(server);
      const sending = [...lanes.slice(0, lanePaths.length), bear(`born-${round.number}`)].map((lane, index) =>
        send(lane, { server, round, signal }, index < lanePaths.length ? inputsOfRound : inputsOfBirth),
      );
      const killing = round.random.integer(3) > 0 ? killRuntime(server, round) : undefined;
      await Promise.all([...sending, killing]);
    },

    async recover(server, round) {
      const alive = new AbortController().signal;
      for (const { sender } of lanes) await sender.resend(server);
      if (runtime.alive) await runtime.ready();
      if (round.number % drainedEvery === 0) {
        await drain(server, runtime, lanes);
        await runtime.stop();
        ends.stops++;
      }
      if (!runtime.alive) {
        const unseen = [...lanes.slice(0, lanePaths.length), bear(`unseen-${round.number}`)];
        for (const lane of unseen) await send(lane, { server, round, signal: alive }, inputsOfAbsence);
      }
      runtime.begin(server);
      await runtime.ready();
    },

    async verify(server) {
      await drain(server, runtime, lanes);
      await runtime.stop();
      for (const { path, inputs } of lanes) {
        const events = await readAll(server.url, path, project);
        verifyInputs(path, inputs, events);
        for (const slug of slugs) {
          const notes = runtime.notes(slug);
          const log = { path, slug, events, notes };
          if (slug.endsWith("-act")) verifyActing(log, tally);
          else verifyDeciding(log, tally);
        }
      }
    },
  };
}

function createLane(path: string): Lane {
  const inputs: StreamEvent[] = [];
  return { path, inputs, sender: createSender(project, path, (event) => event.type === "input" && inputs.push(event)) };
}

/** @returns when so many were sent, or the server is dead */
async function send(lane: Lane, at: Parameters<typeof sendUntilDead>[1], count: number): Promise<void> {
  const { random } = at.round;
  const stop = new AbortController();
  const abort = () => stop.abort();
  at.signal.addEventListener("abort", abort);
  let left = count;
  await sendUntilDead(lane.sender, { ...at, signal: stop.signal }, () => {
    if (--left === 0) stop.abort();
    return { type: "input", payload: { number: random.integer(100), slowMs: random.integer(3) === 0 ? 20 : 0 } };
  });
  at.signal.removeEventListener("abort", abort);
}

/** It is over when nothing that is there counts as born later: until then a kill would make another first start. */
async function firstStart(server: ServerProcess, runtime: Runtime): Promise<string | undefined> {
  for (const slug of slugs) {
    if (slug.startsWith("file")) {
      if (!runtime.kept(`${slug}.jsonl`).includes('"followed:')) return `${slug} has no mark`;
      continue;
    }
    const { consumers } = await getJson(server.url, "/api/state/", project);
    if (!Object.keys(consumers).some((name) => name.startsWith(`${slug} follows`))) return `${slug} has no mark`;
  }
  return undefined;
}

/** Everything before a report was acted on, or decided on, when all have answered that. */
async function drain(server: ServerProcess, runtime: Runtime, lanes: Lane[]): Promise<void> {
  if (!runtime.alive) runtime.begin(server);
  await runtime.ready();
  for (const { path, inputs, sender } of lanes) {
    if (inputs.length === 0) continue;
    const { offset } = await sender.send(server, { type: "report" });
    await eventually(
      `the runtime on ${path}`,
      async () => {
        const reported = await readAll(server.url, path, project, `&type=reported&afterOffset=${offset}`);
        const missing = slugs.filter((slug) => !reported.some(({ source }) => source?.slug === slug));
        return missing.length === 0 ? undefined : `${missing} did not report on ${offset}`;
      },
      drainMs,
    );
  }
}

/** What was appended is in the log exactly once, where it was said to be. */
function verifyInputs(path: string, inputs: StreamEvent[], events: StreamEvent[]): void {
  const offsets = (all: StreamEvent[]) => all.map(({ offset }) => offset).join();
  const stored = events.filter(({ type }) => type === "input");
  if (offsets(stored) !== offsets(inputs)) {
    throw new Error(`${path}: inputs were acknowledged at ${offsets(inputs)}, and are at ${offsets(stored)}`);
  }
}

function after(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
