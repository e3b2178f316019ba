/** Where progress is kept: in memory, in a file, whose code is loaded when it is asked for, or with the server. */
import type { EventsClient } from "@millrace/sdk";
import { type Cursors, memoryCursors, serverCursors } from "@millrace/sdk/processor";

/** Of a processor; each version of it goes on from the same. */
export type CursorsOf = (client: EventsClient, slug: string) => Cursors;

export async function cursorsOf(file: string | undefined, atServer: boolean): Promise<CursorsOf> {
  if (atServer) return ofServer();
  const { fileCursors } = await import("@millrace/sdk/node");
  const cursors = file === undefined ? memoryCursors() : fileCursors(file);
  return () => cursors;
}

function ofServer(): CursorsOf {
  const known = new Map<string, Cursors>();
  return (client, slug) => {
    const cursors = known.get(slug) ?? serverCursors({ client, slug });
    known.set(slug, cursors);
    return cursors;
  };
}
