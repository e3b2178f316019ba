/** What the kinds have in common whose consumers events configure: who there is, and what a halt says. */
import type { BuiltinProcessor, EventInput } from "@millrace/protocol";
import { type ConfigurationsState, startedBy } from "../builtin/configurations.ts";
import { type Slices, sliceOf } from "../state.ts";
import { unavailable } from "../unavailable.ts";
import type { ConsumerPlace, ConsumerSpec, Halt } from "./spec.ts";

/** The same list for the same state, so that asking costs nothing. */
export function specsOf(builtin: BuiltinProcessor<ConfigurationsState>): (slices: Slices) => readonly ConsumerSpec[] {
  const lists = new WeakMap<object, readonly ConsumerSpec[]>();
  return (slices) => {
    const { bySlug } = sliceOf(slices, builtin);
    const known = lists.get(bySlug) ?? Object.values(bySlug);
    lists.set(bySlug, known);
    return known;
  };
}

/** Nobody has configured it anew or removed it since. */
export function isConfiguredBy(
  builtin: BuiltinProcessor<ConfigurationsState>,
  { slug, configuredAt }: ConsumerSpec,
  slices: Slices,
): boolean {
  const { bySlug } = sliceOf(slices, builtin);
  return Object.hasOwn(bySlug, slug) && bySlug[slug]?.configuredAt === configuredAt;
}

/** The payload of the newest configuration, which its contract has judged. */
export async function configurationOf<Payload>(spec: ConsumerSpec, place: ConsumerPlace): Promise<Payload> {
  const event = await place.eventAt(spec.configuredAt);
  if (event === undefined) throw unavailable(`Event ${spec.configuredAt}, which configures it, could not be read.`);
  return event.payload as unknown as Payload;
}

export function haltPayload(
  spec: ConsumerSpec,
  { offset, message, attempts }: Halt,
  resumedType: string,
): Pick<EventInput, "payload"> {
  const resumed = JSON.stringify({ type: resumedType, payload: { slug: spec.slug, from: "cursor" } });
  const howToResume = `Configure it again, or append ${resumed} to go on where it stopped ("head" skips what came since).`;
  return { payload: { slug: spec.slug, offset, message, attempts, howToResume, startedBy: startedBy(spec) } };
}
