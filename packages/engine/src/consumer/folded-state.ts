/** A processor's code and its state at one offset: folded from the events, kept in memory, cached in snapshots. */
import type { StreamEvent } from "@millrace/protocol";
import type { ConsumerHouse } from "./house.ts";
import type { ConsumerSpec, LoadedProcessor } from "./spec.ts";

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

/** @param cursor a snapshot behind it would have been acted on before it was folded: it is not used */
export async function loadState(
  processor: LoadedProcessor,
  house: ConsumerHouse,
  spec: ConsumerSpec,
  { name, cursor }: { name: string; cursor: number },
): Promise<FoldedState> {
  const version = spec.configuredAt;
  const stored = await house.consumerSnapshot(name);
  const parsed = stored === undefined ? undefined : (JSON.parse(stored.state) as { version: number; value: unknown });
  const usable = stored !== undefined && stored.offset <= cursor && parsed?.version === version;
  let value = usable ? parsed.value : processor.initialState;
  let offset = usable ? stored.offset : 0;
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
      return { offset, state: JSON.stringify({ version, value }) };
    },
  };
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
