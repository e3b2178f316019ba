/**
 * The log in memory: real, complete, and gone with the process. It is what `--data :memory:` runs on, and the only
 * double in the tests of everything above the port.
 */
import { isBelow } from "@millrace/protocol";
import {
  type Claim,
  type Commit,
  type Committed,
  type Directory,
  type Head,
  HeadConflict,
  type KeyEntry,
  type LoadedStream,
  type PositionedRecords,
  type ProgressRow,
  type Snapshot,
  type StreamLog,
  type StreamSummary,
  type Wake,
} from "../ports/log.ts";
import { createSharedCode, type Kept, recordOf } from "./shared-code.ts";

/** One life of a stream. The head names it, so that a late settle never touches a later life. */
interface Life {
  project: string;
  path: string;
  streamId: string;
  birthOffset: number;
  birthAt: number;
  lastEventAt: number;
  head: number;
  paused: boolean;
  deleted: boolean;
  claim: Claim | null;
  records: Kept[];
  /** Of each commit with records, in order. */
  commits: { position: number; last: number }[];
  keys: Map<string, KeyEntry>;
  snapshot: Snapshot | undefined;
  wakeAt: number | null;
  progress: Map<string, string>;
  consumerSnapshots: Map<string, Snapshot>;
  /** Counts the commits that saved progress. */
  revision: number;
}

interface MemoryHead extends Head {
  life: Life | undefined;
  revision: number;
}

interface Visible {
  life: Life;
  first: number;
  count: number;
}

