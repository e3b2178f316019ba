/**
 * The consumers of one stream: its own, and those that streams above configured for it, which run with what this stream
 * says of them. The nearest configuration of a slug wins, and the own one before all.
 */
import { type ConsumerSpec, isJsonObject, type Limits } from "@millrace/protocol";
import { type InheritedHere, type InheritedState, ownOf } from "../builtin/inherited.ts";

/** What a stream above configured for this one. */
export interface Inherited {
  path: string;
  /** As it is said there, of no particular stream. */
  spec: ConsumerSpec;
  /** Where its cursor begins on this stream. */
  startAfter: number;
}

export type Merge = (
  own: readonly ConsumerSpec[],
  here: InheritedState,
  inherited: readonly Inherited[],
) => readonly ConsumerSpec[];

/** Remembers what it was asked last: the same list for the same state, so that asking costs nothing. */
export function createMerge({ processorsPerStream }: Limits): Merge {
  let asked: readonly unknown[] = [];
  let merged: readonly ConsumerSpec[] = [];
  return (own, here, inherited) => {
    const asking = [own, here.inherited, here.endedAt, inherited];
    if (asking.every((part, i) => part === asked[i]) && asked.length > 0) return merged;
    asked = asking;
    merged = merge(own, here, inherited, processorsPerStream);
    return merged;
  };
}

function merge(
  own: readonly ConsumerSpec[],
  here: InheritedState,
  inherited: readonly Inherited[],
  most: number,
): readonly ConsumerSpec[] {
  const slugs = new Set(own.map(({ slug }) => slug));
  const added = inherited.filter(({ spec }) => !slugs.has(spec.slug)).map((one) => specHere(one, here));
  return [...own, ...added.map((spec, i) => (own.length + i < most ? spec : leftOut(spec, most)))];
}

function specHere({ spec, path, startAfter }: Inherited, here: InheritedState): ConsumerSpec {
  const said = ownOf(here.inherited, spec.slug);
  const known = said?.from === path ? said : undefined;
  const restarted =
    known?.restarted !== undefined && known.restarted.configuredAt >= spec.epoch ? known.restarted : null;
  return {
    ...spec,
    inheritedFrom: path,
    resumedAt: known?.resumedAt ?? 0,
    startAfter: restarted?.startAfter ?? Math.max(startAfter, ownOf(here.endedAt, spec.slug) ?? 0),
    ...(restarted === null ? {} : { restartedAt: restarted.at }),
    ...(known === undefined ? {} : haltOf(known, spec)),
  };
}

/** Another version goes on where the one before was halted. */
function haltOf(
  { halted, configuredAt }: InheritedHere,
  spec: ConsumerSpec,
): Pick<ConsumerSpec, "halted" | "haltedVersion"> {
  if (halted === undefined) return {};
  return configuredAt === spec.configuredAt ? { halted } : { haltedVersion: configuredAt };
}

/** Nothing says so in the stream: it is shown where its consumers are listed, and goes on once there is room. */
function leftOut(spec: ConsumerSpec, most: number): ConsumerSpec {
  const message = `This stream has ${most} processors already, its own and those of nearer streams. Remove some.`;
  return { ...spec, resumedAt: -1, halted: { at: 0, offset: 0, message } };
}

/** By its name; in an encoded slug there is no such character. */
export function isInherited(name: string): boolean {
  return name.includes("@");
}

export function isOfEpoch(row: string | null | undefined, epoch: number): boolean {
  const stored: unknown = typeof row === "string" ? JSON.parse(row) : undefined;
  return isJsonObject(stored as never) && (stored as { epoch?: unknown }).epoch === epoch;
}
