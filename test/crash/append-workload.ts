/**
 * Keyed appends, single and in batches, from many senders to many streams at several depths of two projects. What it
 * insists on: every acknowledged event is there, every event is there once, offsets have no gaps, a retry is answered
 * with the stored event, and every birth was announced once to every ancestor.
 */
import { ancestors, type StreamEvent } from "@millrace/protocol";
import { answerOf, textOf } from "../processes/http.ts";
import type { ServerProcess } from "../processes/server-process.ts";
import { eventually, type Round, type Workload } from "./harness.ts";

interface Intent {
  project: string;
  path: string;
  key: string;
  body: string;
  /** How many events it asks for. */
  count: number;
  /** The events of the first acknowledgement, as JSON. */
  acknowledged?: string;
}

const senders = 24;
const projects = ["public", "second"];
export const busyPaths = ["/busy/0", "/busy/1", "/busy/2", "/busy/3"];

export interface AppendWorkload extends Workload {
  /** What was sent and what was acknowledged before a kill: a test asserts that both happened. */
  counts(): { intents: number; acknowledgedAtOnce: number };
}

export function createAppendWorkload(): AppendWorkload {
  const intents: Intent[] = [];
  let acknowledgedAtOnce = 0;

  function newIntent({ number, random }: Round): Intent {
    const path = random.pick([
      random.pick(busyPaths),
      `/round-${number}/${random.integer(40)}`,
      `/round-${number}/deep/er/${random.integer(10)}`,
    ]);
    const key = `${number}-${intents.length}`;
    const count = random.integer(4) === 0 ? 2 + random.integer(20) : 1;
    const events = Array.from({ length: count }, (_, n) => ({ type: "crash-test", payload: { key, n } }));
    const body = JSON.stringify(count === 1 ? events[0] : events);
    const intent = { project: random.pick(projects), path, key, body, count };
    intents.push(intent);
    return intent;
  }

  return {
    name: "appends",
    counts: () => ({ intents: intents.length, acknowledgedAtOnce }),

    async act(server, round, signal) {
      if (!(await switchBreakerOff(server))) return;
      const send = async () => {
        while (!signal.aborted) {
          const intent = newIntent(round);
          try {
            intent.acknowledged = await append(server, intent);
            acknowledgedAtOnce++;
            round.underway();
          } catch {
            // Not acknowledged: it may be on disk or not. recover() finds out.
            return;
          }
        }
      };
      await Promise.all(Array.from({ length: senders }, send));
    },

    async recover(server, { random }) {
      for (const intent of intents) {
        if (intent.acknowledged === undefined) intent.acknowledged = await append(server, intent);
      }
      for (let i = 0; i < 20 && intents.length > 0; i++) {
        await expectReplay(server, random.pick(intents));
      }
    },

    async verify(server) {
      for (const project of projects) await verifyProject(server, project, intents);
      await replayAll(server, intents);
    },
  };
}

/** However long ago: every key is answered with what it was answered with first. */
async function replayAll(server: ServerProcess, intents: Intent[]): Promise<void> {
  const waiting = [...intents];
  const replay = async () => {
    for (let intent = waiting.pop(); intent !== undefined; intent = waiting.pop()) await expectReplay(server, intent);
  };
  await Promise.all(Array.from({ length: senders }, replay));
}

async function expectReplay(server: ServerProcess, intent: Intent): Promise<void> {
  const again = await append(server, intent);
  if (again !== intent.acknowledged) {
    throw new Error(`a retry was answered with other events: ${again} instead of ${intent.acknowledged}`);
  }
}

/** The busy streams are meant to be busy. False when the server died meanwhile. */
async function switchBreakerOff(server: ServerProcess): Promise<boolean> {
  const type = "https://events.iterate.com/events/stream/circuit-breaker-configured";
  const body = JSON.stringify({ type, payload: { burstCapacity: 0, refillRatePerMinute: 1 } });
  const intents = projects.flatMap((project) =>
    busyPaths.map((path) => ({ project, path, key: "breaker", body, count: 1 })),
  );
  try {
    await Promise.all(intents.map((intent) => append(server, intent)));
    return true;
  } catch {
    return false;
  }
}

