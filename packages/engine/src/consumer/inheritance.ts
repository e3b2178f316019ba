/**
 * What a stream inherits: the processors that streams above it configured for their children. It is asked for when the
 * stream is loaded, and again when something above changes; nothing is ever written for it, and nobody opens a stream to
 * tell it. So a configuration costs the same for one stream below and for a million.
 */
import { ancestors, type ConsumerSpec, nameOfConsumer } from "@millrace/protocol";
import type { Configured } from "../builtin/configurations.ts";
import type { StreamLog } from "../ports/log.ts";
import { type Slices, sliceOf } from "../state.ts";
import { unavailable } from "../unavailable.ts";
import type { Inherited } from "./inherited-specs.ts";
import type { ConsumerKind } from "./spec.ts";

/** What a stream says to those below it. */
export interface Sharing {
  specs: readonly ConsumerSpec[];
  /** Offsets of the events that ended one of a slug. */
  ended: Readonly<Record<string, number>>;
  log: Pick<StreamLog, "positionOf">;
}

/** The stream that inherits. */
export interface HeirPlace {
  path: string;
  /** Undefined without a living stream: then everything is still to come. */
  streamId: string | undefined;
  head: number;
  log: Pick<StreamLog, "headAt">;
  hasProgress(name: string, epoch: number): boolean;
}

const nothing: Readonly<Record<string, number>> = {};
const lists = new WeakMap<readonly ConsumerSpec[], readonly ConsumerSpec[]>();

function sharedSpecs(kind: ConsumerKind, slices: Slices): readonly ConsumerSpec[] {
  const own = kind.specs(slices);
  const known = lists.get(own) ?? own.flatMap(shared);
  lists.set(own, known);
  return known;
}

export function sharingOf(kind: ConsumerKind, slices: Slices): Pick<Sharing, "specs" | "ended"> {
  const ended = kind.inherits === undefined ? undefined : sliceOf(slices, kind.inherits).endedBelow;
  return { specs: sharedSpecs(kind, slices), ended: ended ?? nothing };
}

/** Halts and resumptions are of the stream alone on which they happened. */
function shared(spec: ConsumerSpec): ConsumerSpec[] {
  const { halted: _, children, ...rest } = spec as Configured;
  if (children === undefined) return [];
  // Where they begin is asked on each stream; from the start is behind nothing.
  return [{ ...rest, epoch: children.epoch, startAfter: children.fromStart === true ? 0 : -1, resumedAt: 0 }];
}

/** Streams below have to hear of it. */
export function isSharedOtherwise(kind: ConsumerKind, before: Slices, after: Slices): boolean {
  if (kind.specs(before) === kind.specs(after)) return false;
  return textOf(sharedSpecs(kind, before)) !== textOf(sharedSpecs(kind, after));
}

function textOf(specs: readonly ConsumerSpec[]): string {
  return JSON.stringify(
    specs.map(({ slug, epoch, configuredAt, environmentAt }) => [slug, epoch, configuredAt, environmentAt]),
  );
}

/** Nearest first. Rejects where a log could not be read. */
export async function inheritedBy(
  kind: ConsumerKind,
  heir: HeirPlace,
  sharing: (path: string) => Promise<Sharing>,
): Promise<readonly Inherited[]> {
  const above = ancestors(heir.path);
  const sharings = await Promise.all(above.map(sharing));
  const found = new Map<string, Inherited>();
  const ended = new Map<string, Mark[]>();
  for (const [i, { specs, ended: endedHere, log }] of sharings.entries()) {
    const path = above[i] as string;
    for (const spec of specs) {
      if (found.has(spec.slug)) continue;
      const began = spec.startAfter < 0 ? [{ log, offset: spec.epoch }] : [];
      const marks = [...began, ...(ended.get(spec.slug) ?? [])];
      found.set(spec.slug, { path, spec, startAfter: await startOf(kind, heir, { path, spec, marks }) });
    }
    for (const [slug, offset] of Object.entries(endedHere))
      ended.set(slug, [...(ended.get(slug) ?? []), { log, offset }]);
  }
  return [...found.values()];
}

/** An event of a stream above: what this stream had by then is not for the processor. */
interface Mark {
  log: Sharing["log"];
  offset: number;
}

/** What it comes to is the same whenever it is asked for, so nobody has to write it down in time. */
async function startOf(
  kind: ConsumerKind,
  heir: HeirPlace,
  { path, spec, marks }: { path: string; spec: ConsumerSpec; marks: readonly Mark[] },
): Promise<number> {
  if (heir.streamId === undefined) return heir.head;
  if (heir.hasProgress(nameOfConsumer(kind.kind, { ...spec, inheritedFrom: path }), spec.epoch)) return 0;
  let last = 0;
  for (const { log, offset } of marks) {
    const position = await log.positionOf(offset);
    if (position === undefined)
      throw unavailable(`Event ${offset}, which configures ${spec.slug}, could not be found.`);
    last = Math.max(last, position);
  }
  return last === 0 ? 0 : heir.log.headAt(last);
}
