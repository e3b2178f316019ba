/** The events of an export, appended again: batch after batch, at a pace that the circuit breaker allows. */
import { setTimeout as sleep } from "node:timers/promises";
import { builtinPrefix, type EventInput } from "@millrace/protocol";
import type { EventsClient } from "@millrace/sdk";
import { batchesOf } from "./import-batches.ts";
import type { ImportSource } from "./import-source.ts";
import { importedEvent, importedPath } from "./imported-event.ts";
import { note } from "./output.ts";
import { counted, createProgress } from "./progress.ts";

/** A batch takes one token of the circuit breaker, which gives 40 a second: an import stays below that by itself. */
const paceMs = 30;

export interface Imported {
  /** Events that are in the streams now, those of an earlier attempt included. */
  events: number;
  /** Of those: built-in events that came in as `imported`. */
  wrapped: number;
  leftOut: number;
  streams: number;
}

export async function importAll(
  client: EventsClient,
  source: ImportSource,
  target: string,
  control: boolean,
): Promise<Imported> {
  const done: Imported = { events: 0, wrapped: 0, leftOut: 0, streams: 0 };
  const nextAt = new Map<string, number>();
  const progress = createProgress();
  let invalid = 0;
  async function* items(): AsyncGenerator<{ path: string; event: EventInput }> {
    for await (const stored of source.events()) {
      const event = importedEvent(stored, control);
      if (event === "left out") done.leftOut++;
      else {
        if (event.type === "imported" && stored.type !== "imported") done.wrapped++;
        yield { path: importedPath(stored.streamPath, source.root, target), event };
      }
    }
  }
  try {
    for await (const { path, events } of batchesOf(items())) {
      await sleep(Math.max(0, (nextAt.get(path) ?? 0) - Date.now()));
      const stored = await client.append(path, events);
      nextAt.set(path, Date.now() + paceMs);
      done.events += events.length;
      invalid += stored.events.filter(({ type }, i) => isInvalid(type) && !isInvalid(events[i]?.type)).length;
      progress.update(() => `${counted(done.events)} of ${counted(source.count)} events`);
    }
  } finally {
    progress.end();
  }
  done.streams = nextAt.size;
  if (invalid > 0) note(`${counted(invalid)} events are not valid here and were stored as invalid-event-appended`);
  return done;
}

const isInvalid = (type: string | undefined): boolean => type === `${builtinPrefix}invalid-event-appended`;
