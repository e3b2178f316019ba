/**
 * Whether a reducer is pure: the state hangs on the events and on nothing else, changes nothing that it was given, and
 * is JSON. What is not pure comes to another state after a restart, in another process, or when history is reduced
 * again for a new version.
 *
 * Two folds side by side, from the beginning: the clock is elsewhere in the second, and chance falls otherwise. In the
 * first the reducer gets frozen copies, in the second ones that are compared afterwards, which shows where it wrote.
 */
import type { Processor, StreamEvent } from "@millrace/protocol";
import { admitAndReduce, messageOf, placeOf } from "./admit-and-reduce.ts";
import { withAlteredGlobals } from "./altered-globals.ts";
import { copyOf, deepFrozen, firstDifference, notJson, show } from "./json-difference.ts";
import { createSeededRandom, type SeededRandom } from "./seeded-random.ts";
import { type EventLike, storedEvents } from "./stored-events.ts";

/** Days, months and years are other ones, too. */
const clockDistanceMs = 40_000_000_000;

/**
 * Reduces the events twice and compares; returns the state at the end. Nothing is acted on.
 *
 *     checkPurity(pingPong, [{ type: "ping" }, { type: "ping" }]);
 *
 * @param events what would be appended, or stored events such as those of an exported log
 * @throws Error that names the event and the place in the state of the first fault: a state or an event that was
 * changed, a clock or chance that shows in the state, a promise, or something that is not JSON
 */
export function checkPurity<State>(processor: Processor<State>, events: Iterable<EventLike>): State {
  const fault = notJson(processor.initialState, "initialState");
  if (fault !== undefined) throw impure(processor, `${fault.at} is ${fault.what}, which is not JSON.`);
  const first = createFold(processor);
  const second = createFold(processor, clockDistanceMs);
  for (const event of storedEvents(events)) {
    const fail = (what: string) => impure(processor, `at ${placeOf(event)} ${what}`);
    const frozen = attempt(() => first.step(deepFrozen(copyOf(first.state)), deepFrozen(copyOf(event))));
    const before = copyOf(second.state);
    const given = { state: copyOf(before), event: copyOf(event) };
    const free = attempt(() => second.step(given.state, given.event));
    const written = firstDifference({ state: before, event }, given);
    if (written !== undefined) throw fail(wrote(written));
    const failed = failure(frozen.error, free.error);
    if (failed !== undefined) throw fail(failed);
    const wrong = notJson(first.state, "state");
    if (wrong !== undefined) throw fail(`${wrong.at} is ${wrong.what}, which is not JSON.`);
    const differs = firstDifference(first.state, second.state, false, "state");
    if (differs !== undefined) throw fail(differed(differs, [...first.asked, ...second.asked]));
  }
  return first.state;
}

interface Fold<State> {
  state: State;
  /** What of the outside world the reducer asked for, in all its steps. */
  readonly asked: Set<string>;
  step(state: State, event: StreamEvent): void;
}

function createFold<State>(processor: Processor<State>, distanceMs = 0): Fold<State> {
  const began = Date.now() + distanceMs;
  const chance = createSeededRandom(1);
  const asked = new Set<string>();
  const alteration = {
    now: began,
    random: randomOf(chance, distanceMs > 0),
    onAsked: (what: string) => asked.add(what),
  };
  const fold: Fold<State> = {
    state: processor.initialState,
    asked,
    step(state, event) {
      fold.state = withAlteredGlobals(alteration, () => admitAndReduce(processor, state, event));
    },
  };
  return fold;
}

/** The one is as far from 0 as the other from 1: so a coin that is tossed falls on the other side. */
function randomOf(chance: SeededRandom, mirrored: boolean): () => number {
  return () => {
    const fraction = chance.fraction();
    return mirrored ? Math.max(1 - fraction - Number.EPSILON, 0) : fraction;
  };
}

function attempt(run: () => void): { error?: unknown } {
  try {
    run();
    return {};
  } catch (error) {
    return { error: error ?? new Error("nothing was said") };
  }
}

/** In one of the two folds, or in both. Also what sorts a sorted list in place writes to it. */
function failure(frozen: unknown, free: unknown): string | undefined {
  if (frozen === undefined && free === undefined) return undefined;
  if (free === undefined) return `reduce failed where what it is given is frozen: ${messageOf(frozen)}`;
  if (frozen === undefined) return `reduce failed when it ran again: ${messageOf(free)}`;
  return `reduce failed: ${messageOf(frozen)}`;
}

function wrote({ at, left, right }: { at: string; left?: unknown; right?: unknown }): string {
  return `reduce changed what it was given: ${at.slice(1)} was ${show(left)} and is ${show(right)}. Return a new state instead.`;
}

function differed({ at, left, right }: { at: string; left?: unknown; right?: unknown }, asked: string[]): string {
  const sources = [...new Set(asked)].join(", ");
  const why =
    sources === "" ? "" : ` It asked ${sources}; what a state needs of time or chance belongs into the event.`;
  return `reduce gave two states for the same events: ${at} is ${show(left)} and then ${show(right)}.${why}`;
}

function impure({ slug }: { slug: string }, what: string): Error {
  return new Error(`${slug} is not pure: ${what}`);
}
