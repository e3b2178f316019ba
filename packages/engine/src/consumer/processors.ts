/**
 * The kind of consumer that an event deploys: `dynamic-worker/configured` and what belongs to it. Where the code runs
 * is the host's choice: it is given the payload of the configuration, and gives back a processor.
 */
import type { JsonObject } from "@millrace/protocol";
import { processors } from "../builtin/processors.ts";
import { sliceOf } from "../state.ts";
import type { ConsumerKind, ConsumerSpec, LoadedProcessor } from "./spec.ts";

export interface Configuration {
  project: string;
  path: string;
  slug: string;
  /** Of the event: script or modules, environment, limits. */
  payload: JsonObject;
}

/** A hook that fails so often for one event halts its processor. */
const failuresMax = 5;

/** @param load makes the code of a configuration; what it throws halts the processor */
export function processorKind(load: (configuration: Configuration) => Promise<LoadedProcessor>): ConsumerKind {
  const specs = new WeakMap<object, readonly ConsumerSpec[]>();
  return {
    kind: "processor",
    sourceKind: "processor",
    failuresMax,
    specs(slices) {
      const { bySlug } = sliceOf(slices, processors);
      const known = specs.get(bySlug) ?? Object.values(bySlug);
      specs.set(bySlug, known);
      return known;
    },
    async load(spec, { project, path, payloadAt }) {
      const payload = (await payloadAt(spec.configuredAt)) as JsonObject;
      return load({ project, path, slug: spec.slug, payload });
    },
    haltedType: "https://events.iterate.com/events/stream/dynamic-worker/halted",
    halted: ({ slug }, { offset, message, attempts }) => ({
      payload: { slug, offset, message, attempts, howToResume: howToResume(slug) },
    }),
  };
}

function howToResume(slug: string): string {
  const event = {
    type: "https://events.iterate.com/events/stream/dynamic-worker/resumed",
    payload: { slug, from: "cursor" },
  };
  return `Configure it again, or append ${JSON.stringify(event)} to go on where it stopped ("head" skips what came since).`;
}
