/**
 * Says what a processor does while it does it. History that is only folded is said in one line; an event that is acted
 * on has a line of its own, with what it changed, what was appended because of it, and how long that took.
 */
import type { LoadedProcessor, StreamEvent } from "@millrace/protocol";
import type { ProcessorObserver } from "@millrace/sdk/processor";
import { authorLine } from "./author-line.ts";
import { changeText } from "./change.ts";
import type { Told } from "./told.ts";

export interface Narrator extends ProcessorObserver {
  /** The same processor; a reducer that throws is said, with the author's line. */
  listening(processor: LoadedProcessor): LoadedProcessor;
  /** Says what it still held back. */
  end(): void;
}

/** The last event of a stream that was reduced, and how many before it were and are not said yet. */
interface Reduced {
  event: StreamEvent;
  before: unknown;
  after: unknown;
  earlier: number;
}

/** So long an event may wait for its hook; then it is said without. */
const holdMs = 200;

export function createNarrator(
  tell: (told: Told) => void,
  onFailure: (error: unknown) => void,
  files: () => ReadonlySet<string>,
): Narrator {
  const held = new Map<string, Reduced>();
  const said = new Map<string, number>();
  const failures = new Map<string, string>();
  let timer: NodeJS.Timeout | undefined;

  function sayEvent({ streamPath: path, offset, type, payload }: StreamEvent, attempt: number): void {
    if (attempt === 1 && said.get(path) === offset) return;
    said.set(path, offset);
    tell({ kind: "event", path, offset, type, payload, attempt });
  }

  function sayReduced({ event, before, after }: Reduced, attempt: number): void {
    const { streamPath: path, offset } = event;
    sayEvent(event, attempt);
    const change = changeText(before, after);
    if (change !== undefined) tell({ kind: "state", path, offset, change });
  }

  function sayFolded(reduced: Reduced): void {
    const { event, earlier } = reduced;
    if (earlier === 0) sayReduced(reduced, 1);
    else tell({ kind: "folded", path: event.streamPath, offset: event.offset, events: earlier + 1 });
  }

  function sayHeld(): void {
    timer = undefined;
    for (const reduced of held.values()) sayFolded(reduced);
    held.clear();
  }

  return {
    onReduced(path, event, before, after) {
      const last = held.get(path);
      held.set(path, { event, before, after, earlier: last === undefined ? 0 : last.earlier + 1 });
      timer ??= setTimeout(sayHeld, holdMs).unref();
    },
    onActing(path, event, attempt) {
      const reduced = held.get(path);
      held.delete(path);
      if (reduced !== undefined && reduced.event.offset === event?.offset) {
        const { earlier } = reduced;
        if (earlier > 0) tell({ kind: "folded", path, offset: event.offset - 1, events: earlier });
        return sayReduced(reduced, attempt);
      }
      if (reduced !== undefined) sayFolded(reduced);
      if (event !== undefined) sayEvent(event, attempt);
    },
    onActed(path, event, milliseconds, error) {
      const place = { path, offset: event?.offset, milliseconds };
      if (error === undefined) return tell({ kind: "acted", ...place });
      const message = messageOf(error);
      failures.set(path, message);
      tell({ kind: "failed", ...place, message, line: authorLine(error, files()) });
    },
    onAppended(path, { streamPath, offset, type, payload, source }, replayed) {
      tell({
        kind: "appended",
        path,
        offset: source?.cause?.offset,
        to: streamPath,
        at: offset,
        type,
        payload,
        replayed,
      });
    },
    onTold(path, { payload }) {
      const { message, about } = payload as { message: string; about?: { offset?: number } };
      // The failure itself was said, with the author's line.
      if (failures.get(path) !== message) tell({ kind: "told", path, offset: about?.offset, message });
    },
    onFailure,
    listening: (processor) => ({
      ...processor,
      reduce(args) {
        try {
          return processor.reduce(args);
        } catch (error) {
          const { streamPath: path, offset } = args.event;
          const message = messageOf(error);
          sayHeld();
          sayEvent(args.event, 1);
          tell({ kind: "failed", path, offset, message, line: authorLine(error, files()) });
          throw error;
        }
      },
    }),
    end() {
      clearTimeout(timer);
      sayHeld();
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
