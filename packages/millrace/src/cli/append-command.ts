/** `millrace append`: an event from words, from JSON, or from stdin. */
import type { Appended, AppendedBatch, EventInput } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { eventFrom } from "./event-words.ts";
import { printStored } from "./stored.ts";

const options = {
  type: { type: "string", value: "TYPE", help: "the type; what comes from stdin or --file is then the payload" },
  payload: { type: "string", value: "JSON", help: "the payload of an event whose type is given" },
  metadata: { type: "string", value: "JSON", help: "its metadata" },
  file: { type: "string", value: "FILE", help: "read from a file instead of stdin" },
  key: { type: "string", value: "KEY", help: "idempotency key: the same append again changes nothing" },
  offset: { type: "string", value: "OFFSET", help: "append only if the event gets exactly this offset" },
  ...clientOptions,
} as const;

export const appendCommand: Command = {
  usage: "append <path> [type | json | -] [options]",
  about: `Appends an event and prints it as it was stored. What stands behind the path is a type, an event or a list of
events as JSON, or - for stdin: JSON, or NDJSON, which is one atomic batch. With --type, stdin is the payload:
JSON, or else text.
What is no valid event is stored as one that says so, as over HTTP; then the exit code is 1.`,
  options,
  examples: [
    "millrace append /me/hello hello-world",
    `millrace append /me/hello order-placed --payload '{"cups":1}' --key order-1`,
    `millrace append /me/hello '[{"type":"cup-filled"},{"type":"cup-served"}]'`,
    "uptime | millrace append /me/log - --type uptime-seen",
    "millrace append /me/log --file events.ndjson",
  ],
  async run(args) {
    const { values, positionals } = parseCommand("append", args, options, { min: 1, max: 2 });
    const path = pathArgument(positionals[0]);
    const what = await eventFrom("append", positionals[1], values);
    return withClient(values, { path }, async (client) => {
      const appendOptions = { retry: false, ...(values.key === undefined ? {} : { idempotencyKey: values.key }) };
      const answer = (await client.append(path, what as EventInput, appendOptions)) as Appended | AppendedBatch;
      return printStored(answer, values.json);
    });
  },
};
