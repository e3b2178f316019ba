/** The processor that a module of somebody else's exports: found, looked at, and made complete. */
import { jsonStateFault, type Processor } from "@millrace/protocol";
import type { SandboxDescription } from "../ports/sandbox.ts";

// The state is the processor's own.
// biome-ignore lint/suspicious/noExplicitAny: whoever drives it need not know its type
export type CodeProcessor = Processor<any>;

/** @throws Error that says what is wrong with the module */
export function processorOf(module: Record<string, unknown>): CodeProcessor {
  const candidate = (module.default ?? module.processor) as Partial<CodeProcessor> | undefined;
  if (candidate === undefined || candidate === null) {
    throw new Error(
      "The module exports no processor: it needs `export default { slug, initialState, reduce, afterAppend }`.",
    );
  }
  if (typeof candidate !== "object") throw new Error(`The default export is a ${typeof candidate}, not a processor.`);
  const { reduce = ({ state }) => state, initialState = {}, afterAppend, afterCatchUp } = candidate;
  for (const [name, method] of Object.entries({ reduce, afterAppend, afterCatchUp })) {
    if (method !== undefined && typeof method !== "function") throw new Error(`${name} is no function.`);
  }
  // Its own object stays `this` of its methods.
  return Object.create(candidate, {
    reduce: { value: (args: never) => reduce.call(candidate, args) },
    initialState: { value: initialState },
    ...(afterAppend && { afterAppend: { value: (args: never) => afterAppend.call(candidate, args) } }),
    ...(afterCatchUp && { afterCatchUp: { value: (args: never) => afterCatchUp.call(candidate, args) } }),
  }) as CodeProcessor;
}

/** @throws Error where it cannot be told */
export function describe({ initialState, afterAppend, afterCatchUp, events }: CodeProcessor): SandboxDescription {
  const fault = jsonStateFault(initialState, "it");
  if (fault !== undefined) throw new Error(`initialState is not JSON: ${fault}.`);
  return {
    initialState: JSON.parse(JSON.stringify(initialState ?? null)),
    hasAfterAppend: afterAppend !== undefined,
    hasAfterCatchUp: afterCatchUp !== undefined,
    ...(events === undefined ? {} : { types: Object.keys(events) }),
  };
}
