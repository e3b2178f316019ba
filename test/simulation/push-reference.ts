/** What a stream says of its transformers and subscriptions: see `reference.ts`. */
import type { StreamEvent } from "@millrace/protocol";
import { builtin, halt, type ProcessorReference, type Reference } from "./reference.ts";
import type { Output, PushPayload } from "./rules.ts";

/** A transformer or a subscription. */
export interface PusherReference extends ProcessorReference {
  kind: "transformer" | "subscription";
  slug: string;
  /** Payloads of the configurations of its epoch, oldest first. */
  versions: PushPayload[];
}

/** An epoch of a transformer or a subscription, for as long as its stream lives. */
export interface PushEpoch extends PusherReference {
  /** The last output of it in each life of a stream. */
  last: Map<string, Output>;
  /** Up to here everything that is for it was done. */
  doneThrough: number;
}

const families = [
  { kind: "transformer", prefix: "jsonata-transformer-" },
  { kind: "subscription", prefix: "subscription/" },
] as const;

/** Folds one event in that says something of a transformer or a subscription. Answers what is wrong with it. */
export function foldPusher(
  reference: Reference,
  event: StreamEvent,
  payload: Record<string, unknown>,
): string | undefined {
  const family = families.find(({ prefix }) => event.type.startsWith(builtin(prefix)));
  if (family === undefined) return undefined;
  const { kind, prefix } = family;
  const slug = String(payload.slug);
  const key = `${kind}/${slug}`;
  const before = reference.pushers.get(key);
  switch (event.type.slice(builtin(prefix).length)) {
    case "configured":
      return configurePusher(reference, { kind, slug }, payload as unknown as PushPayload, event.offset);
    case "removed":
      if (event.source?.kind === "server" && before !== undefined)
        reference.removals.push(before.versions.at(-1)?.callbackUrl);
      reference.pushers.delete(key);
      return undefined;
    case "halted":
      return halt(reference.pushers, key, payload.startedBy);
    case "resumed":
      if (before !== undefined) resumePusher(reference, before, payload.from, event.offset);
      return undefined;
    case "event-parked":
      reference.parked.add(`${slug}|${event.source?.cause?.offset}`);
      return undefined;
    default:
      return undefined;
  }
}

function configurePusher(
  reference: Reference,
  { kind, slug }: Pick<PusherReference, "kind" | "slug">,
  payload: PushPayload,
  offset: number,
): undefined {
  const key = `${kind}/${slug}`;
  const before = reference.pushers.get(key);
  const { startFrom } = payload;
  if (before !== undefined && startFrom === undefined) {
    before.versions.push(payload);
    reference.pushers.set(key, { ...before, configuredAt: offset, halted: false });
    return;
  }
  const startAfter = startFrom === "start" ? 0 : typeof startFrom === "number" ? startFrom : offset;
  const begun = { epoch: offset, configuredAt: offset, startAfter, resumedAt: 0, halted: false };
  beginPusher(reference, { kind, slug, versions: [payload], ...begun });
}

function resumePusher(reference: Reference, before: PusherReference, from: unknown, offset: number): void {
  const resumed = { ...before, halted: false, resumedAt: offset };
  if (from === undefined || from === "cursor") {
    reference.pushers.set(`${before.kind}/${before.slug}`, resumed);
    return;
  }
  const startAfter = typeof from === "number" ? from : offset;
  beginPusher(reference, { ...resumed, epoch: offset, startAfter, versions: before.versions.slice(-1) });
}

function beginPusher(reference: Reference, pusher: PusherReference): void {
  const key = `${pusher.kind}/${pusher.slug}`;
  reference.pushers.set(key, pusher);
  reference.starts.set(`${key}|${pusher.epoch}`, pusher.startAfter);
  reference.epochs.set(key, (reference.epochs.get(key) ?? 0) + 1);
  const epoch: PushEpoch = { ...pusher, last: new Map(), doneThrough: pusher.startAfter };
  reference.pushEpochs.set(key, [...(reference.pushEpochs.get(key) ?? []), epoch]);
}
