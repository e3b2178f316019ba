/** `millrace replay`: what the events make of the state, folded here, with nothing done because of them. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand, wholeNumber } from "./command.ts";
import { createOutput, leaveWith } from "./output.ts";
import { UsageError } from "./usage.ts";

const options = {
  path: { type: "string", value: "PATH", help: "the stream; with --file one of those in it" },
  children: { type: "boolean", help: "everything below it as well: a state for each stream" },
  at: { type: "string", value: "OFFSET", help: "as it was there" },
  file: { type: "string", value: "FILE", help: "an export (NDJSON) instead of a server; - is stdin" },
  ...clientOptions,
} as const;

export const replayCommand: Command = {
  usage: "replay <file> --path PATH | --file FILE [options]",
  about: `Folds the events of a stream with the reducer of a processor, and prints the state. Its hooks are not called, and
nothing is appended. With --file the events come from an export, line by line, and no server is needed; without --path
each of its streams has its state. A reducer that throws is exit code 1, with the event and the line.`,
  options,
  examples: [
    "millrace replay ping-pong.ts --path /me/pings",
    "millrace replay ping-pong.ts --path /me/pings --at 40 --json",
    "millrace replay agent.ts --path /agents --children",
    "millrace export /me/pings | millrace replay ping-pong.ts --file -",
  ],
  async run(args) {
    const { values, positionals } = parseCommand("replay", args, options, { min: 1, max: 1 });
    const { file, children = false } = values;
    if (values.path === undefined && file === undefined) {
      throw new UsageError("--path PATH or --file FILE is missing: whose events?");
    }
    if (values.at !== undefined && (children || values.path === undefined)) {
      throw new UsageError("--at is a place in one stream: it goes with --path and without --children.");
    }
    const path = values.path === undefined ? undefined : pathArgument(values.path);
    const at = values.at === undefined ? undefined : wholeNumber("at", values.at);
    const [{ loadProcessor }, { replayAll }, sources] = await Promise.all([
      import("./processor/load.ts"),
      import("./processor/replay.ts"),
      import("./processor/replay-source.ts"),
    ]);
    const loaded = await loadProcessor(positionals[0] as string);
    const output = createOutput(values.json);
    const range = { path, children, at };
    if (file !== undefined) return leaveWith(await replayAll(loaded, sources.fromFile(file, range), output));
    const code = await withClient(values, { retry: {} }, (client) =>
      replayAll(loaded, sources.fromServer(client, { ...range, path: path as string }), output),
    );
    return leaveWith(code);
  },
};
