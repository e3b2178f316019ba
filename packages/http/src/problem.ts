/** Refusals as RFC 9457 problem documents: the code chooses the status and the type's documentation. */
import { errorStatus, isStreamError, StreamError } from "@millrace/protocol";
import type { Outgoing } from "./exchange.ts";

export function problem(error: unknown): Outgoing {
  const refusal = toRefusal(error);
  const { code, message, data } = refusal;
  const headers: Record<string, string> = { "content-type": "application/problem+json" };
  if (isStreamError(refusal, "unavailable")) headers["retry-after"] = String(refusal.data.retryAfterSeconds);
  if (isStreamError(refusal, "rate_limited")) headers["retry-after"] = "1";
  if (isStreamError(refusal, "unauthorized")) headers["www-authenticate"] = "Bearer";
  if (isStreamError(refusal, "method_not_allowed")) headers.allow = refusal.data.allow;
  const status = errorStatus[code];
  const body = { type: `urn:millrace:error:${code}`, title: titleOf(code), status, code, detail: message, ...data };
  return { status, headers, body: `${JSON.stringify(body)}\n` };
}

/** True for what is a refusal; anything else is a fault of ours that the host writes down. */
export function isRefusal(error: unknown): boolean {
  return isStreamError(error);
}

export function toRefusal(error: unknown): StreamError {
  return isStreamError(error) ? error : unexpected();
}

/** Never a 500: what we did not foresee is "not now", and the cause is in the log of the server. */
function unexpected(): StreamError {
  return new StreamError("unavailable", "The server met a fault of its own; its log says more.", {
    retryAfterSeconds: 1,
  });
}

export function titleOf(code: string): string {
  const words = code.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
