/** What a processor does, told while it does it: for a log, a terminal, a test. It never changes what happens. */
import type { EventInput, HouseAppend, LoadedProcessor, Logger, StreamEvent } from "@millrace/protocol";
import type { Turns } from "./turns.ts";

export interface ProcessorObserver {
  /** The reducer was given an event; the state is the same object where it kept it. */
  onReduced?(path: string, event: StreamEvent, before: unknown, after: unknown): void;
  /** A hook begins, for an event or for what was missed. */
  onActing?(path: string, event: StreamEvent | undefined, attempt: number): void;
  onActed?(path: string, event: StreamEvent | undefined, milliseconds: number, error: unknown): void;
  onAppended?(path: string, event: StreamEvent, replayed: boolean): void;
  /** An error event was appended about this processor. */
  onTold?(path: string, event: EventInput): void;
  /** The server could not be reached or read; it goes on by itself. */
  onFailure?(error: unknown): void;
}

export interface Observer {
  /** The processor with its calls observed, and its hooks in turn with those of other streams. */
  watched(processor: LoadedProcessor, path: string): LoadedProcessor;
  /** @param mayRepeat this run or the one before it may have appended the same before */
  appended(path: string, append: Pick<HouseAppend, "source">, appended: Appended, mayRepeat: boolean): void;
  told(path: string, event: EventInput): void;
  failed(error: unknown): void;
}

interface Appended {
  event: StreamEvent;
  replayed: boolean;
}

export interface Observing {
  observer: ProcessorObserver;
  slug: string;
  logger: Logger;
  hookTurns: Turns;
  /** Of the run: what fails because of its end is no news. */
  signal: AbortSignal;
  onRival(path: string, offset: number): void;
}

export function createObserver({ observer, slug, logger, hookTurns, signal, onRival }: Observing): Observer {
  /** Whoever watches changes nothing, also if it throws. */
  function show(what: () => void): void {
    try {
      what();
    } catch (error) {
      logger.error(`The observer of ${slug} failed: ${String(error)}`);
    }
  }

  async function observed(path: string, { event, attempt, signal: ended }: Observed, hook: () => unknown) {
    let error: unknown;
    await hookTurns(async () => {
      const began = performance.now();
      show(() => observer.onActing?.(path, event, attempt));
      try {
        await hook();
      } catch (thrown) {
        error = thrown;
        throw thrown;
      } finally {
        show(() => observer.onActed?.(path, event, performance.now() - began, error));
      }
    }, ended);
  }

  return {
    watched(processor, path) {
      const { reduce, afterAppend, afterCatchUp } = processor;
      return {
        ...processor,
        reduce(args) {
          const after = reduce.call(processor, args);
          show(() => observer.onReduced?.(path, args.event, args.state, after === undefined ? args.state : after));
          return after;
        },
        ...(afterAppend && {
          afterAppend: (args) => observed(path, args, () => afterAppend.call(processor, args)),
        }),
        ...(afterCatchUp && {
          afterCatchUp: (args) =>
            observed(path, { attempt: 1, signal: args.signal }, () => afterCatchUp.call(processor, args)),
        }),
      };
    },
    appended(path, { source }, { event, replayed }, mayRepeat) {
      show(() => observer.onAppended?.(path, event, replayed));
      if (replayed && !mayRepeat) onRival(path, source.cause.offset);
    },
    told(path, event) {
      const { message, about } = event.payload as { message: string; about?: { offset?: number } };
      logger.error(`${slug} on ${path} at offset ${about?.offset}: ${message}`);
      show(() => observer.onTold?.(path, event));
    },
    failed(error) {
      if (signal.aborted && isAbort(error)) return;
      logger.warn(`${slug}: ${error instanceof Error ? error.message : String(error)}`);
      show(() => observer.onFailure?.(error));
    },
  };
}

interface Observed {
  event?: StreamEvent;
  attempt: number;
  signal: AbortSignal;
}

function isAbort(error: unknown): boolean {
  return (error as { name?: unknown } | undefined)?.name === "AbortError";
}