export function createMemoryDirectory(): Directory {
  /** The last life of every path that ever had one. */
  const lives = new Map<string, Life>();
  const owing = new Set<Life>();
  const sleeping = new Set<Life>();
  /** By position less one: the first position is 1, so that 0 is before everything. */
  const positions: Visible[] = [];
  const code = createSharedCode();

  const idOf = (project: string, path: string) => project + path;

  function setClaim(life: Life, claim: Claim | null): void {
    life.claim = claim;
    if (claim === null) owing.delete(life);
    else owing.add(life);
  }

  function setWake(life: Life, wakeAt: number | null): void {
    life.wakeAt = wakeAt;
    if (wakeAt === null) sleeping.delete(life);
    else sleeping.add(life);
  }

  function log(project: string, path: string): StreamLog {
    const current = () => lives.get(idOf(project, path));

    function checkHead(expected: Head): void {
      const { offset, life } = expected as MemoryHead;
      if (offset !== (current()?.head ?? 0) || life !== current()) throw new HeadConflict(`${path} moved on`);
    }

    function checkRevision(expected: Head): void {
      const { life, revision } = expected as MemoryHead;
      if (life !== undefined && life.revision !== revision) throw new HeadConflict(`${path} made progress elsewhere`);
    }

    function committed(life: Life): Committed {
      return { head: headOf(life), position: positions.length };
    }

    return {
      async load(): Promise<LoadedStream> {
        const life = current();
        if (life === undefined || life.deleted) {
          const head: MemoryHead = { offset: life?.head ?? 0, life, revision: 0 };
          return { head, lastEventAt: life?.lastEventAt ?? 0, claim: null, wakeAt: null, progress: [] };
        }
        return {
          head: headOf(life),
          birth: { streamId: life.streamId, offset: life.birthOffset, at: life.birthAt },
          lastEventAt: life.lastEventAt,
          claim: life.claim,
          wakeAt: life.wakeAt,
          progress: [...life.progress].map(([consumer, text]) => ({ consumer, text })),
          ...(life.snapshot === undefined ? {} : { snapshot: life.snapshot }),
        };
      },

      async append(commit: Commit, expected: Head): Promise<Committed> {
        checkHead(expected);
        const alive = current()?.deleted === false;
        if (alive === (commit.birth !== undefined))
          throw new HeadConflict(`${path} ${alive ? "lives" : "has no stream"}`);
        const life = commit.birth === undefined ? (current() as Life) : bear(project, path, commit);
        if (commit.birth === undefined) checkRevision(expected);
        if (commit.keys.some(({ key }) => life.keys.has(key)))
          throw new HeadConflict(`${path} has an event of that key`);
        if (commit.birth !== undefined) lives.set(idOf(project, path), life);
        for (const record of commit.records) life.records.push(code.keep(project, record));
        for (const entry of commit.keys) life.keys.set(entry.key, entry);
        life.head = commit.first + commit.records.length - 1;
        if (commit.records.length > 0) life.lastEventAt = commit.at;
        if (commit.paused !== undefined) life.paused = commit.paused;
        if (commit.claim !== undefined) setClaim(life, commit.claim);
        if (commit.wakeAt !== undefined) setWake(life, commit.wakeAt);
        if (commit.progress !== undefined) saveProgress(life, commit.progress);
        if (commit.snapshot !== undefined) life.snapshot = commit.snapshot;
        for (const { consumer, ...snapshot } of commit.snapshots ?? []) life.consumerSnapshots.set(consumer, snapshot);
        if (commit.records.length > 0) {
          positions.push({ life, first: commit.first, count: commit.records.length });
          life.commits.push({ position: positions.length, last: life.head });
        }
        return committed(life);
      },

      async remove(expected: Head, claim: Claim | null): Promise<Committed> {
        checkHead(expected);
        const life = current();
        if (life === undefined || life.deleted) throw new HeadConflict(`${path} has no stream`);
        life.deleted = true;
        code.release(project, life.records);
        life.records = [];
        life.commits = [];
        life.keys = new Map();
        life.snapshot = undefined;
        life.progress = new Map();
        life.consumerSnapshots = new Map();
        setClaim(life, claim);
        setWake(life, null);
        return committed(life);
      },

      async read({ after, through, maxEvents, maxBytes }) {
        const life = current();
        if (life === undefined || life.deleted) return { first: after + 1, records: [] };
        const first = Math.max(after + 1, life.birthOffset);
        const records: string[] = [];
        let bytes = 0;
        for (let offset = first; offset <= Math.min(through, life.head) && records.length < maxEvents; offset++) {
          const record = recordOf(life.records[offset - life.birthOffset] as Kept);
          bytes += record.length;
          if (records.length > 0 && bytes > maxBytes) break;
          records.push(record);
        }
        return { first, records };
      },

      async positionOf(offset) {
        const life = current();
        if (life === undefined || offset < life.birthOffset) return undefined;
        return life.commits[countWhile(life.commits, ({ last }) => last < offset)]?.position;
      },

      async headAt(position) {
        const commits = current()?.commits ?? [];
        return commits[countWhile(commits, (commit) => commit.position <= position) - 1]?.last ?? 0;
      },

      async consumerSnapshot(consumer) {
        return current()?.consumerSnapshots.get(consumer);
      },

      async findKeys(keys) {
        const found = new Map<string, KeyEntry>();
        const known = current()?.keys;
        for (const key of keys) {
          const entry = known?.get(key);
          if (entry !== undefined) found.set(key, entry);
        }
        return found;
      },
    };
  }

  return {
    log,

    async list({ project, prefix, depth, cursor, limit }) {
      const found: StreamSummary[] = [];
      for (const life of lives.values()) {
        if (life.project !== project || life.deleted) continue;
        if (cursor !== undefined && life.path <= cursor) continue;
        if (!isListed(life.path, prefix, depth)) continue;
        found.push(summary(life));
      }
      found.sort((a, b) => (a.path < b.path ? -1 : 1));
      const streams = found.slice(0, limit);
      return { streams, next: found.length > limit ? (streams.at(-1)?.path ?? null) : null };
    },

    async projects({ cursor, limit }) {
      const slugs = new Set<string>();
      for (const { project } of lives.values()) if (cursor === undefined || project > cursor) slugs.add(project);
      const all = [...slugs].sort();
      const projects = all.slice(0, limit);
      return { projects, next: all.length > limit ? (projects.at(-1) ?? null) : null };
    },

    async due({ now, limit }) {
      const claimed = [...owing].sort((a, b) => (a.claim as Claim).dueAt - (b.claim as Claim).dueAt);
      const streams = claimed
        .filter((life) => (life.claim as Claim).dueAt <= now)
        .slice(0, limit)
        .map((life) => {
          const { project, path, streamId, birthOffset, deleted } = life;
          return { project, path, streamId, birthOffset, deleted, head: headOf(life), claim: life.claim as Claim };
        });
      const later = claimed.find((life) => (life.claim as Claim).dueAt > now);
      return { streams, nextDueAt: later?.claim?.dueAt ?? null };
    },

    async wakes({ after, through, limit }) {
      const sorted = [...sleeping].map(toWake).sort((a, b) => a.wakeAt - b.wakeAt);
      const all = sorted.filter(({ wakeAt }) => wakeAt > after && wakeAt <= through);
      // Whole moments: what has the time of the last one belongs to the answer as well.
      const last = all[limit - 1]?.wakeAt;
      const wakes = last === undefined ? all : all.filter(({ wakeAt }) => wakeAt <= last);
      const reached = last ?? through;
      return { wakes, through: reached, next: sorted.find(({ wakeAt }) => wakeAt > reached)?.wakeAt ?? null };
    },

    async settle(head, from, to) {
      const { life } = head as MemoryHead;
      if (life?.claim?.kind !== from) return false;
      setClaim(life, to);
      return true;
    },

    async readPositions({ project, prefix, after, maxEvents, maxBytes }) {
      const commits: PositionedRecords[] = [];
      let events = 0;
      let bytes = 0;
      let position = after + 1;
      for (; position <= positions.length; position++) {
        const { life, first, count } = positions[position - 1] as Visible;
        if (life.project !== project || life.deleted) continue;
        if (life.path !== prefix && !isBelow(life.path, prefix)) continue;
        const start = first - life.birthOffset;
        const records = life.records.slice(start, start + count).map(recordOf);
        events += count;
        for (const record of records) bytes += record.length;
        if (commits.length > 0 && (events > maxEvents || bytes > maxBytes)) break;
        commits.push({ position, path: life.path, first, records });
      }
      return { commits, through: position - 1 };
    },

    async lastPosition() {
      return positions.length;
    },

    async close() {},
  };
}

