/** What transformers and subscriptions append: which event it came of, and of which epoch it can be. */
import type { StreamEvent } from "@millrace/protocol";
import type { PushEpoch } from "./push-reference.ts";
import type { Output } from "./rules.ts";

export interface PlacedOutput extends Output {
  /** Of the stream on which the consumer stands. */
  path: string;
  /** `transformer/slug` or `subscription/slug`. */
  consumer: string;
}

/** What was forwarded as it is has no number of its own: there is one for each event. */
export function outputOf({ source, payload }: StreamEvent): PlacedOutput {
  const { kind, slug, cause } = source as { kind: string; slug: string; cause: { streamPath: string; offset: number } };
  const n = (payload as { n?: number } | null)?.n ?? 0;
  return { path: cause.streamPath, consumer: `${kind}/${slug}`, offset: cause.offset, n };
}

export function outputKey({ path, consumer, offset, n }: PlacedOutput): string {
  return `${path}|${consumer}|${offset}|${n}`;
}

/**
 * The epoch of which an output is: it comes behind all others of that in this life of a stream. An event does not say
 * its epoch, so the one is taken that goes the shortest way; with one epoch that leaves no choice.
 */
export function epochTaking(
  epochs: readonly PushEpoch[],
  streamId: string,
  output: PlacedOutput,
): PushEpoch | undefined {
  let taken: PushEpoch | undefined;
  for (const epoch of epochs) {
    const last = epoch.last.get(streamId);
    if (output.offset <= epoch.startAfter || (last !== undefined && !isBehind(output, last))) continue;
    const best = taken?.last.get(streamId);
    if (taken === undefined || (last !== undefined && (best === undefined || isBehind(last, best)))) taken = epoch;
  }
  return taken;
}

function isBehind(a: Output, b: Output): boolean {
  return a.offset > b.offset || (a.offset === b.offset && a.n > b.n);
}
