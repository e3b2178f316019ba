/**
 * The folded state of a stream: one slice for each built-in, replaced and never changed in place. So going back to
 * the state before a refused batch is keeping a reference, and nothing is ever cloned.
 */
import type { BuiltinProcessor, StreamEvent } from "@millrace/protocol";
import { pause } from "./builtin/pause.ts";
import { builtins } from "./builtins.ts";

/** In the order of `builtins`. */
export type Slices = readonly unknown[];

export const initialSlices: Slices = builtins.map((builtin) => builtin.initialState);

/** Changes only when a built-in's meaning does; a snapshot of another version is not used. */
export const stateVersion: string = builtins.map((builtin) => `${builtin.slug}@${builtin.version}`).join(" ");

export function fold(slices: Slices, event: StreamEvent, continued: boolean): Slices {
  const next = new Array<unknown>(slices.length);
  for (let i = 0; i < slices.length; i++) next[i] = builtins[i]?.reduce({ state: slices[i], event, continued });
  return next;
}

export function sliceOf<State>(slices: Slices, builtin: BuiltinProcessor<State>): State {
  return slices[builtins.indexOf(builtin)] as State;
}

export function isPaused(slices: Slices): boolean {
  return sliceOf(slices, pause).offset > 0;
}

export function encodeSnapshot(slices: Slices): string {
  return JSON.stringify({ version: stateVersion, slices });
}

/** The slices of a snapshot, or undefined when other code wrote it. */
export function decodeSnapshot(text: string): Slices | undefined {
  const { version, slices } = JSON.parse(text) as { version: string; slices: unknown[] };
  return version === stateVersion ? slices : undefined;
}
