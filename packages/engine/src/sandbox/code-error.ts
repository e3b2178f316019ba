/** Errors of code as plain data, and back: what crosses the boundary of a sandbox loses its class. */
import { isStreamError, type JsonValue } from "@millrace/protocol";
import type { CodeError } from "../ports/sandbox.ts";

/** Whatever was thrown: code may throw anything. */
export function codeErrorOf(error: unknown): CodeError {
  if (!(error instanceof Error)) return { name: "Error", message: `threw ${String(error)}` };
  const { name, message, stack } = error;
  return {
    name: String(name),
    message: String(message),
    ...(typeof stack === "string" ? { stack } : {}),
    ...(isStreamError(error) ? { code: error.code, data: error.data as unknown as JsonValue } : {}),
  };
}

/** As the code catches it: with the name and the code of what it was. */
export function errorOf({ name, message, code, data }: CodeError): Error {
  return Object.assign(new Error(message), { name, ...(code === undefined ? {} : { code, data }) });
}
