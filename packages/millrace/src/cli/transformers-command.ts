/** `millrace transformers`: what rewrites the events of a stream, and how far it is with that. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { transformersOf } from "./consumer-list.ts";
import { transformerLines } from "./consumer-table.ts";
import { createOutput, note, writeOut } from "./output.ts";

export const transformersCommand: Command = {
  usage: "transformers <path> [options]",
  about: `Lists the transformers of a stream: what each rewrites, up to which offset it has (CURSOR), how many events it is
behind (LAG), its last error and when it tries again (UTC). What is halted is listed with the command that lets it go
on. With --json also the whole configuration. "not running": this server does not act on it.`,
  options: clientOptions,
  examples: [
    "millrace transformers /me/hello",
    "millrace transformers /me/hello --json | jq -r .configuration.matcher",
  ],
  run(args) {
    const { values, positionals } = parseCommand("transformers", args, clientOptions, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    return withClient(values, { path }, async (client, { project }) => {
      const { transformers, paused } = await transformersOf(client, path);
      if (values.json) {
        const output = createOutput(true);
        for (const transformer of transformers) await output.item(transformer);
      } else if (transformers.length === 0) note(`there is no transformer at ${path}${project}`);
      else for (const line of transformerLines(transformers, paused)) await writeOut(`${line}\n`);
      return 0;
    });
  },
};
