/** A stream that a signal cuts, for whoever reads it and for whoever writes it. */

export interface CuttableStream {
  stream: ReadableStream<Uint8Array>;
  /** Resolves when the source failed by itself; never in any other case. */
  failed: Promise<void>;
}

/** @param explain what the reader gets where the source fails */
export function cuttable(
  source: ReadableStream<Uint8Array>,
  cut: AbortSignal,
  explain: (error: unknown) => unknown,
): CuttableStream {
  const reader = source.getReader();
  let told = () => {};
  const failed = new Promise<void>((resolve) => {
    told = resolve;
  });
  const stream = new ReadableStream<Uint8Array>({
    start(sink) {
      const abort = () => {
        sink.error(cut.reason);
        void reader.cancel(cut.reason).catch(() => {});
      };
      if (cut.aborted) abort();
      else cut.addEventListener("abort", abort, { once: true });
      reader.closed.catch((error) => {
        if (cut.aborted) return;
        sink.error(explain(error));
        told();
      });
    },
    async pull(sink) {
      const next = await reader.read().catch(() => undefined);
      if (next === undefined || cut.aborted) return;
      if (next.done) sink.close();
      else sink.enqueue(next.value);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return { stream, failed };
}
