/** The envelope: what a client sends, what the server stores, and where an event says that code wrote it. */
import type { JsonObject, JsonValue } from "./json.ts";

/** What a client sends. `offset` is a precondition: append only if the event would get exactly this one. */
export interface EventInput {
  type: string;
  payload?: JsonValue;
  metadata?: JsonObject;
  idempotencyKey?: string;
  offset?: number;
}

/** Who wrote an event that code appended, and because of which event. Absent on what came from outside. */
export interface EventSource {
  kind: "processor" | "schedule" | "transformer" | "subscription" | "server" | "remote";
  slug?: string;
  cause?: { streamPath: string; offset: number };
  /** The cause's depth + 1; 0 from outside. */
  depth: number;
}

/** What is stored and read back. Offsets are 1, 2, 3 ... without gaps; `createdAt` never runs backwards. */
export interface StreamEvent<Payload = JsonValue> {
  streamPath: string;
  offset: number;
  type: string;
  payload: Payload;
  metadata?: JsonObject;
  idempotencyKey?: string;
  /** ISO 8601, milliseconds, Z. */
  createdAt: string;
  source?: EventSource;
}
