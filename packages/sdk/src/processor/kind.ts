/** What the consumer is told of a processor that runs here: as what it stands in the log, and which version it is. */
import type { ConsumerSpec, DeliveryKind, LoadedProcessor } from "@millrace/protocol";

const failuresMax = 5;
const errorType = "https://events.iterate.com/events/stream/error-occurred";

/** @param pushed somebody delivers each event and waits until it is taken: then nothing is ever missed */
export function kindOf({ slug, catchUp }: LoadedProcessor, pushed: boolean): DeliveryKind {
  return {
    kind: "processor",
    sourceKind: "remote",
    failuresMax,
    misses: !pushed && catchUp !== "act",
    aboutTypes: new Set(),
    haltedType: errorType,
    halted: (_, { offset, message, attempts }) => ({
      payload: {
        message: `${slug} goes no further here after ${attempts} ${attempts === 1 ? "attempt" : "attempts"}: ${message} Start it again to go on.`,
        about: { kind: "processor", slug, offset },
      },
    }),
  };
}

/** @param halts how often it was halted here: a start after a halt gets all attempts again */
export function specOf({ slug, version = "1" }: LoadedProcessor, startAfter: number, halts: number): ConsumerSpec {
  return { slug, epoch: 0, configuredAt: numberOf(version), startAfter, resumedAt: halts };
}

/** Versions are compared, and nothing else is done with them: 32 bits of FNV-1a, never 0. */
function numberOf(version: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < version.length; i++) hash = Math.imul(hash ^ version.charCodeAt(i), 0x01000193);
  return (hash >>> 0) + 1;
}
