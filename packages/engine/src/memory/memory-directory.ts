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
  type StreamLog,
  type StreamSummary,
} from "../ports/log.ts";

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
  records: string[];
  keys: Map<string, KeyEntry>;
  snapshot: { offset: number; state: string } | undefined;
}

interface MemoryHead extends Head {
  life: Life | undefined;
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
  /** By position less one: the first position is 1, so that 0 is before everything. */
  const positions: Visible[] = [];

  const idOf = (project: string, path: string) => project + path;

  function setClaim(life: Life, claim: Claim | null): void {
    life.claim = claim;
    if (claim === null) owing.delete(life);
    else owing.add(life);
  }

  function log(project: string, path: string): StreamLog {
    const current = () => lives.get(idOf(project, path));

    function checkHead(expected: Head): void {
      const { offset, life } = expected as MemoryHead;
      if (offset !== (current()?.head ?? 0) || life !== current()) throw new HeadConflict(`${path} moved on`);
    }

    function committed(life: Life): Committed {
      const head: MemoryHead = { offset: life.head, life };
      return { head, position: positions.length };
    }

    return {
      async load(): Promise<LoadedStream> {
        const life = current();
        const head: MemoryHead = { offset: life?.head ?? 0, life };
        if (life === undefined || life.deleted) {
          return { head, lastEventAt: life?.lastEventAt ?? 0, claim: null };
        }
        return {
          head,
          birth: { streamId: life.streamId, offset: life.birthOffset, at: life.birthAt },
          lastEventAt: life.lastEventAt,
          claim: life.claim,
          ...(life.snapshot === undefined ? {} : { snapshot: life.snapshot }),
        };
      },

      async append(commit: Commit, expected: Head): Promise<Committed> {
        checkHead(expected);
        const alive = current()?.deleted === false;
        if (alive === (commit.birth !== undefined))
          throw new HeadConflict(`${path} ${alive ? "lives" : "has no stream"}`);
        const life = commit.birth === undefined ? (current() as Life) : bear(project, path, commit);
        if (commit.birth !== undefined) lives.set(idOf(project, path), life);
        for (const record of commit.records) life.records.push(record);
        for (const entry of commit.keys) life.keys.set(entry.key, entry);
        life.head = commit.first + commit.records.length - 1;
        life.lastEventAt = commit.at;
        if (commit.paused !== undefined) life.paused = commit.paused;
        if (commit.claim !== undefined) setClaim(life, commit.claim);
        if (commit.snapshot !== undefined) life.snapshot = commit.snapshot;
        positions.push({ life, first: commit.first, count: commit.records.length });
        return committed(life);
      },

      async remove(expected: Head, claim: Claim | null): Promise<Committed> {
        checkHead(expected);
        const life = current();
        if (life === undefined || life.deleted) throw new HeadConflict(`${path} has no stream`);
        life.deleted = true;
        life.records = [];
        life.keys = new Map();
        life.snapshot = undefined;
        setClaim(life, claim);
        return committed(life);
      },

      async read({ after, through, maxEvents, maxBytes }) {
        const life = current();
        if (life === undefined || life.deleted) return { first: after + 1, records: [] };
        const first = Math.max(after + 1, life.birthOffset);
        const records: string[] = [];
        let bytes = 0;
        for (let offset = first; offset <= Math.min(through, life.head) && records.length < maxEvents; offset++) {
          const record = life.records[offset - life.birthOffset] as string;
          bytes += record.length;
          if (records.length > 0 && bytes > maxBytes) break;
          records.push(record);
        }
        return { first, records };
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
          const head: MemoryHead = { offset: life.head, life };
          return { project, path, streamId, birthOffset, deleted, head, claim: life.claim as Claim };
        });
      const later = claimed.find((life) => (life.claim as Claim).dueAt > now);
      return { streams, nextDueAt: later?.claim?.dueAt ?? null };
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
        const records = life.records.slice(start, start + count);
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
    keys: new Map(),
    snapshot: undefined,
  };
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
