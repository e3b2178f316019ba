/** The state of a consumer whose code is loaded, up to the newest snapshot; what lies behind that is to be folded. */
import type { StreamEvent } from "../event.ts";
import type { Logger } from "../hook.ts";
import type { Consumer } from "./consumer.ts";
import type { ElsewhereProcessor, Folded } from "./folded.ts";
import { foldHere } from "./folded-here.ts";
import type { StoredState } from "./house.ts";
import type { LoadedProcessor } from "./spec.ts";

/**
 * @param cursor what lies behind it has to be folded right before it is acted on: a later state would be the wrong one
 * @param apart a state beside the consumer's own, of which nothing is told
 */
export async function openFolded(
  consumer: Consumer,
  processor: LoadedProcessor | ElsewhereProcessor,
  cursor: number,
  apart = false,
): Promise<Folded> {
  const { name, house, spec, kind } = consumer;
  const stored = kind.stateless ? undefined : usable(await house.consumerSnapshot(name), spec.configuredAt, cursor);
  if (isElsewhere(processor)) return processor.open({ house, stored, cursor, passedOver, tell, loggerAt });
  const from =
    stored === undefined
      ? { offset: kind.stateless ? cursor : 0, value: processor.initialState as unknown }
      : { offset: stored.offset, value: JSON.parse(stored.state) as unknown };
  return foldHere(processor, from, unkept);

  async function passedOver(offset: number, fault: string): Promise<void> {
    if (offset > consumer.driver.progress.cursor) await tell(offset, fault);
  }

  async function tell(offset: number, message: string): Promise<void> {
    if (!apart) await consumer.tell(offset, message);
  }

  function loggerAt(offset: number): Logger {
    return apart ? silent : house.surroundings({ slug: spec.slug, offset }).logger;
  }

  function unkept(offset: number, fault: string): void {
    const where = `The state of ${spec.slug} on ${house.path} at offset ${offset}`;
    house.onFailure(
      new Error(`${where} is not JSON: ${fault}. It is not kept, so the next start reads all of history.`),
    );
  }
}

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * A page of history at once: to tell the driver of each event costs more than most reducers. Ends before the page does
 * where somebody has to be waited for, or an event cannot be folded.
 */
export function handOver(
  folded: Folded,
  events: readonly StreamEvent[],
): { through?: number; folding?: Promise<void>; failed?: unknown } {
  let through: number | undefined;
  const soFar = () => (through === undefined ? {} : { through });
  try {
    for (const event of events) {
      const folding = folded.fold(event);
      through = event.offset;
      if (folding !== undefined) return { ...soFar(), folding: Promise.resolve(folding) };
    }
    return soFar();
  } catch (failed) {
    return { ...soFar(), failed };
  }
}

export interface ConsumerSnapshot extends StoredState {
  consumer: string;
}

/** As it is kept: with the version that folded it. Undefined where none is due. */
export function snapshotOf({ name, spec, driver, folded }: Consumer): ConsumerSnapshot | undefined {
  const made = driver.waiting.length > 0 ? undefined : folded?.snapshot();
  if (made === undefined) return undefined;
  const { offset, state } = made;
  return { consumer: name, offset, state: `{"version":${spec.configuredAt},"value":${state}}` };
}

function usable(stored: StoredState | undefined, version: number, cursor: number): StoredState | undefined {
  if (stored === undefined || stored.offset > cursor) return undefined;
  const start = `{"version":${version},"value":`;
  if (!stored.state.startsWith(start)) return undefined;
  return { offset: stored.offset, state: stored.state.slice(start.length, -1) };
}

function isElsewhere(processor: LoadedProcessor | ElsewhereProcessor): processor is ElsewhereProcessor {
  return "open" in processor;
}
