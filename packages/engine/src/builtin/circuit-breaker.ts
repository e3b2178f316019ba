/**
 * The circuit breaker: stops a stream that runs away, by rate or by causal depth, and says why.
 *
 * Rate is a token bucket reckoned from `createdAt`, so a replay of the log comes to the same count. It starts full and
 * refills steadily. The event that takes it below zero is stored (nothing sent is lost), and `paused` stands right
 * behind it in the same commit. What has a cause counts by event, because code wrote it and code can loop; a batch
 * without a cause counts as one; facts that the server states cost nothing. But one: the news of a stream that was
 * made because of an event of this stream, for then code here answers itself, if only with births below.
 *
 * Depth is how many causes lie behind an event. Every `resumed` after a pause by depth allows as much again.
 *
 * The pause shows the chain of causes, so whoever finds it sees who answers whom. For that the last causes are kept.
 */
import {
  type BuiltinProcessor,
  contractFor,
  type EventInput,
  isJsonObject,
  type JsonObject,
  type StreamEvent,
} from "@millrace/protocol";
import { childStreamCreated } from "./tree-claims.ts";

export interface CircuitBreakerState {
  burstCapacity: number;
  refillRatePerMinute: number;
  maxDepth: number;
  tokens: number;
  /** When `tokens` was right, milliseconds. */
  countedAt: number;
  depthLimit: number;
  paused: boolean;
  /** The pause was by depth: `resumed` allows as much again. */
  pausedByDepth: boolean;
  /** Of the last events that had a cause, oldest first. */
  causes: readonly Caused[];
  /** The event that went over a limit, until `paused` stands behind it. */
  tripped?: JsonObject;
}

interface Caused {
  offset: number;
  cause: Cause;
  /** Of the news of a birth, which is its cause: because of which event code made that stream. */
  createdBy?: Cause;
}

type Cause = { streamPath: string; offset: number };

const burstCapacity = 100;
const maxDepth = 10_000;
/** Long enough to see a circle of several processors, short enough for a state that is copied with each event. */
const chainEventsMax = 20;

export const circuitBreaker: BuiltinProcessor<CircuitBreakerState> = {
  slug: "circuit-breaker",
  version: 2,
  initialState: {
    burstCapacity,
    refillRatePerMinute: 2_400,
    maxDepth,
    tokens: burstCapacity,
    countedAt: 0,
    depthLimit: maxDepth,
    paused: false,
    pausedByDepth: false,
    causes: [],
  },

  reduce({ state, event, continued }) {
    const next = changed(state, event, continued);
    const caused = causedOf(event);
    if (caused === undefined) return next;
    return { ...next, causes: [...next.causes.slice(1 - chainEventsMax), caused] };
  },

  rightBehind({ state, event }) {
    if (state.tripped === undefined || state.paused) return undefined;
    return pausedBecause(state.tripped, event);
  },
};

function changed(state: CircuitBreakerState, event: StreamEvent, continued: boolean): CircuitBreakerState {
  switch (event.type) {
    case "https://events.iterate.com/events/stream/circuit-breaker-configured":
      return configure(state, event);
    case "https://events.iterate.com/events/stream/paused":
      return pauseAt(state);
    case "https://events.iterate.com/events/stream/resumed":
      return resume(state, event);
    default:
      return count(state, event, continued);
  }
}

function count(state: CircuitBreakerState, event: StreamEvent, continued: boolean): CircuitBreakerState {
  const { source } = event;
  const createdBy = creatorOf(event);
  const stated = source?.kind === "server" || contractFor(event.type)?.serverOnly === true;
  if (stated && createdBy === undefined) return state;
  if (source !== undefined && source.depth > state.depthLimit && state.tripped === undefined && !state.paused) {
    return { ...state, tripped: trip("depth", state.depthLimit, source.depth, chainOf(state, event)) };
  }
  if (createdBy !== undefined && createdBy.streamPath !== event.streamPath) return state;
  if (state.burstCapacity === 0) return state;
  if (continued && source?.cause === undefined) return state;
  const now = Date.parse(event.createdAt);
  const refilled = state.tokens + ((now - state.countedAt) * state.refillRatePerMinute) / 60_000;
  const tokens = Math.min(state.burstCapacity, refilled) - 1;
  const next = { ...state, tokens, countedAt: now };
  if (tokens >= 0 || state.tripped !== undefined || state.paused) return next;
  next.tripped = trip("rate", state.burstCapacity, state.burstCapacity + 1, chainOf(state, event));
  return next;
}

