/** What the server says of a consumer, as events of its stream: that something failed, that it goes no further. */
import type { Step } from "../driver.ts";
import type { StreamEvent } from "../event.ts";
import type { OpenWork } from "../hook.ts";
import type { Consumer } from "./consumer.ts";
import type { DeliveryKind } from "./spec.ts";

const messageCharactersMax = 4_096;

/** One event at most for each place, however often it fails there, and one for each piece of work that began there. */
export async function tellError(consumer: Consumer, offset: number, message: string, work?: OpenWork): Promise<void> {
  const { kind, slug } = { kind: consumer.kind.kind, slug: consumer.spec.slug };
  const payload = { message: message.slice(0, messageCharactersMax), about: { kind, slug, offset } };
  const event = { type: "https://events.iterate.com/events/stream/error-occurred", payload };
  await consumer.house.state({
    key: factKey(consumer, `${offset}/${work === undefined ? "" : `work/${encodeURIComponent(work.name)}/`}error`),
    streamId: consumer.streamId,
    event,
    offset,
    slug,
    needed: work !== undefined,
  });
}

/** One for each run: another version, or another resumption, may be halted again. */
export async function tellHalt(consumer: Consumer, step: Extract<Step, { do: "halt" }>): Promise<void> {
  const { kind, spec, streamId } = consumer;
  const { offset, attempts } = step;
  const halt = { offset, message: step.message.slice(0, messageCharactersMax), attempts };
  const event = { type: kind.haltedType, payload: {}, ...kind.halted(spec, halt) };
  const key = factKey(consumer, `halted/${spec.configuredAt}/${spec.resumedAt}`);
  await consumer.house.state({ key, streamId, event, offset, slug: spec.slug });
}

/** The server itself says that somebody failed. */
export function isReport({ type, source }: StreamEvent): boolean {
  return source?.kind === "server" && reports.has(type);
}

const reports: ReadonlySet<string> = new Set([
  "https://events.iterate.com/events/stream/error-occurred",
  "https://events.iterate.com/events/stream/dynamic-worker/halted",
  "https://events.iterate.com/events/stream/jsonata-transformer-halted",
  "https://events.iterate.com/events/stream/subscription/halted",
  "https://events.iterate.com/events/stream/subscription/event-parked",
]);

export function interruptedMessage({ name }: OpenWork): string {
  return `The work "${name}" was interrupted. It is not run again by itself.`;
}

/** Errors and halts of a consumer are folded by everyone, and never acted on by the one that they name. */
export function isAbout({ type, payload }: StreamEvent, { kind, aboutTypes }: DeliveryKind, slug: string): boolean {
  if (aboutTypes.has(type)) return fieldOf(payload, "slug") === slug;
  const about = fieldOf(payload, "about");
  return fieldOf(about, "kind") === kind && fieldOf(about, "slug") === slug;
}

function factKey({ name, spec, streamId }: Consumer, what: string): string {
  return `d:${name}/${spec.epoch}/${streamId}/${what}`;
}

function fieldOf(value: unknown, field: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[field] : undefined;
}
