/** From an event back through the causes that lie behind it, one read for each. Where it ends is part of the answer. */
import { type EventsClient, isMillraceError, type StreamEvent } from "@millrace/sdk";

export interface Place {
  streamPath: string;
  offset: number;
}

export interface Origin {
  /** The event that was asked for, then its cause, and so on. */
  chain: StreamEvent[];
  end: { reason: EndReason; message: string; at: Place };
}

/**
 * "outside": nothing wrote it because of something else. "deleted", "not-found": the cause cannot be read. "circle":
 * it was met before, which only a false claim of a remote processor brings about. "limit": there is more.
 */
export type EndReason = "outside" | "deleted" | "not-found" | "circle" | "limit";

/** @returns an empty chain when the event itself is not there */
export async function causesOf(client: EventsClient, from: Place, limit: number): Promise<Origin> {
  const chain: StreamEvent[] = [];
  const seen = new Set<string>();
  for (let at = from; ; ) {
    const end = (reason: EndReason, message: string): Origin => ({ chain, end: { reason, message, at } });
    if (seen.has(nameOf(at))) return end("circle", `${nameOf(at)} was here before: a cause that was claimed is wrong`);
    if (chain.length === limit) return end("limit", `the limit of ${limit} is reached; it goes on with ${nameOf(at)}`);
    const event = await eventAt(client, at);
    if (event === "deleted") return end("deleted", `${at.streamPath} was deleted, and ${nameOf(at)} with it`);
    if (event === "not-found") return end("not-found", `there is no ${nameOf(at)}`);
    seen.add(nameOf(at));
    chain.push(event);
    if (event.source?.cause === undefined) return end("outside", outside(event));
    at = event.source.cause;
  }
}

export const nameOf = ({ streamPath, offset }: Place): string => `${streamPath}@${offset}`;

function outside({ source, ...event }: StreamEvent): string {
  if (source === undefined) return `${nameOf(event)} came from outside`;
  return `${nameOf(event)} was written by ${writerOf(source)}, which names no cause`;
}

/** Such as `processor echo`. */
export function writerOf(source: StreamEvent["source"]): string {
  if (source === undefined) return "outside";
  return source.slug === undefined ? source.kind : `${source.kind} ${source.slug}`;
}

async function eventAt(client: EventsClient, { streamPath, offset }: Place) {
  try {
    const [event] = await firstBehind(client, streamPath, offset - 1);
    // Offsets go on over a deletion: what comes first behind it belongs to a later life.
    if (event !== undefined) return event.offset === offset ? event : ("deleted" as const);
    // Either it is the next one, or it lies in a path that was emptied: a read behind it is refused, or is not.
    await firstBehind(client, streamPath, offset);
    return "deleted" as const;
  } catch (error) {
    if (isMillraceError(error) && error.code === "offset_conflict") return "not-found" as const;
    throw error;
  }
}

async function firstBehind(client: EventsClient, path: string, after: number): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of client.read(path, { after, limit: 1 })) events.push(event);
  return events;
}
