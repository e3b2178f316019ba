/**
 * JSONata, where it can be stopped. An expression is a program of somebody else: it may never end, and it may ask for
 * any amount of memory, so it is never evaluated on the server's own thread.
 */

/** What a consumer asks of one event. Without a matcher every event matches; without a transform nothing is computed. */
export interface Rule {
  /** Matches when the result is true in the sense of JSONata's `$boolean`. */
  readonly matcher?: string;
  readonly transform?: string;
}

/** `result` is JSON text; left out where the transform gives nothing, as JSONata does for what is not there. */
export type Evaluated = { matched: false } | { matched: true; result?: string };

export interface Expressions {
  /**
   * Evaluates a rule over one JSON text. Every call is on its own: what one of them does to itself, others do not
   * notice. Rejects with ExpressionError.
   */
  evaluate(rule: Rule, input: string): Promise<Evaluated>;
  /** Ends what runs. Nothing may be evaluated behind it. */
  close(): Promise<void>;
}

/**
 * "failed": the expression said so itself, and would again. "stopped": it took too long or too much memory. "closed":
 * nobody evaluates any more. Recognised by name, since an adapter may bring its own copy of this package.
 */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
  readonly reason: "failed" | "stopped" | "closed";

  constructor(reason: ExpressionError["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

export function isExpressionError(error: unknown): error is ExpressionError {
  return error instanceof Error && error.name === "ExpressionError";
}
