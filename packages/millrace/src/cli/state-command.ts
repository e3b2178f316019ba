/** `millrace state`: what a stream is now, or what one processor made of it. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand, wholeNumber } from "./command.ts";
import { createOutput } from "./output.ts";
import { UsageError } from "./usage.ts";

const options = {
  processor: { type: "string", value: "SLUG", help: "the folded state of this processor, such as pause" },
  at: { type: "string", value: "OFFSET", help: "as it was there; with --processor" },
  ...clientOptions,
} as const;

export const stateCommand: Command = {
  usage: "state <path> [options]",
  about: "Prints the head of a stream, whether it is paused and why, its metadata, and who acts on it.",
  options,
  examples: ["millrace state /me/hello", "millrace state /me/hello --processor circuit-breaker --at 2"],
  run(args) {
    const { values, positionals } = parseCommand("state", args, options, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    const { processor, at } = values;
    if (at !== undefined && processor === undefined) throw new UsageError("--at needs --processor SLUG.");
    return withClient(values, { path }, async (client) => {
      const state =
        processor === undefined
          ? await client.state(path)
          : await client.state(path, { processor, ...(at === undefined ? {} : { at: wholeNumber("at", at) }) });
      await createOutput(values.json).value(state);
      return 0;
    });
  },
};
