/** `millrace import`: its flags, and what it promises. What runs is loaded when it is needed. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { createOutput } from "./output.ts";

const options = {
  control: { type: "boolean", help: "built-in events come in as themselves, and act" },
  ...clientOptions,
} as const;

export const importCommand: Command = {
  usage: "import <path> [FILE | -] [options]",
  about: `Appends the events of an NDJSON file of stored events (millrace export) to <path>, in batches of up to 500.
Of a file with several streams, their common ancestor becomes <path>, and what lies below it stays below.
Offsets and times are new; type, payload and metadata are kept. Each event gets an idempotency key of its old path,
offset and time, in place of its own: an import that was interrupted can be repeated, and goes on where it ended.

Built-in events (paused, append-scheduled, dynamic-worker/configured ...) come in as
{type: "imported", payload: {type, payload}}, without effect; with --control they come in as themselves.
What only the server may write never comes in, because the server writes it anew or it would be false here:
initialized, child-stream-created, child-stream-deleted, schedule-finished, jsonata-transformer-halted,
subscription/halted, subscription/event-parked, dynamic-worker/halted.`,
  options,
  examples: [
    "millrace import /me/copy hello.ndjson",
    "millrace export /me --children | millrace import /backup/me",
    "millrace import /me/copy hello.ndjson --control",
  ],
  async run(args) {
    const { values, positionals } = parseCommand("import", args, options, { min: 1, max: 2 });
    const path = pathArgument(positionals[0]);
    const [{ openSource }, { importAll }] = await Promise.all([
      import("./import-source.ts"),
      import("./run-import.ts"),
    ]);
    const source = await openSource(positionals[1] ?? "-");
    try {
      return await withClient(values, { path, retry: {} }, async (client) => {
        const done = await importAll(client, source, path.replace(/(?<=.)\/$/, ""), values.control ?? false);
        await createOutput(values.json).value(done);
        return 0;
      });
    } finally {
      await source.remove();
    }
  },
};
