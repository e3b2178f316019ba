/** `millrace export`: stored events, one in a line, stream by stream, for `millrace import` and for `jq`. */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import type { EventsClient } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { note, writeOut } from "./output.ts";
import { counted, createProgress } from "./progress.ts";
import { UsageError } from "./usage.ts";

const { json: _always, ...connecting } = clientOptions;
const options = {
  children: { type: "boolean", help: "everything below it as well, stream by stream" },
  out: { type: "string", value: "FILE", help: "write here instead of stdout; the file appears when it is whole" },
  ...connecting,
} as const;

export const exportCommand: Command = {
  usage: "export <path> [options]",
  about:
    "Writes the events of a stream as they are stored, a JSON object in each line (NDJSON). Progress is on stderr.",
  options,
  examples: [
    "millrace export /me/hello > hello.ndjson",
    "millrace export /me --children --out me.ndjson",
    "millrace export /me/hello | gzip > hello.ndjson.gz",
  ],
  run(args) {
    const { values, positionals } = parseCommand("export", args, options, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    return withClient(values, { path, retry: {} }, async (client) => {
      const { write, close, abandon } = values.out === undefined ? toStdout : await toFile(values.out);
      const progress = createProgress();
      let count = 0;
      try {
        for await (const stream of values.children ? pathsBelow(client, path) : [path]) {
          for await (const event of client.read(stream)) {
            await write(`${JSON.stringify(event)}\n`);
            count++;
            progress.update(() => `${counted(count)} events, now in ${stream}`);
          }
        }
      } catch (error) {
        await abandon();
        throw error;
      } finally {
        progress.end();
      }
      await close();
      note(`exported ${counted(count)} ${count === 1 ? "event" : "events"}`);
      return 0;
    });
  },
};

async function* pathsBelow(client: EventsClient, prefix: string): AsyncGenerator<string> {
  for await (const { path } of client.streams({ prefix })) yield path;
}

interface Sink {
  write(text: string): Promise<void>;
  close(): Promise<void>;
  abandon(): Promise<void>;
}

const toStdout: Sink = { write: writeOut, close: async () => {}, abandon: async () => {} };

/** Under another name until it is whole, so that half an export is never taken for one. */
async function toFile(name: string): Promise<Sink> {
  const partial = `${name}.partial`;
  const file = createWriteStream(partial);
  try {
    await once(file, "open");
  } catch (error) {
    throw new UsageError(`--out ${name} cannot be written (${(error as Error).message}).`);
  }
  // Whoever writes next hears of it; without a listener the process would end with a stack.
  let failure: Error | undefined;
  file.on("error", (error) => {
    failure = error;
  });
  return {
    async write(text) {
      if (failure !== undefined) throw failure;
      if (!file.write(text)) await once(file, "drain");
    },
    async close() {
      file.end();
      await once(file, "close");
      if (failure !== undefined) throw failure;
      await rename(partial, name);
    },
    async abandon() {
      file.destroy();
      await rm(partial, { force: true });
    },
  };
}
