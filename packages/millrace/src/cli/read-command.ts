/** `millrace read`: what is there now. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand, wholeNumber } from "./command.ts";
import { createOutput, note } from "./output.ts";

const options = {
  after: { type: "string", value: "OFFSET", help: "only what comes behind it; with --children a token" },
  before: { type: "string", value: "OFFSET", help: "only what comes before it; not with --children" },
  limit: { type: "string", value: "N", help: "at most so many events" },
  desc: { type: "boolean", help: "newest first; not with --children" },
  type: { type: "string", multiple: true, value: "TYPE", help: "only this type, * matches any characters" },
  children: { type: "boolean", help: "the stream and everything below it, in the order of commits" },
  ...clientOptions,
} as const;

export const readCommand: Command = {
  usage: "read <path> [options]",
  about: "Prints the events of a stream, up to what is there now. A stream that does not exist has none.",
  options,
  examples: [
    "millrace read /me/hello",
    "millrace read /me/hello --desc --limit 1",
    "millrace read /me --children --type 'order-*' --json | jq -r .streamPath",
  ],
  run(args) {
    const { values, positionals } = parseCommand("read", args, options, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    const { after, before, limit, desc, type: types, children: includeChildren } = values;
    const range = {
      ...(after === undefined ? {} : { after: positionFrom(after, includeChildren) }),
      ...(before === undefined ? {} : { before: wholeNumber("before", before) }),
      ...(limit === undefined ? {} : { limit: wholeNumber("limit", limit, 1) }),
      ...(desc ? { order: "desc" as const } : {}),
      ...(types === undefined ? {} : { types }),
      ...(includeChildren ? { includeChildren } : {}),
    };
    return withClient(values, { path }, async (client, { project }) => {
      const events = client.read(path, range);
      const output = createOutput(values.json);
      let found = false;
      for await (const event of events) {
        found = true;
        await output.item(event);
      }
      if (!found) note(`there is nothing of that at ${path}${project}`);
      return 0;
    });
  },
};

/** A number is an offset of one stream; below several streams everything but `start` and `end` is a token. */
export function positionFrom(text: string, includeChildren: boolean | undefined): number | string {
  return /^\d{1,15}$/.test(text) && !includeChildren ? Number(text) : text;
}
