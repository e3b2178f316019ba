/**
 * The differential fuzz: lanes that know what every answer has to be, and senders of anything at all, beside each other
 * against one server process. Afterwards the log is compared with the model, and the process with what it was before.
 */
import { createSeededRandom } from "@millrace/testing";
import { eventually } from "../crash/harness.ts";
import { getJson } from "../processes/http.ts";
import { openDescriptors, residentBytes, type ServerProcess } from "../processes/server-process.ts";
import { answerAt, expectAnswer } from "./answers.ts";
import type { RubbishWorld } from "./broken.ts";
import { createLane } from "./lane.ts";
import { auditLane, newsFault, workLane } from "./lane-talk.ts";
import { createLedger } from "./ledger.ts";
import { sendRubbish } from "./rubbish.ts";
import { type Figures, noFigures } from "./talk.ts";

export interface FuzzOptions {
  server: ServerProcess;
  requests: number;
  seed: number;
  /** Waits until the server has given up on every connection that fell silent in the middle of a request. */
  patient: boolean;
}

export interface FuzzResult extends Figures {
  seconds: number;
  events: number;
  memory: Measured;
  descriptors: Measured;
}

/** Measured before, in the middle and after. */
export interface Measured {
  before: number;
  middle: number;
  after: number;
}

const lanes = 10;
const rubbishSenders = 5;
/** PROTOCOL.md: any request gets an answer or a closed connection within this time. */
const answerMs = 35_000;

export async function fuzz({ server, requests, seed, patient }: FuzzOptions): Promise<FuzzResult> {
  const figures = noFigures();
  const world: RubbishWorld = { port: server.port, ledger: createLedger(), figures, silent: [] };
  const all = Array.from({ length: lanes }, (_, n) => createLane(n, createSeededRandom(seed * 1_000 + n), server.port));
  const share = Math.ceil(requests / 2 / (lanes + rubbishSenders));
  const half = async (which: number) => {
    const working = all.map((lane) => workLane(lane, share, figures));
    const sending = Array.from({ length: rubbishSenders }, (_, n) =>
      sendRubbish(world, share, seed * 1_000 + 500 + which * 100 + n),
    );
    await Promise.all([...working, ...sending]);
  };
  const before = processOf(server);
  const started = performance.now();
  await half(0);
  const middle = processOf(server);
  await half(1);
  const seconds = (performance.now() - started) / 1_000;
  await endSilence(world, patient);
  await eventually("descriptors", async () => {
    const { descriptors } = processOf(server);
    return descriptors > before.descriptors ? `${descriptors} instead of ${before.descriptors}` : undefined;
  });
  const after = processOf(server);
  const events = await audit(server, world, all);
  return { ...figures, seconds, events, ...measured(before, middle, after) };
}

type Process = Record<"memory" | "descriptors", number>;

function processOf({ pid }: ServerProcess): Process {
  return { memory: residentBytes(pid), descriptors: openDescriptors(pid) };
}

function measured(before: Process, middle: Process, after: Process): Record<keyof Process, Measured> {
  const one = (name: keyof Process) => ({ before: before[name], middle: middle[name], after: after[name] });
  return { memory: one("memory"), descriptors: one("descriptors") };
}

async function audit(server: ServerProcess, { ledger }: RubbishWorld, all: Parameters<typeof newsFault>[1][]) {
  let events = 0;
  for (const lane of all) {
    events += await auditLane(server.url, lane);
    await eventually(`the news of ${lane.project} ${lane.root}`, () => newsFault(server.url, lane));
  }
  events += await ledger.audit(server.url, (project) => !project.startsWith("lanes-"));
  await eventually("readers", async () => {
    const { status, readers } = (await getJson(server.url, "/readyz")) as { status: string; readers: number };
    return status === "ready" && readers === 0 ? undefined : `${status}, ${readers} readers`;
  });
  return events;
}

/** Whoever stopped in the middle of a request is told so in time, or at least is let go of. */
async function endSilence({ silent }: RubbishWorld, patient: boolean): Promise<void> {
  for (const { connection, since } of silent) {
    const left = since + answerMs - performance.now();
    if (patient && left > 0)
      await Promise.race([connection.closed, new Promise((resolve) => setTimeout(resolve, left))]);
    const text = connection.received();
    if (text !== "") {
      const found = answerAt(text, 0, "POST");
      if (found !== undefined) expectAnswer(found.answer, "POST");
    }
    const isOverdue = performance.now() > since + answerMs;
    if (isOverdue && !connection.socket.readableEnded && !connection.socket.destroyed) {
      throw new Error(`half a request was waited for longer than ${answerMs} ms`);
    }
    connection.socket.destroy();
  }
}
