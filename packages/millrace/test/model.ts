/**
 * What a stream is, in a few lines: a list, its keys, and a head that never goes back. The property tests compare
 * every log with it.
 */
import type { EventInput } from "@millrace/protocol";

export function builtin(name: string): string {
  return `https://events.iterate.com/events/stream/${name}`;
}

export interface ModelEvent {
  offset: number;
  type: string;
  payload: unknown;
  metadata?: unknown;
  idempotencyKey?: string;
  source?: unknown;
}

/** `content` is what a retry is compared by, where that is not the event itself. */
export interface ModelInput extends EventInput {
  content?: string;
  source?: unknown;
}

/** What a paused stream admits. */
const admittedWhilePaused = new Set(
  [
    "resumed",
    "circuit-breaker-configured",
    "schedule-cancelled",
    "jsonata-transformer-removed",
    "subscription/removed",
    "dynamic-worker/configured",
    "dynamic-worker/removed",
  ].map(builtin),
);

export type Outcome = { offsets: number[] } | { code: string; element?: number };

export class ModelStream {
  head = 0;
  alive = false;
  paused = false;
  events: ModelEvent[] = [];
  keys: Map<string, { content: string; offset: number }> = new Map();

  append(batch: readonly ModelInput[]): Outcome {
    const draft: ModelStream = Object.assign(new ModelStream(), this);
    draft.events = [...this.events];
    draft.keys = new Map(this.keys);
    const offsets: number[] = [];
    for (const [index, input] of batch.entries()) {
      const element = batch.length > 1 ? { element: index } : {};
      const content =
        input.content ?? JSON.stringify([input.type, input.payload === undefined ? {} : input.payload, input.metadata]);
      const seen = draft.keys.get(input.idempotencyKey ?? "");
      if (seen !== undefined && seen.content !== content) return { code: "idempotency_conflict", ...element };
      if (seen === undefined) {
        if (!draft.alive) push(draft, { type: builtin("initialized"), payload: "masked" });
        draft.alive = true;
        if ((input.offset ?? draft.head + 1) !== draft.head + 1) return { code: "offset_conflict", ...element };
        if (draft.paused && !admittedWhilePaused.has(input.type)) return { code: "stream_paused", ...element };
        push(draft, input);
        if (input.idempotencyKey !== undefined) draft.keys.set(input.idempotencyKey, { content, offset: draft.head });
        if (input.type === builtin("paused")) draft.paused = true;
        if (input.type === builtin("resumed")) draft.paused = false;
      }
      offsets.push(seen?.offset ?? draft.head);
    }
    Object.assign(this, draft);
    return { offsets };
  }

  /** The head that it had, or undefined when there was no stream. */
  delete(): number | undefined {
    const head = this.alive ? this.head : undefined;
    Object.assign(this, { alive: false, paused: false, events: [], keys: new Map() });
    return head;
  }

  read({ after, before, limit, descending, type }: ModelRead): ModelEvent[] {
    const found = this.events.filter(
      (event) => event.offset > after && event.offset < before && (type === undefined || event.type === type),
    );
    return (descending ? found.reverse() : found).slice(0, limit);
  }
}

export interface ModelRead {
  after: number;
  before: number;
  limit: number;
  descending: boolean;
  type?: string;
}

function push(stream: ModelStream, { type, payload = {}, metadata, idempotencyKey, source }: ModelInput): void {
  const event: ModelEvent = { offset: ++stream.head, type, payload };
  if (metadata !== undefined) event.metadata = metadata;
  if (idempotencyKey !== undefined) event.idempotencyKey = idempotencyKey;
  if (source !== undefined) event.source = source;
  stream.events.push(event);
}
