/** What a processor does, told while it does it: for a log, a terminal, a test. It never changes what happens. */
import type { EventInput, HouseAppend, LoadedProcessor, StreamEvent } from "@millrace/protocol";
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
  appended(
    path: string,
    append: Pick<HouseAppend, "source">,
    appended: { event: StreamEvent; replayed: boolean },
    isRepetition: boolean,
  ): void;
  told(path: string, event: EventInput): void;
  failed(error: unknown): void;
}

export function createObserver(
  observer: ProcessorObserver,
  hookTurns: Turns,
  onRival: (path: string, offset: number) => void,
): Observer {
  async function observed(path: string, event: StreamEvent | undefined, attempt: number, hook: () => unknown) {
    let error: unknown;
    await hookTurns(async () => {
      const began = performance.now();
      observer.onActing?.(path, event, attempt);
      try {
        await hook();
      } catch (thrown) {
        error = thrown;
        throw thrown;
      } finally {
        observer.onActed?.(path, event, performance.now() - began, error);
      }
    });
  }

  return {
    watched(processor, path) {
      const { reduce, afterAppend, afterCatchUp } = processor;
      return {
        ...processor,
        reduce(args) {
          const after = reduce.call(processor, args);
          observer.onReduced?.(path, args.event, args.state, after === undefined ? args.state : after);
          return after;
        },
        ...(afterAppend && {
          afterAppend: (args) => observed(path, args.event, args.attempt, () => afterAppend.call(processor, args)),
        }),
        ...(afterCatchUp && {
          afterCatchUp: (args) => observed(path, undefined, 1, () => afterCatchUp.call(processor, args)),
        }),
      };
    },
    appended(path, { source }, { event, replayed }, isRepetition) {
      observer.onAppended?.(path, event, replayed);
      if (replayed && !isRepetition) onRival(path, source.cause.offset);
    },
    told: (path, event) => observer.onTold?.(path, event),
    failed: (error) => observer.onFailure?.(error),
  };
}
