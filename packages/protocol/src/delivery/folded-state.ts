/** A processor's code and its state at one offset: folded from the events, kept in memory, cached in snapshots. */
import type { StreamEvent } from "../event.ts";
import type { Consumer } from "./consumer.ts";
import type { LoadedProcessor } from "./spec.ts";

const snapshotEvents = 1_000;

export interface FoldedState {
  readonly processor: LoadedProcessor;
  readonly offset: number;
  readonly value: unknown;
  /** @throws Error when the reducer failed: it is deterministic, so it would fail again */
  fold(event: StreamEvent): void;
  /** Everything up to here was looked at, and the rest was not for this processor. */
  through(offset: number): void;
  /** A snapshot, where so much was folded since the last one that it saves time. */
  snapshot(): { offset: number; state: string } | undefined;
}

/** The state up to the newest snapshot; what lies behind that is to be folded. */
export async function loadState(consumer: Consumer, processor: LoadedProcessor, cursor: number): Promise<FoldedState> {
  const { name, house, spec, kind } = consumer;
  const version = spec.configuredAt;
  const stored = kind.stateless ? undefined : await house.consumerSnapshot(name);
  const parsed = stored === undefined ? undefined : (JSON.parse(stored.state) as { version: number; value: unknown });
  // What lies behind the cursor has to be folded right before it is acted on: a later state would be the wrong one.
  const usable = stored !== undefined && stored.offset <= cursor && parsed?.version === version;
  let value = usable ? parsed.value : processor.initialState;
  let offset = usable ? stored.offset : kind.stateless ? cursor : 0;
  let snapshotOffset = offset;
  return {
    processor,
    get offset() {
      return offset;
    },
    get value() {
      return value;
    },
    fold(event) {
      const next: unknown = processor.reduce({ state: value, event });
      if (isThenable(next)) throw new Error("reduce returned a promise; it has to be synchronous.");
      if (next !== undefined) value = next;
      offset = event.offset;
    },
    through(reached) {
      offset = Math.max(offset, reached);
    },
    snapshot() {
      if (offset - snapshotOffset < snapshotEvents) return undefined;
      snapshotOffset = offset;
      const fault = notJson(value, "it");
      if (fault === undefined) return { offset, state: JSON.stringify({ version, value }) };
      const where = `The state of ${spec.slug} on ${house.path} at offset ${offset}`;
      house.onFailure(
        new Error(`${where} is not JSON: ${fault}. It is not kept, so the next start reads all of history.`),
      );
      return undefined;
    },
  };
}

const depthMax = 100;

/** What of a state would be another one after it was written as JSON and read again. */
function notJson(value: unknown, where: string, depth = 0): string | undefined {
  if (value === null || ["string", "boolean", "undefined"].includes(typeof value)) return undefined;
  if (typeof value === "number") return Number.isFinite(value) ? undefined : `${where} is ${value}`;
  if (typeof value !== "object") return `${where} is a ${typeof value}`;
  if (depth > depthMax) return `${where} is nested deeper than ${depthMax}`;
  const kind = (value as { constructor?: { name?: string } }).constructor?.name;
  if (!Array.isArray(value) && kind !== undefined && kind !== "Object") {
    return `${where} is a ${kind}`;
  }
  for (const [key, item] of Object.entries(value)) {
    const fault = notJson(item, `${where}.${key}`, depth + 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
