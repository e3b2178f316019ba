/** The streams that are open, by project and path. The least recently used one leaves when there are too many. */
import { isBelow, type Limits } from "@millrace/protocol";
import type { Gauges } from "./engine-interface.ts";
import { Stream } from "./stream.ts";
import type { StreamDependencies } from "./stream-dependencies.ts";

/** Moving a stream to the young end costs more than finding it, so a busy one is moved once in a turn of so many uses. */
const usesPerTurn = 1_000;
const stopping = "The server is stopping.";

export class Streams {
  #turn = 0;
  #uses = 0;
  #stopping = false;
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
      if (this.#stopping) void stream.consumers?.stop(stopping);
      this.#makeRoom();
    } else if (stream.usedAt === this.#turn) {
      return stream;
    } else {
      this.#open.delete(id);
    }
    stream.usedAt = this.#turn;
    if (++this.#uses >= usesPerTurn) {
      this.#uses = 0;
      this.#turn++;
    }
    this.#open.set(id, stream);
    return stream;
  }

  peek(project: string, path: string): Stream | undefined {
    return this.#open.get(project + path);
  }

  /** Those that are open below a path, as they are now. */
  below(project: string, path: string): Stream[] {
    return [...this.#open.values()].filter((stream) => stream.project === project && isBelow(stream.path, path));
  }

  /** Resolves when nothing that was accepted waits any more. */
  async settled(): Promise<void> {
    for (const stream of this.#open.values()) await stream.settled();
  }

  /** Ends what consumers do, and writes down how far they came. Nobody begins any more, whatever is opened yet. */
  async stopConsumers(): Promise<void> {
    this.#stopping = true;
    const ending = [...this.#open.values()].map(async (stream) => {
      await stream.consumers?.stop(stopping);
      if (stream.consumers?.unsaved) await stream.errand();
    });
    await Promise.allSettled(ending);
  }

  /** What waits for its turn, over all streams. Looks at each: for whoever asks now and then. */
  waiting(): { waitingAppends: number; waitingBytes: number } {
    let waitingAppends = 0;
    let waitingBytes = 0;
    for (const stream of this.#open.values()) {
      waitingAppends += stream.queue.length;
      waitingBytes += stream.waitingBytes;
    }
    return { waitingAppends, waitingBytes };
  }

  /** The same of consumers. */
  consumerGauges(): Pick<Gauges, "consumers" | "consumerLag" | "consumerLagMax" | "retryingConsumers"> {
    const gauges = { consumers: 0, consumerLag: 0, consumerLagMax: 0, retryingConsumers: 0 };
    for (const stream of this.#open.values()) {
      for (const { lag, driver } of stream.consumers ?? []) {
        gauges.consumers++;
        gauges.consumerLag += lag;
        gauges.consumerLagMax = Math.max(gauges.consumerLagMax, lag);
        if (!driver.halted && driver.progress.nextAttemptAt !== undefined) gauges.retryingConsumers++;
      }
    }
    return gauges;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * From the least recently used on; one that is in use stays, so there may be more than the limit for a while. It
   * moves to the young end: many that are only read live must not stand in front of all the others for ever.
   */
  #makeRoom(): void {
    if (this.#open.size < this.#limits.openStreams) return;
    let looked = 0;
    for (const [id, stream] of this.#open) {
      this.#open.delete(id);
      if (!stream.idle) this.#open.set(id, stream);
      else if (this.#open.size < this.#limits.openStreams) return;
      if (++looked > 100) return;
    }
  }
}
