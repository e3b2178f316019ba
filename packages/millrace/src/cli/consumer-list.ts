/**
 * The subscriptions and transformers of a stream: which there are is folded from its events, and how far each has come
 * is what the server says of it. A server that does not run them says nothing.
 */
import type {
  BuiltinEvent,
  BuiltinPayloads,
  ConsumerState,
  EventsClient,
  StreamEvent,
  StreamState,
} from "@millrace/sdk";

export type SubscriptionPayload = BuiltinPayloads["https://events.iterate.com/events/stream/subscription/configured"];
export type TransformerPayload =
  BuiltinPayloads["https://events.iterate.com/events/stream/jsonata-transformer-configured"];

export interface Configured<Payload> {
  /** Of the stream. */
  path: string;
  slug: string;
  /** Of the newest configuration. */
  offset: number;
  configuration: Payload;
  /** Left out where the server does not run it. */
  consumer?: ConsumerState;
}

export interface Subscription extends Configured<SubscriptionPayload> {
  /** What its receiver refused for good, and nobody asked for again. */
  parked: Parked[];
}

export interface Parked {
  offset: number;
  message: string;
  status?: number;
}

export type Transformer = Configured<TransformerPayload>;

/** @throws MillraceError `not_found` */
export async function subscriptionsOf(client: EventsClient, path: string): Promise<Subscription[]> {
  const state = await client.state(path);
  const types = ["https://events.iterate.com/events/stream/subscription/*"];
  return foldSubscriptions(await all(client.read(path, { types })), state);
}

/** @throws MillraceError `not_found` */
export async function transformersOf(
  client: EventsClient,
  path: string,
): Promise<{ transformers: Transformer[]; paused: boolean }> {
  const state = await client.state(path);
  const types = ["https://events.iterate.com/events/stream/jsonata-transformer-*"];
  return { transformers: foldTransformers(await all(client.read(path, { types })), state), paused: state.paused };
}

type Place = Pick<StreamState, "path" | "consumers">;

/** By slug. */
export function foldSubscriptions(events: readonly StreamEvent[], { path, consumers }: Place): Subscription[] {
  const bySlug = new Map<string, Subscription>();
  for (const event of events as readonly BuiltinEvent[]) {
    switch (event.type) {
      case "https://events.iterate.com/events/stream/subscription/configured": {
        const { slug } = event.payload;
        const parked = bySlug.get(slug)?.parked ?? [];
        bySlug.set(slug, { path, slug, offset: event.offset, configuration: event.payload, parked });
        break;
      }
      case "https://events.iterate.com/events/stream/subscription/removed":
        bySlug.delete(event.payload.slug);
        break;
      case "https://events.iterate.com/events/stream/subscription/event-parked": {
        const { slug, offset, message, status } = event.payload;
        const parked = { offset, message, ...(status === undefined ? {} : { status }) };
        const before = bySlug.get(slug);
        if (before !== undefined) before.parked = [...without(before.parked, offset), parked];
        break;
      }
      case "https://events.iterate.com/events/stream/subscription/event-replay-requested": {
        const before = bySlug.get(event.payload.slug);
        if (before !== undefined) before.parked = without(before.parked, event.payload.offset);
      }
    }
  }
  return inOrder(bySlug, "subscription", consumers);
}

/** By slug. */
export function foldTransformers(events: readonly StreamEvent[], { path, consumers }: Place): Transformer[] {
  const bySlug = new Map<string, Transformer>();
  for (const event of events as readonly BuiltinEvent[]) {
    switch (event.type) {
      case "https://events.iterate.com/events/stream/jsonata-transformer-configured": {
        const { slug } = event.payload;
        bySlug.set(slug, { path, slug, offset: event.offset, configuration: event.payload });
        break;
      }
      case "https://events.iterate.com/events/stream/jsonata-transformer-removed":
        bySlug.delete(event.payload.slug);
    }
  }
  return inOrder(bySlug, "transformer", consumers);
}

/** What the state says of one. Where several kinds share a slug, all but the first are listed as `<kind>/<slug>`. */
export function consumerOf(consumers: StreamState["consumers"], kind: string, slug: string): ConsumerState | undefined {
  const names = [slug, `${kind}/${encodeURIComponent(slug)}`];
  const states = names.map((name) => (Object.hasOwn(consumers, name) ? consumers[name] : undefined));
  return states.find((state) => state?.kind === kind);
}

function inOrder<Each extends Configured<unknown>>(
  bySlug: ReadonlyMap<string, Each>,
  kind: string,
  consumers: StreamState["consumers"],
): Each[] {
  const sorted = [...bySlug.values()].sort((a, b) => (a.slug < b.slug ? -1 : 1));
  return sorted.map((each) => {
    const consumer = consumerOf(consumers, kind, each.slug);
    return consumer === undefined ? each : { ...each, consumer };
  });
}

const without = (parked: readonly Parked[], offset: number): Parked[] =>
  parked.filter((each) => each.offset !== offset);

async function all(events: AsyncIterable<StreamEvent>): Promise<StreamEvent[]> {
  const found: StreamEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}
