/**
 * Whether a reducer grows slower as its state grows. One that copies or searches all of its history for each event is
 * quick in every small test and takes minutes for a log of a year.
 */
import type { Processor, StreamEvent } from "@millrace/protocol";
import { admitAndReduce } from "./admit-and-reduce.ts";
import { realNow } from "./event-loop.ts";
import { copyOf } from "./json-difference.ts";
import { type EventLike, storedEvents } from "./stored-events.ts";

export interface TimePerEvent {
  /** Microseconds for one event: the median over the first tenth of the log. */
  firstTenthUs: number;
  lastTenthUs: number;
  /** How many times longer an event takes at the end: about 1 for a reducer that does the same for each event. */
  ratio: number;
}

/** Of several folds the quickest counts, event by event: so neither compiling nor collecting garbage shows. */
const folds = 5;
const eventsMin = 20;
/** What cannot be told from the reading of the clock. */
const resolutionUs = 0.1;

/**
 * Times a reducer; how slow is too slow is for the caller to say.
 *
 *     const { ratio } = timePerEvent(pingPong, Array.from({ length: 10_000 }, () => ({ type: "ping" })));
 *     if (ratio > 10) throw new Error("it does more for each event, the more events there were");
 *
 * @param events 20 at least; thousands tell more, and of the same types at the beginning and at the end
 * @throws Error for fewer events, and what `reduce` throws
 */
export function timePerEvent<State>(processor: Processor<State>, events: Iterable<EventLike>): TimePerEvent {
  const stored = storedEvents(events);
  if (stored.length < eventsMin) {
    throw new Error(`timePerEvent needs ${eventsMin} events or more, got ${stored.length}.`);
  }
  const quickest = new Array<number>(stored.length).fill(Number.POSITIVE_INFINITY);
  for (let fold = 0; fold < folds; fold++) timeFold(processor, stored, quickest);
  const tenth = Math.floor(stored.length / 10);
  const firstTenthUs = Math.max(median(quickest.slice(0, tenth)) * 1_000, resolutionUs);
  const lastTenthUs = Math.max(median(quickest.slice(-tenth)) * 1_000, resolutionUs);
  return { firstTenthUs, lastTenthUs, ratio: lastTenthUs / firstTenthUs };
}

/** @param quickest milliseconds for each event so far, made less where this fold was quicker */
function timeFold<State>(processor: Processor<State>, events: readonly StreamEvent[], quickest: number[]): void {
  let state = copyOf(processor.initialState);
  for (const [i, event] of events.entries()) {
    const began = realNow();
    state = admitAndReduce(processor, state, event);
    quickest[i] = Math.min(realNow() - began, quickest[i] as number);
  }
}

function median(values: number[]): number {
  const sorted = values.sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
