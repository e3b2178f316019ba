/** A request as the tests of the way out send it. */
import type { OutboundRequest } from "@millrace/engine";

export function request(url: string, given: Partial<OutboundRequest> = {}): OutboundRequest {
  return {
    url,
    method: "POST",
    headers: { authorization: "Bearer confidential" },
    body: "confidential",
    timeoutMs: 10_000,
    responseBytesMax: 64 * 1024,
    signal: new AbortController().signal,
    ...given,
  };
}

/** What it failed with; no message may hold what was sent. */
export async function failureOf(promise: Promise<unknown>): Promise<{ reason: string; message: string }> {
  try {
    await promise;
  } catch (error) {
    const { name, reason, message } = error as { name: string; reason: string; message: string };
    if (name === "OutboundError" && !message.includes("confidential")) return { reason, message };
    throw error;
  }
  throw new Error("expected a failure");
}
