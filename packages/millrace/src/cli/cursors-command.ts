/** `millrace cursors`: how far processors that run elsewhere have come on a stream, who holds that, and its end. */
import type { RemoteCursor } from "@millrace/protocol";
import { type EventsClient, isMillraceError } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { createOutput, note, writeOut } from "./output.ts";
import { tableOf, timeCell } from "./table.ts";
import { UsageError } from "./usage.ts";

type Values = ReturnType<typeof parseCommand<typeof clientOptions>>["values"];

export const cursorsCommand: Command = {
  usage: "cursors list <path> | rm <path> <slug> [options]",
  about: `Cursors that the server keeps for processors that run elsewhere. "list" shows how far each has come on a stream
(CURSOR, LAG), which runtime holds it, and how many seconds ago that was heard (SILENT). "rm" deletes one, whoever holds
it: that runtime ends with the next thing that it says, and the next start on this stream is a first one.`,
  options: clientOptions,
  words: ["list", "rm"],
  examples: ["millrace cursors list /me/pings", "millrace cursors rm /me/pings ping-pong"],
  async run(args) {
    const { values, positionals } = parseCommand("cursors", args, clientOptions, { min: 1, max: 3 });
    const [action, path, slug] = positionals;
    if (action === "list" && slug === undefined) return list(values, pathArgument(path));
    if (action === "rm" && slug !== undefined) return remove(values, pathArgument(path), slug);
    throw new UsageError("cursors goes on with list <path>, or rm <path> <slug>.\nSee millrace cursors --help.");
  },
};

function list(values: Values, path: string): Promise<number> {
  return withClient(values, { path }, async (client, { project }) => {
    const { head, consumers } = await client.state(path);
    const names = Object.keys(consumers).filter((name) => consumers[name]?.kind === "remote");
    const cursors = await cursorsOf(client, path, names);
    if (values.json) {
      const output = createOutput(true);
      for (const cursor of cursors) await output.item(cursor);
    } else if (cursors.length === 0) note(`no processor keeps a cursor at ${path}${project}`);
    else
      for (const line of tableOf([headRow, ...cursors.map((cursor) => rowOf(cursor, head))]))
        await writeOut(`${line}\n`);
    return 0;
  });
}

const headRow = ["SLUG", "CURSOR", "LAG", "HELD BY", "SILENT", "MOVED"];

function rowOf({ slug, offset, runtimeId, released, silentMs, updatedAt }: RemoteCursor, head: number) {
  const silent = released ? "-" : `${Math.floor(silentMs / 1_000)} s`;
  // It may have moved since the head was asked for.
  return [slug, offset, Math.max(head - offset, 0), released ? "-" : runtimeId, silent, timeCell(updatedAt)];
}

/** The state names them; under a longer name where a consumer of the stream has the same. */
async function cursorsOf(client: EventsClient, path: string, names: string[]): Promise<RemoteCursor[]> {
  const found: RemoteCursor[] = [];
  for (const name of names.sort()) {
    const longer = /^cursor\/([^/]+)$/.exec(name)?.[1];
    const cursor =
      (await cursorAt(client, path, name)) ??
      (longer === undefined ? undefined : await cursorAt(client, path, decodeURIComponent(longer)));
    // One that is gone meanwhile is left out.
    if (cursor !== undefined) found.push(cursor);
  }
  return found;
}

async function cursorAt(client: EventsClient, path: string, slug: string): Promise<RemoteCursor | undefined> {
  try {
    return await client.cursors.get(slug, path);
  } catch (error) {
    if (isMillraceError(error, "not_found")) return undefined;
    throw error;
  }
}

function remove(values: Values, path: string, slug: string): Promise<number> {
  return withClient(values, { path }, async (client) => {
    await client.cursors.delete(slug, path);
    await createOutput(values.json).value({ deleted: true, slug, path });
    return 0;
  });
}
