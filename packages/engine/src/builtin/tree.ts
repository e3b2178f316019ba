/**
 * The tree: tells every ancestor of a path that a stream was born or deleted below it.
 *
 * The obligation is not a promise in memory but the claim in the birth's own commit (or on what a deletion left), so
 * a crash anywhere loses nothing. Announcing appends with a key derived from the stream's id, so doing it again
 * changes nothing. Announcements to one ancestor are gathered into batches: a thousand births are a few commits.
 */
import { ancestors, type EventInput } from "@millrace/protocol";
import type { AppendRequest, Entry } from "../forming.ts";
import type { Clock, Random } from "../ports/clock.ts";
import type { Claim, DueStream } from "../ports/log.ts";
import { childStreamCreated, owedBy } from "./tree-claims.ts";

export interface TreeHouse {
  clock: Clock;
  random: Random;
  append(project: string, path: string, request: AppendRequest): Promise<unknown>;
  due(query: { now: number; limit: number }): Promise<{ streams: DueStream[]; nextDueAt: number | null }>;
  settle(due: DueStream, to: Claim | null): Promise<void>;
  onFailure(error: unknown): void;
}

export interface Tree {
  /** Looks for what was left owing, by this process or an earlier one. */
  start(): void;
  /** A commit just created this claim. */
  owe(due: DueStream): void;
  /** There may be a claim that nobody heard of: the outcome of a commit is unknown. */
  lookAgain(): void;
  /** How many births and deletions are remembered here and not yet told. */
  waiting(): number;
  /** Resolves when all that is owed by now was told, or tried once. */
  told(): Promise<void>;
  /** Resolves when what is running has ended; nothing more starts. */
  stop(): Promise<void>;
}

const roundMax = 500;
const batchMax = 1_000;
const pendingMax = 10_000;
const firstDelayMs = 1_000;
const longestDelayMs = 3_600_000;

export function createTree(house: TreeHouse): Tree {
  let pending: DueStream[] = [];
  let lookInDirectory = false;
  let running: Promise<void> | undefined;
  let stopped = false;
  let failures = 0;
  let cancelTimer = () => {};
  /** How many were ever put into `pending` and taken out again, and who waits for the latter to reach a number. */
  let owedCount = 0;
  let triedCount = 0;
  let listeners: { count: number; resolve(): void }[] = [];

  function wake(): void {
    if (running !== undefined || stopped) return;
    running = run()
      .catch(retryLater)
      .finally(() => {
        running = undefined;
        if (pending.length > 0) wake();
      });
  }

  async function run(): Promise<void> {
    while (!stopped) {
      let round = pending.splice(0, roundMax);
      const owed = round.length;
      if (owed === 0 && lookInDirectory) round = await fromDirectory();
      if (round.length === 0) return;
      try {
        if (await announce(house, round)) failures = 0;
        else retryLater(undefined);
      } finally {
        tried(owed);
      }
    }
  }

  function tried(count: number): void {
    triedCount += count;
    for (const listener of listeners) if (listener.count <= triedCount) listener.resolve();
    listeners = listeners.filter((listener) => listener.count > triedCount);
  }

  async function fromDirectory(): Promise<DueStream[]> {
    lookInDirectory = false;
    const { streams, nextDueAt } = await house.due({ now: house.clock.now(), limit: roundMax });
    if (streams.length === roundMax) lookInDirectory = true;
    else if (nextDueAt !== null) lookAgainIn(nextDueAt - house.clock.now());
    return streams;
  }

  function retryLater(error: unknown): void {
    if (error !== undefined) house.onFailure(error);
    const delay = Math.min(firstDelayMs * 2 ** failures++, longestDelayMs);
    lookAgainIn(delay * (1 + house.random.fraction() / 4));
  }

  function lookAgainIn(delayMs: number): void {
    cancelTimer();
    if (stopped) return;
    cancelTimer = house.clock.setTimer(Math.max(delayMs, 1), () => {
      lookInDirectory = true;
      wake();
    });
  }

  return {
    start() {
      lookInDirectory = true;
      wake();
    },
    owe(due) {
      // Beyond the bound it is not remembered here: the claim is on disk, and is found there when this round is done.
      if (pending.length < pendingMax) {
        pending.push(due);
        owedCount++;
      } else {
        lookInDirectory = true;
      }
      wake();
    },
    lookAgain: () => lookAgainIn(firstDelayMs),
    waiting: () => owedCount - triedCount,
    told: () =>
      new Promise((resolve) => {
        if (stopped || triedCount >= owedCount) resolve();
        else listeners.push({ count: owedCount, resolve });
      }),
    async stop() {
      stopped = true;
      cancelTimer();
      tried(pending.length);
      pending = [];
      await running;
    },
  };
}

/** True when every announcement of the round is on disk. What is not stays claimed and is found again. */
async function announce(house: TreeHouse, round: DueStream[]): Promise<boolean> {
  const failed = new Set<DueStream>();
  await Promise.all(
    batches(round).map(async ({ project, ancestor, entries, owed }) => {
      try {
        await house.append(project, ancestor, { entries, fromServer: true, bytes: 0 });
      } catch (error) {
        house.onFailure(error);
        for (const due of owed) failed.add(due);
      }
    }),
  );
  const done = round.filter((due) => !failed.has(due));
  await Promise.all(done.map((due) => house.settle(due, null)));
  return failed.size === 0;
}

interface Batch {
  project: string;
  ancestor: string;
  entries: Entry[];
  owed: DueStream[];
}

/** The announcements of a round, gathered by ancestor, in the order in which they came to be owed. */
function batches(round: DueStream[]): Batch[] {
  const open = new Map<string, Batch>();
  const all: Batch[] = [];
  for (const due of round) {
    for (const ancestor of ancestors(due.path)) {
      const id = due.project + ancestor;
      let batch = open.get(id);
      if (batch === undefined || batch.entries.length >= batchMax - 1) {
        batch = { project: due.project, ancestor, entries: [], owed: [] };
        open.set(id, batch);
        all.push(batch);
      }
      batch.entries.push(...announcements(due));
      batch.owed.push(due);
    }
  }
  return all;
}

function announcements(due: DueStream): Entry[] {
  const entries: Entry[] = [];
  const { path: childPath, birthOffset, head } = due;
  const owed = owedBy(due.claim);
  if (owed.birth) {
    const { depth, createdBy } = { depth: 0, ...owed.origin };
    const payload = { childPath, ...(createdBy === undefined ? {} : { createdBy }) };
    entries.push(announcement(due, "created", birthOffset, depth + 1, { type: childStreamCreated, payload }));
  }
  if (owed.deletion) {
    entries.push(
      announcement(due, "deleted", head.offset, 1, {
        type: "https://events.iterate.com/events/stream/child-stream-deleted",
        payload: { childPath, head: head.offset },
      }),
    );
  }
  // Of a life that is over only the living hear: an ancestor that was deleted with its child must not come back.
  return owed.deletion ? entries.map((entry) => ({ ...entry, onlyIfBorn: true })) : entries;
}

function announcement(due: DueStream, what: string, offset: number, depth: number, event: EventInput): Entry {
  return {
    event,
    key: `d:tree/${due.streamId}/${what}`,
    digest: "",
    source: { kind: "server", slug: "tree", cause: { streamPath: due.path, offset }, depth },
  };
}
