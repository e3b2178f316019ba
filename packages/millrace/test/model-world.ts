/** One engine over one log, driven by the property tests: what is asked of it, and its answers as plain data. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createEngine, createMemoryDirectory, type Directory, decodeRecord, type Engine } from "@millrace/engine";
import { type EventInput, isStreamError } from "@millrace/protocol";
import { createManualClock, createSeededRandom, type ManualClock } from "@millrace/testing";
import { createSqliteDirectory } from "millrace";
import { builtin, type ModelEvent, type ModelRead, type Outcome } from "./model.ts";

/** A store that many runs share, each in its own project. */
export interface Store {
  name: string;
  /** How many cases a quick run tries. */
  runs: number;
  directory: Directory;
  reopen(): Promise<void>;
  dispose(): Promise<void>;
}

export function memoryStore(): Store {
  return {
    name: "memory",
    runs: 300,
    directory: createMemoryDirectory(),
    reopen: async () => {},
    dispose: async () => {},
  };
}

export function sqliteStore(): Store {
  const data = mkdtempSync(path.join(tmpdir(), "millrace-model-"));
  const open = () =>
    createSqliteDirectory({
      directory: data,
      onFatal(message) {
        throw new Error(message);
      },
    });
  const store: Store = {
    name: "SQLite",
    runs: 60,
    directory: open(),
    async reopen() {
      await store.directory.close();
      store.directory = open();
    },
    async dispose() {
      await store.directory.close();
      rmSync(data, { recursive: true });
    },
  };
  return store;
}

export class ModelWorld {
  readonly clock: ManualClock = createManualClock();
  readonly #store: Store;
  readonly #project: string;
  #restarts = 0;
  #engine: Engine;

  constructor(store: Store, project: string) {
    this.#store = store;
    this.#project = project;
    this.#engine = this.#start();
  }

  /** Few streams may be open, so that they leave and come back all the time. */
  #start(): Engine {
    return createEngine({
      // The store outlives its engines.
      directory: { ...this.#store.directory, close: async () => {} },
      clock: this.clock,
      random: createSeededRandom(++this.#restarts),
      limits: { openStreams: 2 },
    });
  }

  async restart(): Promise<void> {
    await this.#engine.close();
    await this.#store.reopen();
    this.#engine = this.#start();
  }

  close(): Promise<void> {
    return this.#engine.close();
  }

  async append(streamPath: string, batch: readonly EventInput[]): Promise<Outcome> {
    const inputs = batch.map((event) => ({
      event,
      ...(event.idempotencyKey === undefined ? {} : { idempotencyKey: event.idempotencyKey }),
    }));
    try {
      const appended = await this.#engine.append(this.#project, streamPath, inputs, { bytes: 100 * batch.length });
      return { offsets: appended.map(({ offset }) => offset) };
    } catch (error) {
      if (!isStreamError(error)) throw error;
      const { element } = error.data as { element?: number };
      return { code: error.code, ...(element === undefined ? {} : { element }) };
    }
  }

  async delete(streamPath: string, children = false): Promise<{ path: string; head: number }[]> {
    return this.#engine.delete(this.#project, streamPath, { children });
  }

  async read(streamPath: string, { type, ...range }: ModelRead): Promise<ModelEvent[]> {
    const events: ModelEvent[] = [];
    const request = { ...range, ...(type === undefined ? {} : { accepts: (candidate: string) => candidate === type }) };
    const items = this.#engine.read(this.#project, streamPath, request, new AbortController().signal);
    for await (const item of items) {
      if (item.kind !== "events") continue;
      for (const [i, record] of item.records.entries()) {
        events.push(toModelEvent(streamPath, item.offsets?.[i] ?? item.first + i, record));
      }
    }
    return events;
  }

  /** Reads along, over deletions, until it is stopped: everything that was seen, life after life. */
  follow(streamPath: string, stop: AbortSignal): Promise<ModelEvent[]> {
    const engine = this.#engine;
    const project = this.#project;
    const seen: ModelEvent[] = [];
    return (async () => {
      for (let after = 0; !stop.aborted; ) {
        for await (const item of engine.read(project, streamPath, { after, live: true }, stop)) {
          if (item.kind === "deleted") break;
          if (item.kind !== "events") continue;
          for (const [i, record] of item.records.entries()) {
            after = item.offsets?.[i] ?? item.first + i;
            seen.push(toModelEvent(streamPath, after, record));
          }
        }
      }
      return seen;
    })();
  }

  async heads(): Promise<Record<string, number>> {
    const { streams } = await this.#engine.list({
      project: this.#project,
      prefix: "/x",
      depth: "children",
      limit: 100,
    });
    return Object.fromEntries(streams.map((stream) => [stream.path, stream.head]));
  }
}

function toModelEvent(streamPath: string, offset: number, record: string): ModelEvent {
  const { type, payload, metadata, idempotencyKey } = decodeRecord(streamPath, offset, record);
  const event: ModelEvent = { offset, type, payload: type === builtin("initialized") ? "masked" : payload };
  if (metadata !== undefined) event.metadata = metadata;
  if (idempotencyKey !== undefined) event.idempotencyKey = idempotencyKey;
  return event;
}