async function append(server: ServerProcess, { project, path, key, body }: Intent): Promise<string> {
  const response = await answerOf(`${server.url}/api/streams${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": key, "x-project-slug": project },
    body,
  });
  const text = await textOf(response);
  if (response.status !== 200) throw new Error(`append answered ${response.status}: ${text}`);
  const answer = JSON.parse(text) as { event?: StreamEvent; events?: StreamEvent[] };
  return JSON.stringify(answer.events ?? [answer.event]);
}

async function verifyProject(server: ServerProcess, project: string, intents: Intent[]): Promise<void> {
  const own = intents.filter((intent) => intent.project === project);
  const paths = new Set(own.map(({ path }) => path));
  // Ancestors come into being by being told of a birth, and are announced in turn.
  for (const path of [...paths]) for (const ancestor of ancestors(path)) paths.add(ancestor);
  await eventually(`births in ${project}`, () => missingBirths(server, project, paths));
  // A stream whose tree has nothing left to do was announced everywhere, and will not be announced again.
  for (const path of paths) await eventually(`the tree of ${path}`, () => openAnnouncement(server, project, path));
  for (const path of paths) {
    const events = await history(server, project, path);
    verifyOffsets(path, events);
    await verifyState(server, project, path, events);
    verifyBirths(path, events, paths);
    verifyIntents(
      events,
      own.filter((intent) => intent.path === path),
    );
  }
}

function verifyOffsets(path: string, events: StreamEvent[]): void {
  for (const [index, event] of events.entries()) {
    if (event.offset !== index + 1) throw new Error(`${path}: offset ${event.offset} stands at place ${index + 1}`);
    const before = events[index - 1];
    if (before !== undefined && before.createdAt > event.createdAt) throw new Error(`${path}: time ran backwards`);
  }
}

/** Each acknowledged event is what is stored at its offset, and nothing is stored that nobody sent. */
function verifyIntents(events: StreamEvent[], intents: Intent[]): void {
  let expected = 0;
  for (const { acknowledged, count, key } of intents) {
    const answered = JSON.parse(acknowledged as string) as StreamEvent[];
    if (answered.length !== count) throw new Error(`${key}: ${answered.length} events for ${count}`);
    for (const event of answered) {
      const stored = events[event.offset - 1];
      if (JSON.stringify(stored) !== JSON.stringify(event)) {
        throw new Error(
          `${event.streamPath}@${event.offset}: stored ${JSON.stringify(stored)}, acknowledged ${JSON.stringify(event)}`,
        );
      }
    }
    expected += count;
  }
  const stored = events.filter(({ type }) => type === "crash-test").length;
  if (stored !== expected) throw new Error(`${events[0]?.streamPath}: ${stored} events stored, ${expected} sent`);
}

function verifyBirths(path: string, events: StreamEvent[], paths: Set<string>): void {
  const told = events.filter(({ type }) => type.endsWith("/child-stream-created")).map((event) => childOf(event));
  const expected = [...paths].filter((other) => ancestors(other).includes(path));
  if (told.length !== expected.length || new Set(told).size !== told.length) {
    throw new Error(`${path} heard of ${told.length} births (${new Set(told).size} different), of ${expected.length}`);
  }
}

async function missingBirths(server: ServerProcess, project: string, paths: Set<string>): Promise<string | undefined> {
  const told = new Set((await history(server, project, "/")).map((event) => childOf(event)));
  const missing = [...paths].filter((path) => path !== "/" && !told.has(path));
  return missing.length === 0 ? undefined : `the root has not heard of ${missing.slice(0, 3).join(", ")} ...`;
}

async function openAnnouncement(server: ServerProcess, project: string, path: string): Promise<string | undefined> {
  const { lag, nextAttemptAt } = (await stateOf(server, project, path)).consumers.tree;
  return lag === 0 ? undefined : `${lag} events behind, next attempt at ${nextAttemptAt}`;
}

async function verifyState(server: ServerProcess, project: string, path: string, events: StreamEvent[]): Promise<void> {
  const state = await stateOf(server, project, path);
  const birth = events[0]?.payload as { streamId: string };
  const expected = { path, streamId: birth.streamId, head: events.length, lastEventAt: events.at(-1)?.createdAt };
  for (const [name, value] of Object.entries(expected)) {
    const shown = state[name as keyof typeof expected];
    if (shown !== value) throw new Error(`${path}: state says ${name} ${shown}, history says ${value}`);
  }
}

interface State {
  path: string;
  streamId: string;
  head: number;
  lastEventAt: string;
  consumers: { tree: { lag: number; nextAttemptAt?: string } };
}

async function stateOf(server: ServerProcess, project: string, path: string): Promise<State> {
  const response = await answerOf(`${server.url}/api/state${path}`, { headers: { "x-project-slug": project } });
  return JSON.parse(await textOf(response)) as State;
}

async function history(server: ServerProcess, project: string, path: string): Promise<StreamEvent[]> {
  const response = await answerOf(`${server.url}/api/streams${path}?format=ndjson`, {
    headers: { "x-project-slug": project },
  });
  const lines = (await textOf(response)).split("\n").filter((line) => line !== "");
  return lines.map((line) => JSON.parse(line) as StreamEvent);
}

function childOf(event: StreamEvent): string | undefined {
  return (event.payload as { childPath?: string }).childPath;
}
