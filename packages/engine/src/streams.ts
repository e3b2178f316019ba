/** The streams that are open, by project and path. The least recently used one leaves when there are too many. */
import type { Limits } from "@millrace/protocol";
import { Stream, type StreamDependencies } from "./stream.ts";

export class Streams {
  readonly #open: Map<string, Stream> = new Map();
  readonly #limits: Limits;
  readonly #dependenciesOf: (project: string, path: string) => StreamDependencies;

  constructor(limits: Limits, dependenciesOf: (project: string, path: string) => StreamDependencies) {
    this.#limits = limits;
    this.#dependenciesOf = dependenciesOf;
  }

  /** The open stream, opened now if need be. Costs no I/O: it loads itself when it is first needed. */
  get(project: string, path: string): Stream {
    // A slug has no slash and a path begins with one, so the two together are unambiguous.
    const id = project + path;
    let stream = this.#open.get(id);
    if (stream === undefined) {
      stream = new Stream(project, path, this.#dependenciesOf(project, path));
      this.#makeRoom();
    } else {
      this.#open.delete(id);
    }
    this.#open.set(id, stream);
    return stream;
  }

  peek(project: string, path: string): Stream | undefined {
    return this.#open.get(project + path);
  }

  get size(): number {
    return this.#open.size;
  }

  /** From the least recently used on; one that is in use stays, so there may be more than the limit for a while. */
  #makeRoom(): void {
    if (this.#open.size < this.#limits.openStreams) return;
    let looked = 0;
    for (const [id, stream] of this.#open) {
      if (stream.idle) {
        this.#open.delete(id);
        if (this.#open.size < this.#limits.openStreams) return;
      }
      if (++looked > 100) return;
    }
  }
}
