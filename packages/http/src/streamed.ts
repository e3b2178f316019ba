/** An answer that goes on: the status first, then chunk by chunk whatever a read gives, as fast as it is taken. */
import type { Incoming, Outgoing } from "./exchange.ts";
import type { Writer } from "./formats.ts";

export async function streamed<Item>(
  items: AsyncGenerator<Item>,
  writer: Writer<Item>,
  incoming: Incoming,
  /** Asked for when the first item is there. */
  furtherHeaders: () => Record<string, string> = () => ({}),
): Promise<Outgoing> {
  // The first item decides between an answer and a refusal, so it is asked for before the status is sent.
  const first = await items.next();
  const headers = {
    "content-type": writer.contentType,
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
    ...furtherHeaders(),
  };
  if (incoming.method === "HEAD") {
    await items.return(undefined);
    return { status: 200, headers, body: "" };
  }
  return { status: 200, headers, body: chunks(items, first, writer) };
}

async function* chunks<Item>(
  items: AsyncGenerator<Item>,
  first: IteratorResult<Item>,
  writer: Writer<Item>,
): AsyncGenerator<string | Uint8Array> {
  try {
    if (writer.opening !== "") yield writer.opening;
    for (let next = first; !next.done; next = await items.next()) {
      const chunk = writer.write(next.value);
      if (chunk.length > 0) yield chunk;
    }
  } finally {
    await items.return(undefined);
  }
}
