/**
 * Subscriptions: consumers that push the events of a stream to somebody, in order and at least once. Which events and
 * what is sent for each is decided here; `webhook.ts`, `socket.ts` and `forward.ts` bring it there.
 */
import { type ConsumerSpec, type Holding, type HookArguments, isAbout, type StreamEvent } from "@millrace/protocol";
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

/** What comes of an event: one that is to be delivered. */
export interface Prepared {
  event: StreamEvent;
  /** JSON text: what the transform made of it; undefined without a transform. */
  transformed: string | undefined;
  /** Somebody asked for it to be delivered again. */
  again: boolean;
}

export type Hook = Pick<HookArguments<null>, "append" | "signal"> & { event: StreamEvent };

export interface Delivery extends Prepared {
  hook: Hook;
}

export type Deliver = (delivery: Delivery) => Promise<void>;

/** What the subscription makes of the events of its stream. */
export interface Preparing {
  /** Undefined when nothing is to be delivered. Evaluates the expressions, and throws what they throw. */
  prepare(event: StreamEvent): Promise<Prepared | undefined>;
  /** What lies behind it is not to be touched before its turn: this may change what becomes of that. */
  isTurningPoint(event: StreamEvent): boolean;
}

/** Who brings what comes of an event there, and what is held open for that. */
export type Deliverer = { act(hook: Hook): Promise<void> } & Partial<Holding>;

/** A receiver that is away for hours must not lose an event: the ladder reaches an hour. */
const failuresMax = 15;
const prefix = "https://events.iterate.com/events/stream/subscription/";
const haltedType = `${prefix}halted`;
const replayType = `${prefix}event-replay-requested`;

export function subscriptionKind(ports: SubscriptionPorts): ConsumerKind {
  const kind: ConsumerKind = {
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
      const preparing = {
        prepare: (event: StreamEvent) => prepare(event, payload, place, ports.expressions),
        isTurningPoint: (event: StreamEvent) =>
          isAbout(event, kind, spec.slug) || replayOf(event, spec.slug) !== undefined,
      };
      const { act, ...holding } = delivererOf(payload, spec, place, cursor, ports, preparing);
      return { slug: spec.slug, initialState: null, reduce: () => null, afterAppend: act, ...holding };
    },
  };
  return kind;
}

function delivererOf(
  payload: SubscriptionPayload,
  spec: ConsumerSpec,
  place: ConsumerPlace,
  cursor: number,
  ports: SubscriptionPorts,
  preparing: Preparing,
): Deliverer {
  switch (payload.type) {
    case "webhook":
      return inTurn(preparing, createWebhook(payload, spec, place, cursor, ports));
    case "websocket":
      return createSocket(payload, spec, place, cursor, ports, preparing);
    case "stream":
      return inTurn(preparing, createForward(payload, place));
  }
}

function inTurn({ prepare }: Preparing, deliver: Deliver): Deliverer {
  return {
    async act(hook) {
      const prepared = await prepare(hook.event);
      if (prepared !== undefined) await deliver({ ...prepared, hook });
    },
  };
}

async function prepare(
  stands: StreamEvent,
  { slug, jsonataFilter: matcher, jsonataTransform: transform }: SubscriptionPayload,
  place: ConsumerPlace,
  expressions: Expressions,
): Promise<Prepared | undefined> {
  const offset = replayOf(stands, slug);
  // What had not come when it was asked for has its own turn: what is delivered must not hang on when this looks.
  if (offset !== undefined && offset >= stands.offset) return undefined;
  const event = offset === undefined ? stands : await place.eventAt(offset);
  // There is no such event in this life of the stream, so there is nothing to deliver.
  if (event === undefined) return undefined;
  // Whoever asks for one event gets it, whatever the filter says.
  const rule = {
    ...(matcher === undefined || offset !== undefined ? {} : { matcher }),
    ...(transform === undefined ? {} : { transform }),
  };
  const evaluated = await applyRule(expressions, rule, event);
  if (!evaluated.matched || (transform !== undefined && evaluated.result === undefined)) return undefined;
  return { event, transformed: evaluated.result, again: offset !== undefined };
}

/** The offset that this subscription is asked to deliver again, if it is. */
function replayOf({ type, payload }: StreamEvent, slug: string): number | undefined {
  if (type !== replayType) return undefined;
  const asked = payload as unknown as { slug: string; offset: number };
  return asked.slug === slug ? asked.offset : undefined;
}
