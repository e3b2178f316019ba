/** `millrace pause`: an event that everybody could append, under a name that one remembers. */
import type { JsonObject } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { printStored } from "./stored.ts";

export const pauseCommand: Command = {
  usage: "pause <path> [reason...] [options]",
  about: `Appends "paused": until the stream is resumed, appends are refused (423) and told the reason. Reading goes on.`,
  options: clientOptions,
  examples: ["millrace pause /me/hello", "millrace pause /me/hello looking into the replies of last night"],
  run(args) {
    const { values, positionals } = parseCommand("pause", args, clientOptions, { min: 1, max: 1_000 });
    const path = pathArgument(positionals[0]);
    const reason = positionals.slice(1).join(" ");
    const type = "https://events.iterate.com/events/stream/paused";
    return withClient(values, { path }, async (client) => {
      const payload: JsonObject = reason === "" ? {} : { reason };
      return printStored(await client.append(path, { type, payload }, { retry: false }), values.json);
    });
  },
};
