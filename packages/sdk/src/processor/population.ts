/**
 * The streams that a processor runs on: found at the start, born and deleted meanwhile. What is told here comes one
 * thing after the other, so no two runs of one path are ever there at the same time.
 */
import { type Processor, StreamError, type StreamEvent } from "@millrace/protocol";
import { type FoundStream, findStreams } from "./look-up.ts";
import type { Matching } from "./matching.ts";
import { type RunNeeds, StreamRun } from "./stream-run.ts";

export interface Population {
  readonly runs: ReadonlyMap<string, StreamRun>;
  /** At the start: runs on what is there. */
  settle(): Promise<void>;
  hear(event: StreamEvent): Promise<void>;
  /** After a long absence: what came meanwhile is missed. */
  lookAgain(): Promise<void>;
  /** The stream is no more. Resolves with its head, if it ran here. */
  leave(path: string): Promise<number | undefined>;
  stop(): Promise<void>;
}

const prefix = "https://events.iterate.com/events/stream/";

export function createPopulation(needs: RunNeeds, matching: Matching): Population {
  const { client, cursors, processor, signal, observer } = needs;
  const runs = new Map<string, StreamRun>();
  const followed = `followed:${matching.pattern}`;
  let marked: Promise<void> | undefined;
  const find = () => findStreams(client, matching, signal, observer.failed);

  /** @param unseen it was born while this processor was there, or should have been: then nothing of it is history */
  async function begin(stream: FoundStream, unseen: boolean): Promise<StreamRun> {
    const stored = await cursors.load(stream.path, signal);
    const startAfter = startOf(processor.startFrom, stream.head);
    const missedAll = unseen || (stored !== undefined && stored.streamId !== stream.streamId);
    const run = new StreamRun(needs, { ...stream, startAfter, missedAll }, stored);
    runs.set(stream.path, run);
    return run;
  }

  async function settle(): Promise<void> {
    const unseen = (await cursors.load(followed)) !== undefined;
    const found = await find();
    const begun: StreamRun[] = [];
    for (const stream of found) begun.push(await begin(stream, unseen));
    const gone = (await cursors.paths()).filter((path) => matching.matches(path) && !runs.has(path));
    for (const path of gone) await cursors.forget(path);
    if (unseen) return;
    // Once each of them has its cursor, one without is one that was born later.
    const marking = Promise.all(begun.map((run) => run.begun)).then(() =>
      cursors.save(followed, { streamId: "", progress: "" }),
    );
    marked = marking.catch(observer.failed);
  }

  /** A stream that is born while it is followed is acted on from its first event. */
  async function born(event: StreamEvent): Promise<void> {
    const { streamPath: path, offset } = event;
    const { streamId } = event.payload as { streamId: string };
    if (runs.get(path)?.streamId === streamId) return;
    await leave(path);
    if (signal.aborted) return;
    const stream = { path, streamId, head: offset, paused: false, startAfter: offset - 1, missedAll: false };
    runs.set(path, new StreamRun(needs, stream, undefined));
  }

  async function leave(path: string): Promise<number | undefined> {
    const run = runs.get(path);
    if (run === undefined) return undefined;
    runs.delete(path);
    const { head } = run;
    const refusal = new StreamError("stream_deleted", `${path} was deleted at offset ${head}.`, { head });
    // Its hooks have some time to end, for which nobody waits here: nothing that they append or save counts any more.
    await run.discard("The stream was deleted.", refusal);
    await cursors.forget(path);
    return head;
  }

  return {
    runs,
    settle,
    leave,
    async hear(event) {
      if (event.type === `${prefix}child-stream-deleted`) {
        const { childPath, head } = event.payload as { childPath: string; head: number };
        if ((runs.get(childPath)?.head ?? Number.POSITIVE_INFINITY) <= head) await leave(childPath);
      }
      if (event.type === `${prefix}resumed`) needs.resumed(event.streamPath);
      if (!matching.matches(event.streamPath)) return;
      if (event.type === `${prefix}initialized`) await born(event);
      runs.get(event.streamPath)?.hear(event);
    },
    async lookAgain() {
      for (const stream of await find()) {
        const run = runs.get(stream.path);
        if (run?.streamId === stream.streamId) {
          run.away(stream.head);
          continue;
        }
        await leave(stream.path);
        await begin(stream, true);
      }
    },
    async stop() {
      await Promise.all([...runs.values()].map((run) => run.stop("The processor was stopped.")));
      await marked;
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the state is the processor's own
function startOf(startFrom: Processor<any>["startFrom"], head: number): number {
  if (startFrom === undefined || startFrom === "end") return head;
  return startFrom === "start" ? 0 : startFrom;
}
