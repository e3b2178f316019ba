/** Delivery into another stream of the project, once for each event: a parent wakes on a child's result. */
import { isUnderPrefix, parsePath, type StreamEvent } from "@millrace/protocol";
import { appendOutputs, outputsOf } from "./rules.ts";
import type { ConsumerPlace } from "./spec.ts";
import type { Deliver, SubscriptionPayload } from "./subscriptions.ts";

/** @throws Error when it would deliver into the stream that it stands on */
export function createForward(payload: SubscriptionPayload, place: ConsumerPlace): Deliver {
  const path = parsePath(payload.path as string);
  if (path === place.path) throw new Error("It would deliver into its own stream. A transformer does that.");
  return async ({ event, transformed, hook }) => {
    if (payload.jsonataTransform !== undefined) return appendOutputs(hook.append, path, outputsOf(transformed));
    // Forwarded as it is, a built-in event would act there: a pause would pause the parent.
    if (!isUnderPrefix(event.type)) await hook.append({ event: asInput(event), path });
  };
}

function asInput({ type, payload, metadata }: StreamEvent) {
  return { type, payload, ...(metadata === undefined ? {} : { metadata }) };
}
