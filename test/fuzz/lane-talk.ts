/** A lane at work: talks, pipelines and live reads, in which every answer is compared with the model. */
import { ancestors, type StreamEvent } from "@millrace/protocol";
import { builtin } from "../../packages/millrace/test/model.ts";
import { readAll } from "../processes/http.ts";
import { open } from "../serve/sockets.ts";
import { chunksAt } from "./answers.ts";
import { append } from "./appends.ts";
import { aside, read, refused, remove, removeGroup, state } from "./calls.ts";
import { expectEvents, type Lane, type Leaf, type Modelled } from "./lane.ts";
import { allStreams } from "./ledger.ts";
import { type Figures, startTalk } from "./talk.ts";
import { encode } from "./wire-request.ts";

export async function workLane(lane: Lane, requests: number, figures: Figures): Promise<void> {
  const { random } = lane;
  for (let left = requests; left > 0; ) {
    const chance = random.integer(30);
    if (chance === 0) left -= await followLive(lane, figures);
    else if (chance < 8) left -= await pipeline(lane, figures);
    else left -= await talk(lane, Math.min(left, 1 + random.integer(25)), figures);
  }
}

async function talk(lane: Lane, count: number, figures: Figures): Promise<number> {
  figures.conversations.talk++;
  const { random } = lane;
  let talking = await startTalk(lane.port, figures);
  for (let i = 0; i < count; i++) {
    const modelled = random.integer(80) === 0 ? removeGroup(lane) : anything(lane, random.pick(lane.leaves));
    if (talking.over()) {
      talking.leave();
      talking = await startTalk(lane.port, figures);
    }
    check(modelled, (await talking.ask([modelled.request], random))[0], lane);
  }
  talking.leave();
  return count;
}

/**
 * Several requests at once, each to another stream: in what order they are taken on is nobody's promise. What is refused
 * before its body is there ends the connection, so only the last may be.
 */
async function pipeline(lane: Lane, figures: Figures): Promise<number> {
  figures.conversations.pipeline++;
  const { random } = lane;
  const from = random.integer(lane.leaves.length);
  const leaves = [...lane.leaves.slice(from), ...lane.leaves.slice(0, from)].slice(0, 2 + random.integer(6));
  const all = leaves.map((leaf, i) => (i === leaves.length - 1 ? anything(lane, leaf) : inOrder(lane, leaf)));
  const talking = await startTalk(lane.port, figures);
  const answers = await talking.ask(
    all.map(({ request }) => request),
    random,
  );
  for (const [i, modelled] of all.entries()) check(modelled, answers[i], lane);
  talking.leave();
  return all.length;
}

function anything(lane: Lane, leaf: Leaf): Modelled {
  return lane.random.integer(10) === 0 ? refused(lane, leaf) : inOrder(lane, leaf);
}

function inOrder(lane: Lane, leaf: Leaf): Modelled {
  const chance = lane.random.integer(40);
  if (chance < 4) return read(lane, leaf);
  if (chance < 6) return state(lane, leaf);
  if (chance < 7) return aside(lane);
  if (chance < 8) return remove(lane, leaf);
  return append(lane, leaf);
}

function check({ request, check: judge }: Modelled, answer: Parameters<Modelled["check"]>[0] | undefined, lane: Lane) {
  try {
    if (answer === undefined) throw new Error("the connection was closed instead of an answer");
    judge(answer);
  } catch (error) {
    const sent = encode(request, lane.random).toString().slice(0, 3_000);
    throw new Error(`${(error as Error).message}\nproject ${lane.project}, request:\n${sent}`, { cause: error });
  }
}

/** A live reader sees what was there and what is appended meanwhile, and leaves. */
async function followLive(lane: Lane, figures: Figures): Promise<number> {
  figures.conversations.live++;
  const { random } = lane;
  const leaf = random.pick(lane.leaves);
  const reader = await open(lane.port);
  const target = `${leaf.path}?live=true&format=ndjson&project=${lane.project}`;
  reader.socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const head = (await reader.until((text) => text.includes("\r\n\r\n"))).indexOf("\r\n\r\n") + 4;
  const appends = 1 + random.integer(4);
  const talking = await startTalk(lane.port, figures);
  for (let i = 0; i < appends; i++) {
    const modelled = append(lane, leaf);
    check(modelled, (await talking.ask([modelled.request], random))[0], lane);
  }
  const lines = (text: string) => Buffer.from(chunksAt(text, head).body, "latin1").toString().split("\n").slice(0, -1);
  const text = await reader.until((so) => lines(so).length >= leaf.model.events.length);
  const seen = lines(text).map((line) => JSON.parse(line) as StreamEvent);
  expectEvents(seen, leaf.model.events, leaf.path);
  reader.socket.destroy();
  talking.leave();
  return appends + 1;
}

/** At the end: every leaf as in the model, and every birth and death told once to the ancestors that never die. */
export async function auditLane(url: string, lane: Lane): Promise<number> {
  let total = 0;
  for (const { path, model } of lane.leaves) {
    const stored = await readAll(url, path, lane.project);
    expectEvents(stored, model.events, path);
    if (stored.some(({ createdAt }, i) => createdAt < (stored[i - 1]?.createdAt ?? "")))
      throw new Error(`${path}: time`);
    total += stored.length;
  }
  return total;
}

/** What is missing or too much of the news of a lane, in its root and in the project's. */
export async function newsFault(url: string, lane: Lane): Promise<string | undefined> {
  const alive = new Set((await allStreams(url, lane.project)).map(({ path }) => path));
  const paths = new Set([...lane.leaves, ...lane.groups.map((path) => ({ path }))].map(({ path }) => path));
  for (const path of [...paths])
    for (const above of ancestors(path)) if (above.startsWith(`${lane.root}/`)) paths.add(above);
  for (const ancestor of [lane.root, "/"]) {
    const told = await readAll(url, ancestor, lane.project);
    if (told.some(({ offset }, i) => offset !== i + 1)) return `${ancestor} has gaps`;
    for (const path of paths) {
      const ends = lane.ended.get(path) ?? [];
      const news = told.filter(({ payload }) => (payload as { childPath?: string }).childPath === path);
      const births = news.filter(({ type }) => type === builtin("child-stream-created")).length;
      const heads = news.flatMap(({ payload }) => (payload as { head?: number }).head ?? []);
      if (births !== ends.length + (alive.has(path) ? 1 : 0)) return `${ancestor} heard of ${births} births of ${path}`;
      if (heads.join() !== [...ends].sort((a, b) => a - b).join())
        return `${ancestor} heard of the ends ${heads} of ${path}, not ${ends}`;
    }
  }
  return undefined;
}
