/**
 * The closed set of ways in which Millrace says no.
 *
 * One class, one table: a code chooses its HTTP status and the data that goes with it. Programs recognise an error by
 * `name === "StreamError"` and its `code`, never by its message and never with `instanceof` across packages.
 */
import type { CursorHolder } from "./cursors.ts";

export const errorStatus = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden_host: 403,
  forbidden_origin: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  idempotency_conflict: 409,
  cursor_conflict: 409,
  stream_deleted: 410,
  offset_conflict: 412,
  too_large: 413,
  stream_paused: 423,
  rate_limited: 429,
  headers_too_large: 431,
  unavailable: 503,
} as const;

export type ErrorCode = keyof typeof errorStatus;

/** What a refusal carries beside its message, by code. `element` names the place in a batch, counted from 0. */
export interface ErrorData {
  invalid_request: { field?: string };
  unauthorized: Record<never, never>;
  forbidden_host: { host: string };
  forbidden_origin: { origin: string };
  not_found: Record<never, never>;
  method_not_allowed: { allow: string };
  request_timeout: { timeoutMs: number };
  idempotency_conflict: { idempotencyKey: string; offset: number; element?: number };
  /** Null where there is no cursor. */
  cursor_conflict: { holder: CursorHolder | null };
  stream_deleted: { head: number };
  offset_conflict: { head: number; expected?: number; element?: number };
  too_large: { limit: number; unit: "bytes" | "events" | "depth" | "characters" };
  stream_paused: { reason?: string; since: string; howToResume: string; element?: number };
  rate_limited: { limit: number; unit: string };
  headers_too_large: { limit: number };
  /** `troubles` is there where the health of the server was asked for. */
  unavailable: { retryAfterSeconds: number; troubles?: readonly { what: string; since?: string; message: string }[] };
}

export class StreamError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = "StreamError";
  readonly code: Code;
  readonly data: ErrorData[Code];

  constructor(code: Code, message: string, data: ErrorData[Code]) {
    super(message);
    this.code = code;
    this.data = data;
  }

  get status(): number {
    return errorStatus[this.code];
  }
}

/** True for a StreamError of any copy of this package; with a code, only for that one. */
export function isStreamError<Code extends ErrorCode>(error: unknown, code?: Code): error is StreamError<Code> {
  if (typeof error !== "object" || error === null) return false;
  const { name, code: actual } = error as { name?: unknown; code?: unknown };
  return name === "StreamError" && typeof actual === "string" && (code === undefined || actual === code);
}
