/**
 * Node's streams as web streams. Node's own conversion counts pieces instead of bytes: it would hold up to a gigabyte
 * that nobody reads.
 */
import { type Duplex, finished, type Readable } from "node:stream";

/** Held for a reader. */
const aheadBytes = 64 * 1024;

/** @param cancel what to do with the rest, where it is not wanted */
export function toReadable(source: Readable, cancel: () => void): ReadableStream<Uint8Array> {
  let sink: ReadableStreamDefaultController<Uint8Array> | undefined;

  function settle(tell: (open: ReadableStreamDefaultController<Uint8Array>) => void): void {
    if (sink !== undefined) tell(sink);
    sink = undefined;
  }

  return new ReadableStream<Uint8Array>(
    {
      start(given) {
        sink = given;
        source.pause();
        source.on("data", (chunk: Buffer) => {
          sink?.enqueue(chunk);
          if ((sink?.desiredSize ?? 1) <= 0) source.pause();
        });
        finished(source, { writable: false }, (error) =>
          settle((open) => (error == null ? open.close() : open.error(error))),
        );
      },
      pull: () => void source.resume(),
      cancel() {
        sink = undefined;
        cancel();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: aheadBytes }),
  );
}

/** Both directions; to cancel one or to give it up destroys it. */
export function toWebStreams(duplex: Duplex): {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
} {
  const destroy = () => void duplex.destroy();
  const writable = new WritableStream<Uint8Array>({
    start(controller) {
      finished(duplex, { readable: false }, (error) => {
        if (error != null) controller.error(error);
      });
    },
    write: (chunk) =>
      new Promise((resolve, reject) => {
        duplex.write(chunk, (error) => (error == null ? resolve() : reject(error)));
      }),
    close: () => new Promise((resolve) => duplex.end(resolve)),
    abort: destroy,
  });
  return { readable: toReadable(duplex, destroy), writable };
}
