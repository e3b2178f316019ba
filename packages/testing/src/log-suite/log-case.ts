/** What the cases of the log's suite are made of. */
import type { Claim, Commit, Committed, Directory, Head, LoadedStream, StreamLog } from "@millrace/engine";

/** A store made for one case. */
export interface LogStore {
  directory: Directory;
  /** Closes the directory and opens the same store again. Only for adapters that persist. */
  reopen?(): Promise<Directory>;
  /** Closes it and removes every trace. */
  dispose(): Promise<void>;
}

export interface LogCase {
  name: string;
  run(store: LogStore): Promise<void>;
}

/** The time at which all that is not about time happens. */
export const someTime: number = Date.UTC(2026, 0, 1);

/** A record as the engine would write it: the log never looks into it. */
export function record(payload: unknown): string {
  return `"type":"test","payload":${JSON.stringify(payload)},"createdAt":"2026-01-01T00:00:00.000Z"}`;
}

export function records(count: number, from = 1): string[] {
  return Array.from({ length: count }, (_, i) => record(from + i));
}

/** One writer of one stream, which remembers its head as the engine does. */
export class StreamWriter {
  readonly path: string;
  readonly log: StreamLog;
  head: Head = { offset: 0 };
  #loaded = false;
  #born = false;
  #lives = 0;

  constructor(directory: Directory, path: string, project = "public") {
    this.path = path;
    this.log = directory.log(project, path);
  }

  async load(): Promise<LoadedStream> {
    const loaded = await this.log.load();
    this.head = loaded.head;
    this.#loaded = true;
    this.#born = loaded.birth !== undefined;
    return loaded;
  }

  /** Appends from the head on; the first append of a life is its birth. */
  async append(texts: readonly string[], extras: Partial<Commit> = {}): Promise<Committed> {
    if (!this.#loaded) await this.load();
    const committed = await this.log.append(this.commit(texts, extras), this.head);
    this.head = committed.head;
    this.#born = true;
    return committed;
  }

  commit(texts: readonly string[], extras: Partial<Commit> = {}): Commit {
    const birth = this.#born ? {} : { birth: { streamId: `${this.path} life ${++this.#lives}` } };
    return { first: this.head.offset + 1, records: texts, at: someTime, keys: [], ...birth, ...extras };
  }

  async remove(claim: Claim | null = null): Promise<Committed> {
    const committed = await this.log.remove(this.head, claim);
    this.head = committed.head;
    this.#born = false;
    return committed;
  }

  /** Everything that is there, read in one piece. */
  async all(): Promise<string[]> {
    const read = await this.log.read({ after: 0, through: 1e9, maxEvents: 1e9, maxBytes: 1e9 });
    return read.records;
  }
}

/** A stream with this many events, born now. */
export async function born(directory: Directory, path: string, count = 1, project = "public"): Promise<StreamWriter> {
  const writer = new StreamWriter(directory, path, project);
  await writer.append(records(count));
  return writer;
}

/** All pages of a list. */
export async function listAll(
  directory: Directory,
  query: { project?: string; prefix?: string; depth?: "all" | "children"; limit?: number } = {},
): Promise<string[]> {
  const { project = "public", prefix = "/", depth = "all", limit = 1_000 } = query;
  const paths: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await directory.list({ project, prefix, depth, limit, ...(cursor === undefined ? {} : { cursor }) });
    for (const { path } of page.streams) paths.push(path);
    if (page.streams.length > limit) throw new Error(`a page of ${limit} has ${page.streams.length} streams`);
    if (page.next === null) return paths;
    if (page.streams.length < limit) throw new Error(`a page that is not full has a next page: ${page.next}`);
    cursor = page.next;
  }
}
