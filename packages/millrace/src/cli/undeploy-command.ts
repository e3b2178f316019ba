/** `millrace undeploy`: a deployed processor ends. It looks first, so that a slip neither passes unnoticed nor makes a stream. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { note } from "./output.ts";
import { processorsOf } from "./processor-list.ts";
import { printStored } from "./stored.ts";
import { UsageError } from "./usage.ts";

const options = {
  path: { type: "string", value: "PATH", help: "the stream that it works on" },
  ...clientOptions,
} as const;

export const undeployCommand: Command = {
  usage: "undeploy <slug> --path PATH [options]",
  about: `Appends "dynamic-worker/removed" and prints it: the code runs no more. Also while the stream is paused. Without such
a processor nothing is appended, and the exit code is 1.`,
  options,
  examples: ["millrace undeploy ping-pong --path /me/pings"],
  run(args) {
    const { values, positionals } = parseCommand("undeploy", args, options, { min: 1, max: 1 });
    const slug = positionals[0] as string;
    if (values.path === undefined) throw new UsageError("--path is missing: from which stream?");
    const path = pathArgument(values.path);
    const type = "https://events.iterate.com/events/stream/dynamic-worker/removed";
    return withClient(values, { path }, async (client) => {
      const found = await processorsOf(client, path);
      if (!found.some((each) => each.slug === slug)) {
        note(`${path} has no processor "${slug}"; see millrace processors ${path}`);
        return 1;
      }
      return printStored(await client.append(path, { type, payload: { slug } }, { retry: false }), values.json);
    });
  },
};
