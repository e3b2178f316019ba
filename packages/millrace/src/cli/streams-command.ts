/** `millrace streams`: what there is, as a tree for people. */
import type { StreamSummary } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { createOutput, note, writeOut } from "./output.ts";
import { treeOf } from "./tree.ts";

export const streamsCommand: Command = {
  usage: "streams [prefix] [options]",
  about: "Lists a stream and everything below it, as a tree with the head and the time of the last event (UTC).",
  options: clientOptions,
  examples: ["millrace streams", "millrace streams /me", "millrace streams --json | jq -r .path"],
  run(args) {
    const { values, positionals } = parseCommand("streams", args, clientOptions, { min: 0, max: 1 });
    const prefix = positionals[0] === undefined ? "/" : pathArgument(positionals[0]);
    return withClient(values, {}, async (client, { project }) => {
      const streams = client.streams({ prefix });
      if (values.json) {
        const output = createOutput(true);
        for await (const stream of streams) await output.item(stream);
        return 0;
      }
      const found: StreamSummary[] = [];
      for await (const stream of streams) found.push(stream);
      if (found.length === 0) note(`there is no stream at ${prefix} or below${project}`);
      const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
      for (const line of treeOf(prefix, found, columns)) await writeOut(`${line}\n`);
      return 0;
    });
  },
};