function trip(kind: "rate" | "depth", limit: number, observed: number, chain: Cause[]): JsonObject {
  return { kind, limit, observed, chain };
}

/**
 * From the event back through its causes, as far as this stream knows: up to an event of another stream, to one from
 * outside, or to one that lies too far back. From the news of a birth it goes on with what made that stream.
 */
function chainOf({ causes }: CircuitBreakerState, event: StreamEvent): Cause[] {
  const { streamPath, offset } = event;
  const chain: Cause[] = [{ streamPath, offset }];
  let caused = causedOf(event);
  while (caused !== undefined && chain.length < chainEventsMax) {
    chain.push(caused.cause);
    if (caused.createdBy !== undefined && chain.length < chainEventsMax) chain.push(caused.createdBy);
    const last = caused.createdBy ?? caused.cause;
    caused = last.streamPath === streamPath ? causes.find(({ offset }) => offset === last.offset) : undefined;
  }
  return chain;
}

function causedOf(event: StreamEvent): Caused | undefined {
  const cause = event.source?.cause;
  if (cause === undefined) return undefined;
  const createdBy = creatorOf(event);
  return { offset: event.offset, cause, ...(createdBy === undefined ? {} : { createdBy }) };
}

/** Because of which event code made the stream whose birth this tells; undefined for all else. */
function creatorOf({ type, payload }: StreamEvent): Cause | undefined {
  return type === childStreamCreated ? (payload as { createdBy?: Cause }).createdBy : undefined;
}

function configure(state: CircuitBreakerState, event: StreamEvent): CircuitBreakerState {
  const payload = isJsonObject(event.payload) ? event.payload : {};
  const burst = numberOr(payload.burstCapacity, state.burstCapacity);
  const depth = numberOr(payload.maxDepth, maxDepth);
  return {
    ...state,
    burstCapacity: burst,
    refillRatePerMinute: numberOr(payload.refillRatePerMinute, state.refillRatePerMinute),
    maxDepth: depth,
    depthLimit: depth,
    tokens: burst,
    countedAt: Date.parse(event.createdAt),
  };
}

function pauseAt({ tripped, ...state }: CircuitBreakerState): CircuitBreakerState {
  return { ...state, paused: true, pausedByDepth: tripped?.kind === "depth" };
}

/** A person looked at it: a full bucket, and as much depth again if depth was the reason. */
function resume({ tripped: _, ...state }: CircuitBreakerState, event: StreamEvent): CircuitBreakerState {
  return {
    ...state,
    paused: false,
    pausedByDepth: false,
    depthLimit: state.pausedByDepth ? state.depthLimit + state.maxDepth : state.depthLimit,
    tokens: state.burstCapacity,
    countedAt: Date.parse(event.createdAt),
  };
}

function pausedBecause(cause: JsonObject, event: StreamEvent): EventInput {
  // Of news from the tree only that of streams which code made can trip it.
  const byBirths = event.source?.kind === "server" && event.source.slug === "tree";
  const births =
    "Look for code that makes streams below because of streams that came into being (child-stream-created).";
  const reason =
    cause.kind === "rate"
      ? `circuit breaker: more than ${cause.limit} events in a burst. ${byBirths ? `${births} ` : ""}${howToResume} Append circuit-breaker-configured before it to allow more (burstCapacity 0 switches it off).`
      : `circuit breaker: ${cause.observed} causes lie behind event ${event.offset}, more than the limit of ${cause.limit}. ${byBirths ? births : "Look for processors that answer each other."} ${howToResume} That allows as many again.`;
  return { type: "https://events.iterate.com/events/stream/paused", payload: { reason, cause } };
}

const howToResume = 'Append {"type":"https://events.iterate.com/events/stream/resumed"} to go on.';

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}
