/**
 * The kind of consumer that an event deploys: `dynamic-worker/configured` and what belongs to it. Where the code runs
 * is the host's choice: it is given the payload of the configuration, and gives back a processor.
 */
import type { JsonObject, LoadedProcessor } from "@millrace/protocol";
import { processors } from "../builtin/processors.ts";
import { configurationOf, haltPayload, specsOf } from "./configured.ts";
import type { ConsumerKind } from "./spec.ts";
import { unlessLeft } from "./unless-left.ts";

export interface Configuration {
  project: string;
  path: string;
  slug: string;
  /** Of the event: script or modules, environment, limits. */
  payload: JsonObject;
}

/** A hook that fails so often for one event halts its processor. */
const failuresMax = 5;
const haltedType = "https://events.iterate.com/events/stream/dynamic-worker/halted";
const resumedType = "https://events.iterate.com/events/stream/dynamic-worker/resumed";

/** @param load makes the code of a configuration; what it throws halts the processor */
export function processorKind(load: (configuration: Configuration) => Promise<LoadedProcessor>): ConsumerKind {
  return {
    kind: "processor",
    sourceKind: "processor",
    failuresMax,
    specs: specsOf(processors),
    inherits: processors,
    async load(spec, place, _cursor, left) {
      const payload = await configurationOf<JsonObject>(spec, place);
      return unlessLeft(load({ project: place.project, path: place.path, slug: spec.slug, payload }), left);
    },
    haltedType,
    aboutTypes: new Set([haltedType]),
    halted: (spec, halt) => haltPayload(spec, halt, resumedType),
  };
}
