/**
 * What reads give: an async iterable of events that can be left at any time. Nothing is asked for before the first
 * `next()`; leaving the loop, or `return()` while a `next()` still waits, closes the connection.
 */
import type { JsonValue, StreamEvent } from "@millrace/protocol";

export interface EventStream<Payload = JsonValue> extends AsyncIterableIterator<StreamEvent<Payload>> {
  /**
   * Up to where events were given out: as `after` of another read it goes on behind them. Undefined before any. A
   * subtree that is not read live has one only where a page ended.
   */
  readonly cursor: string | undefined;
  return(): Promise<IteratorResult<StreamEvent<Payload>>>;
}

/** Where a read is. Written by whoever produces the events, just before each is given out. */
export interface Progress {
  cursor: string | undefined;
}

export type Produce = (progress: Progress, signal: AbortSignal) => AsyncGenerator<StreamEvent>;

/** @param signal ends the read by throwing its reason */
export function createEventStream(produce: Produce, signal: AbortSignal | undefined): EventStream {
  const progress: Progress = { cursor: undefined };
  const leaving = new AbortController();
  const abort = () => leaving.abort(signal?.reason);
  const events = produce(progress, leaving.signal);
  let left = false;
  let started = false;

  function finish(): void {
    left = true;
    signal?.removeEventListener("abort", abort);
  }

  return {
    get cursor() {
      return progress.cursor;
    },
    async next() {
      if (left) return { done: true, value: undefined };
      if (!started) {
        started = true;
        if (signal?.aborted) abort();
        else signal?.addEventListener("abort", abort, { once: true });
      }
      try {
        if (signal?.aborted) throw signal.reason;
        const result = await events.next();
        if (result.done) finish();
        return result;
      } catch (error) {
        // Whoever left does not want to hear how the connection took it.
        if (left) return { done: true, value: undefined };
        finish();
        throw error;
      }
    },
    async return() {
      finish();
      leaving.abort();
      await events.return(undefined).catch(() => {});
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
