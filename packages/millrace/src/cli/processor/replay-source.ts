/** The events of a replay, one after the other: from a server, or from the lines of an export. */
import type { StreamEvent } from "@millrace/protocol";
import { isBelow } from "@millrace/protocol";
import type { EventsClient } from "@millrace/sdk";
import { type StoredEvent, storedEventsIn } from "../import-source.ts";

export interface ReplayRange {
  /** All streams without it. */
  path: string | undefined;
  children: boolean;
  /** Up to here, this one too. */
  at: number | undefined;
}

export function fromServer(
  client: EventsClient,
  { path, children, at }: ReplayRange & { path: string },
): AsyncIterable<StreamEvent> {
  return client.read(path, {
    ...(children ? { includeChildren: true } : {}),
    ...(at === undefined ? {} : { before: at + 1 }),
  });
}

/** @throws UsageError naming the line that is no stored event, or stands in the wrong place */
export async function* fromFile(file: string, { path, children, at }: ReplayRange): AsyncGenerator<StreamEvent> {
  const wanted = path?.replace(/(?<=.)\/$/, "");
  for await (const event of storedEventsIn(file)) {
    const { streamPath, offset } = event;
    if (wanted !== undefined && streamPath !== wanted && !(children && isBelow(streamPath, wanted))) continue;
    if (at === undefined || offset <= at) yield whole(event);
  }
}

/** What an export leaves out, or somebody who wrote one by hand; a copy of each event would cost more than its reducer. */
function whole(event: StoredEvent): StreamEvent {
  const { payload = {}, createdAt = "" } = event;
  return payload === event.payload && createdAt === event.createdAt
    ? (event as StreamEvent)
    : { ...event, payload, createdAt };
}
