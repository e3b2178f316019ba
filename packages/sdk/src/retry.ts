/** Waiting longer each time: exponential back-off with jitter, so that a thousand clients do not come back at once. */
import { isMillraceError, isTransient } from "./errors.ts";

export interface RetryOptions {
  /** How often a request is sent again before its error is thrown. 5 unless it is said; `Infinity` never gives up. */
  attempts?: number;
  /** The wait before the first repetition, doubled with each; half of it is chance. Unless it is said 250 ms, and for
   *  live reads what the server says in `retry:`. */
  baseMs?: number;
  /** The longest wait, 30 s. */
  maxMs?: number;
}

export interface Retry {
  attempts: number;
  baseMs: number;
  maxMs: number;
  /** The caller said nothing of `baseMs`, so the server may. */
  hearsServer: boolean;
}

export function toRetry({ attempts = 5, baseMs, maxMs = 30_000 }: RetryOptions = {}): Retry {
  return { attempts, baseMs: baseMs ?? 250, maxMs, hearsServer: baseMs === undefined };
}

/** The wait before repetition number `attempt`, counted from 0; at least what the server asked for. */
export function delayMs(retry: Retry, attempt: number, error?: unknown, chance: number = Math.random()): number {
  const exponential = Math.min(retry.maxMs, retry.baseMs * 2 ** Math.min(attempt, 30));
  const asked = isMillraceError(error) ? (error.retryAfterMs ?? 0) : 0;
  return Math.max(exponential * (0.5 + chance / 2), asked);
}

/** Calls until it succeeds, the error is final, or the attempts are used up. */
export async function retrying<Value>(
  retry: Retry,
  signal: AbortSignal | undefined,
  call: () => Promise<Value>,
): Promise<Value> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt >= retry.attempts || !isTransient(error)) throw error;
      await pause(delayMs(retry, attempt, error), signal);
    }
  }
}

/** @throws the signal's reason as soon as it is aborted */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}
