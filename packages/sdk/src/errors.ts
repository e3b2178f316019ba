/**
 * The one error of the client. Either the server refused, then `code` is one of its closed set (PROTOCOL.md, section
 * 5), or there was none that could be used, then it is one of the codes of the client itself. Programs
 * look at `name` and `code`, never at the message, and never use `instanceof` across packages.
 */
import type { ErrorCode, ErrorData } from "@millrace/protocol";

/** What only a client can meet. */
export interface ClientErrorData {
  /** No answer: the server is not there, or the connection broke. Of an append the outcome is unknown. */
  unreachable: { url: string };
  /** An answer that no Millrace server gives: another server, a proxy, a login page. `body` is how it begins. */
  unexpected_answer: { url: string; body: string };
  /** Between two pages of a history its stream was deleted: what was given out is not all there was. */
  deleted_while_read: { path: string };
}

export type MillraceErrorData = ErrorData & ClientErrorData;
export type MillraceErrorCode = ErrorCode | keyof ClientErrorData;

export class MillraceError<Code extends MillraceErrorCode = MillraceErrorCode> extends Error {
  override readonly name = "MillraceError";
  readonly code: Code;
  /** The status of the answer; undefined when there was none. */
  readonly status: number | undefined;
  /** What belongs to the code, such as `head` and `expected` of `offset_conflict`. */
  readonly data: MillraceErrorData[Code];
  /** The server's `Retry-After`, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: Code,
    message: string,
    data: MillraceErrorData[Code],
    { status, retryAfterMs, cause }: { status?: number; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.data = data;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** True for a MillraceError of any copy of this package; with a code, only for that one. */
export function isMillraceError<Code extends MillraceErrorCode>(
  error: unknown,
  code?: Code,
): error is MillraceError<Code> {
  if (typeof error !== "object" || error === null) return false;
  const { name, code: actual } = error as { name?: unknown; code?: unknown };
  return name === "MillraceError" && typeof actual === "string" && (code === undefined || actual === code);
}

/**
 * Whether the same request may be answered otherwise a little later: no answer, too slow, too many, not now. Statuses
 * decide, so that what a proxy says for a server that is away (502, 504) counts as well.
 */
export function isTransient(error: unknown): boolean {
  if (!isMillraceError(error)) return false;
  const { code, status = 0 } = error;
  return code === "unreachable" || status === 408 || status === 429 || (status >= 502 && status <= 504);
}
