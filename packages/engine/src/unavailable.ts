/** "Not now": the outcome is unknown or nothing could be done; the same request may be sent again. */
import { StreamError } from "@millrace/protocol";

export function unavailable(message: string): StreamError<"unavailable"> {
  return new StreamError("unavailable", message, { retryAfterSeconds: 1 });
}
