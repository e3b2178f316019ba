/** `millrace pause` and `millrace resume`: two events that everybody could append, under names that one remembers. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { createOutput } from "./output.ts";

export const pauseCommand: Command = {
  usage: "pause <path> [reason...] [options]",
  about: `Appends "paused": until the stream is resumed, appends are refused (423) and told the reason. Reading goes on.`,
  options: clientOptions,
  examples: ["millrace pause /me/hello", "millrace pause /me/hello looking into the replies of last night"],
  run: (args) => appendNamed("pause", "https://events.iterate.com/events/stream/paused", args),
};

export const resumeCommand: Command = {
  usage: "resume <path> [reason...] [options]",
  about: `Appends "resumed": the stream takes appends again.`,
  options: clientOptions,
  examples: ["millrace resume /me/hello", "millrace resume /me/hello the loop is fixed"],
  run: (args) => appendNamed("resume", "https://events.iterate.com/events/stream/resumed", args),
};

function appendNamed(name: string, type: string, args: string[]): Promise<number> {
  const { values, positionals } = parseCommand(name, args, clientOptions, { min: 1, max: 1_000 });
  const path = pathArgument(positionals[0]);
  const reason = positionals.slice(1).join(" ");
  return withClient(values, { path }, async (client) => {
    const { event } = await client.append(path, { type, payload: reason === "" ? {} : { reason } }, { retry: false });
    await createOutput(values.json).item(event);
    return 0;
  });
}
