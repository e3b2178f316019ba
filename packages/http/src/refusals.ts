/** The refusals that several routes need, worded once. */
import { StreamError } from "@millrace/protocol";

export function invalidRequest(message: string, field?: string): StreamError<"invalid_request"> {
  return new StreamError("invalid_request", message, field === undefined ? {} : { field });
}

export function tooLarge(limit: number, unit: "bytes" | "events" = "bytes"): StreamError<"too_large"> {
  return new StreamError("too_large", `The limit is ${limit} ${unit}. Send it in several requests.`, { limit, unit });
}

export function notAllowed(method: string, allow: string): StreamError<"method_not_allowed"> {
  return new StreamError("method_not_allowed", `${method} is not possible here; ${allow} are.`, { allow });
}
