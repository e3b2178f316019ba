/** A whole engine in one process: memory log, a clock that stands still, seeded chance. What the engine's tests run on. */
import { type EventInput, type EventSource, isStreamError, type Limits, type StreamEvent } from "@millrace/protocol";
import {
  createManualClock,
  createSeededRandom,
  type Intercept,
  interceptDirectory,
  type ManualClock,
} from "@millrace/testing";
import type { ConsumerKind } from "../src/consumer/spec.ts";
import { createEngine } from "../src/engine.ts";
import type { Engine, EngineOptions } from "../src/engine-interface.ts";
import { createMemoryDirectory } from "../src/memory/memory-directory.ts";
import type { Directory } from "../src/ports/log.ts";
import type { ReadItem, ReadRequest } from "../src/read.ts";
import { decodeRecord } from "../src/record.ts";

export const builtin = (name: string): string => `https://events.iterate.com/events/stream/${name}`;

export interface WorldOptions {
  /** Of an earlier world: then this one is what a restart after a crash finds. */
  directory?: Directory;
  clock?: ManualClock;
  seed?: number;
  limits?: Partial<Limits>;
  consumers?: readonly ConsumerKind[];
  /** What leaves a stream: with these there are transformers and subscriptions. */
  ports?: Pick<EngineOptions, "expressions" | "outbound" | "secrets" | "sandbox" | "bundler">;
  /** Stands between the engine and its log. */
  intercept?: Intercept;
}

export interface World {
  engine: Engine;
  /** The store itself, without anybody in between. */
  directory: Directory;
  clock: ManualClock;
  /** What `onFailure` heard. */
  failures: unknown[];
  append(path: string, input: Input | Input[], source?: EventSource): Promise<StreamEvent[]>;
  /** The code of the refusal, with its data; fails when it was none. */
  refusal(attempt: Promise<unknown>): Promise<Record<string, unknown>>;
  events(path: string, request?: Partial<ReadRequest>): Promise<StreamEvent[]>;
  /** What was born or deleted below a path, as it was told. */
  news(path: string): Promise<string[]>;
  reader(path: string, request?: Partial<ReadRequest>): Reader;
}

export type Input = EventInput;

export interface Reader {
  /** The next item, or undefined when the read is over. */
  next(): Promise<ReadItem | undefined>;
  /** Offsets of the next events, at least this many. */
  offsets(count: number): Promise<number[]>;
  stop(): void;
}

/** Lets everything run that needs no time: with the memory log that is all there is to do. */
export async function untilQuiet(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

export function createWorld(options: WorldOptions = {}): World {
  const { directory = createMemoryDirectory(), clock = createManualClock(), intercept } = options;
  const failures: unknown[] = [];
  const engine = createEngine({
    directory: intercept === undefined ? directory : interceptDirectory(directory, intercept),
    clock,
    random: createSeededRandom(options.seed ?? 1),
    onFailure: (error) => failures.push(error),
    ...options.ports,
    ...(options.consumers === undefined ? {} : { consumers: options.consumers }),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });

  async function events(path: string, request: Partial<ReadRequest> = {}): Promise<StreamEvent[]> {
    const found: StreamEvent[] = [];
    for await (const item of engine.read("public", path, { after: 0, ...request }, new AbortController().signal)) {
      found.push(...eventsOf(path, item));
    }
    return found;
  }

  return {
    engine,
    directory,
    clock,
    failures,
    events,

    async append(path, input, source) {
      const inputs = (Array.isArray(input) ? input : [input]).map((event) => ({
        event,
        ...(event.idempotencyKey === undefined ? {} : { idempotencyKey: event.idempotencyKey }),
      }));
      const options = { bytes: 100 * inputs.length, ...(source === undefined ? {} : { source }) };
      const appended = await engine.append("public", path, inputs, options);
      return appended.map(({ offset, record }) => decodeRecord(path, offset, record));
    },

    async refusal(attempt) {
      try {
        await attempt;
      } catch (error) {
        if (isStreamError(error)) return { code: error.code, ...error.data };
        throw error;
      }
      throw new Error("expected a refusal");
    },

    async news(path) {
      const { length } = builtin("child-stream-");
      const told = await events(path, { accepts: (type) => type.startsWith(builtin("child-stream-")) });
      return told.map(({ type, payload }) => `${type.slice(length)} ${(payload as { childPath: string }).childPath}`);
    },

    reader(path, request = {}) {
      const aborter = new AbortController();
      const items = engine.read("public", path, { after: 0, live: true, ...request }, aborter.signal);
      const next = async () => {
        const { value, done } = await items.next();
        return done ? undefined : value;
      };
      return {
        next,
        async offsets(count) {
          const offsets: number[] = [];
          while (offsets.length < count) {
            const item = await next();
            if (item === undefined) break;
            offsets.push(...eventsOf(path, item).map(({ offset }) => offset));
          }
          return offsets;
        },
        stop: () => aborter.abort(),
      };
    },
  };
}

/** An engine that stops dead at the first call that `dies` names: nothing of it reaches the log any more. */
export function dyingAt(dies: (call: Parameters<Intercept>[0]) => boolean): World {
  let dead = false;
  return createWorld({
    async intercept(call, proceed) {
      dead ||= dies(call);
      return dead ? new Promise(() => {}) : proceed();
    },
  });
}

export function eventsOf(path: string, item: ReadItem): StreamEvent[] {
  if (item.kind !== "events") return [];
  return item.records.map((record, i) => decodeRecord(path, item.offsets?.[i] ?? item.first + i, record));
}

/** 1, 2, 3 ... */
export function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
