/** What the kinds have in common whose consumers events configure: who there is, and what a halt says. */
import type { BuiltinProcessor, ConsumerSpec, EventInput, Halt, JsonObject } from "@millrace/protocol";
import { type ConfigurationsState, startedBy } from "../builtin/configurations.ts";
import { type Slices, sliceOf } from "../state.ts";
import { unavailable } from "../unavailable.ts";
import type { ConsumerPlace } from "./spec.ts";

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
  const event = await place.eventAt(spec.configuredAt, spec.inheritedFrom);
  if (event === undefined) throw unavailable(`Event ${spec.configuredAt}, which configures it, could not be read.`);
  return event.payload as unknown as Payload;
}

export function haltPayload(
  spec: ConsumerSpec,
  { offset, message, attempts }: Halt,
  resumedType: string,
): Pick<EventInput, "payload"> {
  const { slug, inheritedFrom, configuredAt, resumedAt } = spec;
  const resumed = JSON.stringify({ type: resumedType, payload: { slug, from: "cursor" } });
  const again = inheritedFrom === undefined ? "Configure it again" : `Configure it again on ${inheritedFrom}`;
  const howToResume = `${again}, or append ${resumed} to this stream to go on where it stopped ("head" skips what came since).`;
  const halted: JsonObject = { slug, offset, message, attempts, howToResume };
  if (inheritedFrom === undefined) return { payload: { ...halted, startedBy: startedBy(spec) } };
  // Two streams count their offsets: what began the run on this one is a resumption, if there was one.
  if (resumedAt > 0) halted.startedBy = resumedAt;
  return { payload: { ...halted, configuration: { streamPath: inheritedFrom, offset: configuredAt } } };
}
