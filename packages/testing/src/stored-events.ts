/** Events for a reducer without a stream: what is missing of the envelope is filled in as a stream would. */
import { defaultLimits, type EventInput, parseEventInput, type StreamEvent } from "@millrace/protocol";
import { copyOf } from "./json-difference.ts";
import { manualClockStart } from "./manual-clock.ts";

/** Stored events as they are, or what would be appended. */
export type EventLike = StreamEvent | EventInput;

export const testPath = "/test";

/**
 * Copies, so that nothing of the caller's is ever changed. What was not stored gets the path `/test`, the offset behind
 * the event before it, and a time one second later.
 * @throws Error when one of them is no event
 */
export function storedEvents(events: Iterable<EventLike>): StreamEvent[] {
  const stored: StreamEvent[] = [];
  for (const event of events) stored.push(isStored(event) ? copyOf(event) : store(event, stored.at(-1)));
  return stored;
}

export function isStored(event: unknown): event is StreamEvent {
  if (typeof event !== "object" || event === null) return false;
  const { streamPath, offset, type, createdAt } = event as Partial<StreamEvent>;
  return [streamPath, type, createdAt].every((text) => typeof text === "string") && Number.isSafeInteger(offset);
}

function store(input: EventInput, before: StreamEvent | undefined): StreamEvent {
  const { type, payload = {}, metadata, idempotencyKey } = checkedEvent(input, { fromServer: true });
  const at = before === undefined ? manualClockStart : Date.parse(before.createdAt) + 1_000;
  return {
    streamPath: before?.streamPath ?? testPath,
    offset: (before?.offset ?? 0) + 1,
    type,
    payload,
    ...(metadata && { metadata }),
    ...(idempotencyKey && { idempotencyKey }),
    createdAt: new Date(at).toISOString(),
  };
}

/**
 * The event as the server would read it.
 * @param fromServer of types that only the server writes, too
 * @throws Error that says what is wrong with it
 */
export function checkedEvent(input: EventInput, { fromServer }: { fromServer: boolean }): EventInput {
  const text = JSON.stringify(input) ?? "null";
  const parsed = parseEventInput(JSON.parse(text), { jsonDepth: defaultLimits.jsonDepth, fromServer });
  if (!parsed.ok) throw new Error(`This is no event: ${parsed.error}\n  ${text}`);
  return parsed.event;
}
