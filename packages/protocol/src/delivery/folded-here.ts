/** The state of a processor whose code is at hand: folded from the events, kept in memory, cached in snapshots. */
import type { StreamEvent } from "../event.ts";
import { reduceOnce } from "../reduce-once.ts";
import { jsonStateFault } from "../state-fault.ts";
import { admit } from "./admit.ts";
import { FoldError, type Folded } from "./folded.ts";
import { messageOf } from "./hook-run.ts";
import type { StoredState } from "./house.ts";
import type { LoadedProcessor } from "./spec.ts";

const snapshotEvents = 1_000;

/**
 * @param from the newest snapshot, parsed; or where nothing is folded
 * @param unkept hears why a state cannot be kept as a snapshot
 */
export function foldHere(
  processor: LoadedProcessor,
  from: { offset: number; value: unknown },
  unkept: (offset: number, fault: string) => void,
): Folded {
  let { value, offset } = from;
  let snapshotOffset = offset;

  function fold(event: StreamEvent): void {
    try {
      value = reduceOnce(processor, value, event);
    } catch (error) {
      throw new FoldError(event.offset, `reduce failed: ${messageOf(error)}`);
    }
    offset = event.offset;
  }

  function snapshot(): StoredState | undefined {
    if (offset - snapshotOffset < snapshotEvents) return undefined;
    snapshotOffset = offset;
    const fault = jsonStateFault(value);
    if (fault === undefined) return { offset, state: JSON.stringify(value) ?? "null" };
    unkept(offset, fault);
    return undefined;
  }

  return {
    decides: processor.afterCatchUp !== undefined,
    get offset() {
      return offset;
    },
    get value() {
      return value;
    },
    ...(processor.events === undefined ? {} : { admit: (event: StreamEvent) => admit(processor, event) }),
    fold,
    through(reached) {
      offset = Math.max(offset, reached);
    },
    snapshot,
    state: () => value,
    afterAppend: (call) => processor.afterAppend?.({ ...call, state: value }),
    afterCatchUp: (call) => processor.afterCatchUp?.({ ...call, state: value }),
    isHolding: () => processor.isHolding?.() === true,
    close: () => processor.close?.(),
    grown: () => processor.grown?.(),
  };
}
