/** The states that one piece of code has in a sandbox, by name: those used last, since each can be made again. */
import { jsonStateFault } from "@millrace/protocol";
import type { SandboxDelivery } from "../ports/sandbox.ts";

export interface HeldState {
  offset: number;
  value: unknown;
  /** So many events may be folded before it is looked at again. */
  unchecked: number;
}

export interface States {
  /** The state that a delivery builds on; undefined when there is none at that offset. */
  at(delivery: Pick<SandboxDelivery, "state" | "base" | "given">): HeldState | undefined;
  /** The newest of this name. */
  newest(name: string): HeldState | undefined;
  forget(name: string): void;
}

export function createStates(statesMax: number): States {
  // A Map keeps the order of insertion: the first is the one that was not used for longest.
  const held = new Map<string, HeldState>();

  return {
    at({ state: name, base, given }) {
      const before = held.get(name);
      const found = given === undefined ? before : { offset: base, value: JSON.parse(given), unchecked: 0 };
      if (found === undefined || found.offset !== base) return undefined;
      held.delete(name);
      held.set(name, found);
      if (held.size > statesMax) held.delete(held.keys().next().value as string);
      return found;
    },
    newest: (name) => held.get(name),
    forget: (name) => held.delete(name),
  };
}

/**
 * Looking at a state costs as much as it has characters. So a small one is looked at behind every event, and a large
 * one after so many that it comes to little for each.
 * @throws Error that says what is wrong with it
 */
export function checkState(held: HeldState, charactersMax: number): void {
  if (held.unchecked > 0) {
    held.unchecked--;
    return;
  }
  const fault = jsonStateFault(held.value, "the state");
  if (fault !== undefined) throw new Error(`The state is not JSON: ${fault}.`);
  const { length } = JSON.stringify(held.value) ?? "";
  if (length > charactersMax)
    throw new Error(`The state has ${length} characters as JSON, more than ${charactersMax}.`);
  held.unchecked = Math.floor(length / 2_000);
}
