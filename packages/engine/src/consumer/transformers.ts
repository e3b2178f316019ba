/** Transformers: consumers that rewrite the events that match into new events of the same stream. */
import { transformers } from "../builtin/transformers.ts";
import type { Expressions, Rule } from "../ports/expressions.ts";
import { configurationOf, haltPayload, specsOf } from "./configured.ts";
import { appendOutputs, applyRule, outputsOf } from "./rules.ts";
import type { ConsumerKind } from "./spec.ts";

/** What is tried again is only what was stopped: see `applyRule`. */
const failuresMax = 5;
const prefix = "https://events.iterate.com/events/stream/jsonata-transformer-";
const haltedType = `${prefix}halted`;

export function transformerKind(expressions: Expressions): ConsumerKind {
  return {
    kind: "transformer",
    sourceKind: "transformer",
    failuresMax,
    stateless: true,
    specs: specsOf(transformers),
    haltedType,
    aboutTypes: new Set(["configured", "removed", "halted", "resumed"].map((name) => prefix + name)),
    halted: (spec, halt) => haltPayload(spec, halt, `${prefix}resumed`),

    async load(spec, place) {
      const { slug } = spec;
      const rule = await configurationOf<Required<Rule>>(spec, place);
      return {
        slug,
        initialState: null,
        reduce: () => null,
        async afterAppend({ event, append }) {
          const { source } = event;
          // Its own output matches most easily of all.
          if (source?.kind === "transformer" && source.slug === slug) return;
          const evaluated = await applyRule(expressions, rule, event);
          if (evaluated.matched) await appendOutputs(append, place.path, outputsOf(evaluated.result));
        },
      };
    },
  };
}