function bear(project: string, path: string, commit: Commit): Life {
  return {
    project,
    path,
    streamId: commit.birth?.streamId as string,
    birthOffset: commit.first,
    birthAt: commit.at,
    lastEventAt: commit.at,
    head: commit.first - 1,
    paused: false,
    deleted: false,
    claim: null,
    records: [],
    commits: [],
    keys: new Map(),
    snapshot: undefined,
    wakeAt: null,
    progress: new Map(),
    consumerSnapshots: new Map(),
    revision: 0,
  };
}

/** How many at the beginning of a sorted list are so. */
function countWhile<T>(list: readonly T[], isSo: (item: T) => boolean): number {
  let from = 0;
  let to = list.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (isSo(list[middle] as T)) from = middle + 1;
    else to = middle;
  }
  return from;
}

function headOf(life: Life): MemoryHead {
  return { offset: life.head, life, revision: life.revision };
}

function saveProgress(life: Life, rows: readonly ProgressRow[]): void {
  life.revision++;
  for (const { consumer, text } of rows) {
    if (text !== null) life.progress.set(consumer, text);
    else {
      life.progress.delete(consumer);
      life.consumerSnapshots.delete(consumer);
    }
  }
}

function toWake({ project, path, wakeAt }: Life): Wake {
  return { project, path, wakeAt: wakeAt as number };
}

function isListed(path: string, prefix: string, depth: "all" | "children"): boolean {
  if (depth === "all") return path === prefix || isBelow(path, prefix);
  return isBelow(path, prefix) && !path.slice(prefix === "/" ? 1 : prefix.length + 1).includes("/");
}

function summary(life: Life): StreamSummary {
  return {
    path: life.path,
    head: life.head,
    createdAt: life.birthAt,
    lastEventAt: life.lastEventAt,
    paused: life.paused,
  };
}
