/**
 * Subscriptions: consumers that push the events of a stream to somebody, in order and at least once. Which events and
 * what is sent for each is decided here; `webhook.ts`, `socket.ts` and `forward.ts` bring it there.
 */
import type { ConsumerSpec, Holding, HookArguments, StreamEvent } from "@millrace/protocol";
import { subscriptions } from "../builtin/subscriptions.ts";
import type { Expressions } from "../ports/expressions.ts";
import type { Outbound } from "../ports/outbound.ts";
import type { Secrets } from "../ports/secrets.ts";
import { configurationOf, haltPayload, specsOf } from "./configured.ts";
import { createForward } from "./forward.ts";
import { applyRule } from "./rules.ts";
import { createSocket } from "./socket.ts";
import type { ConsumerKind, ConsumerPlace } from "./spec.ts";
import { createWebhook } from "./webhook.ts";

export interface SubscriptionPorts {
  expressions: Expressions;
  outbound: Outbound;
  secrets: Secrets;
}

/** The payload of `subscription/configured`, as its contract has judged it. */
export interface SubscriptionPayload {
  slug: string;
  type: "webhook" | "websocket" | "stream";
  callbackUrl?: string;
  path?: string;
  jsonataFilter?: string;
  jsonataTransform?: string;
  headers?: Readonly<Record<string, string>>;
  signingSecret?: string;
  timeoutSeconds?: number;
}

/** One event that is to be delivered. */
export interface Delivery {
  event: StreamEvent;
  /** JSON text: what the transform made of it; undefined without a transform. */
  transformed: string | undefined;
  /** Somebody asked for it to be delivered again. */
  again: boolean;
  hook: Pick<HookArguments<null>, "append" | "signal"> & { event: StreamEvent };
}

export type Deliver = (delivery: Delivery) => Promise<void>;

/** Who brings it there, and what is held open for that. */
export type Deliverer = { deliver: Deliver } & Partial<Holding>;

/** A receiver that is away for hours must not lose an event: the ladder reaches an hour. */
const failuresMax = 15;
const prefix = "https://events.iterate.com/events/stream/subscription/";
const haltedType = `${prefix}halted`;
const replayType = `${prefix}event-replay-requested`;

export function subscriptionKind(ports: SubscriptionPorts): ConsumerKind {
  return {
    kind: "subscription",
    sourceKind: "subscription",
    failuresMax,
    stateless: true,
    goesOnWhilePaused: true,
    silentAboutReports: true,
    specs: specsOf(subscriptions),
    haltedType,
    aboutTypes: new Set(["configured", "removed", "halted", "resumed", "event-parked"].map((name) => prefix + name)),
    halted: (spec, halt) => haltPayload(spec, halt, `${prefix}resumed`),

    async load(spec, place, cursor) {
      const payload = await configurationOf<SubscriptionPayload>(spec, place);
      const { deliver, ...holding } = delivererOf(payload, spec, place, cursor, ports);
      return {
        slug: spec.slug,
        initialState: null,
        reduce: () => null,
        afterAppend: (hook) => act(hook, payload, place, ports.expressions, deliver),
        ...holding,
      };
    },
  };
}

function delivererOf(
  payload: SubscriptionPayload,
  spec: ConsumerSpec,
  place: ConsumerPlace,
  cursor: number,
  ports: SubscriptionPorts,
): Deliverer {
  switch (payload.type) {
    case "webhook":
      return { deliver: createWebhook(payload, spec, place, cursor, ports) };
    case "websocket":
      return createSocket(payload, spec, place, cursor, ports);
    case "stream":
      return { deliver: createForward(payload, place) };
  }
}

async function act(
  hook: HookArguments<null>,
  { slug, jsonataFilter: matcher, jsonataTransform: transform }: SubscriptionPayload,
  place: ConsumerPlace,
  expressions: Expressions,
  deliver: Deliver,
): Promise<void> {
  const offset = replayOf(hook.event, slug);
  const event = offset === undefined ? hook.event : await place.eventAt(offset);
  // There is no such event in this life of the stream, so there is nothing to deliver.
  if (event === undefined) return;
  // Whoever asks for one event gets it, whatever the filter says.
  const rule = {
    ...(matcher === undefined || offset !== undefined ? {} : { matcher }),
    ...(transform === undefined ? {} : { transform }),
  };
  const evaluated = await applyRule(expressions, rule, event);
  if (!evaluated.matched || (transform !== undefined && evaluated.result === undefined)) return;
  await deliver({ event, transformed: evaluated.result, again: offset !== undefined, hook });
}

/** The offset that this subscription is asked to deliver again, if it is. */
function replayOf({ type, payload }: StreamEvent, slug: string): number | undefined {
  if (type !== replayType) return undefined;
  const asked = payload as unknown as { slug: string; offset: number };
  return asked.slug === slug ? asked.offset : undefined;
}
