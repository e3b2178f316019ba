/** `millrace processors`: what was deployed to a stream, and how far it is. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { processorLines } from "./consumer-table.ts";
import { createOutput, note, writeOut } from "./output.ts";
import { processorsOf } from "./processor-list.ts";

const options = {
  children: { type: "boolean", help: "those of everything below it as well" },
  ...clientOptions,
} as const;

export const processorsCommand: Command = {
  usage: "processors <path> [options]",
  about: `Lists the processors that were deployed to a stream: the version of each (the offset of the event that brought it)
and its size, up to which offset it has acted (CURSOR), how many events it is behind (LAG), its last error and when
it tries again (UTC). What is halted is listed with the command that lets it go on. With --json also the whole
configuration but the code. "not running": this server does not act on it.`,
  options,
  examples: [
    "millrace processors /me/pings",
    "millrace processors / --children",
    "millrace processors / --children --json | jq -r 'select(.consumer.halted) | .path + \" \" + .slug'",
  ],
  run(args) {
    const { values, positionals } = parseCommand("processors", args, options, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    const { children = false, json } = values;
    return withClient(values, { path }, async (client, { project }) => {
      const found = await processorsOf(client, path, { children });
      if (json) {
        const output = createOutput(true);
        for (const processor of found) await output.item(processor);
      } else if (found.length === 0) {
        note(`there is no deployed processor at ${path}${children ? " or below" : ""}${project}`);
      } else for (const line of processorLines(found, children)) await writeOut(`${line}\n`);
      return 0;
    });
  },
};
