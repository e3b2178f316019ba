/** `millrace subscriptions`: where a stream pushes its events, and how far it is with that. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { subscriptionsOf } from "./consumer-list.ts";
import { subscriptionLines } from "./consumer-table.ts";
import { createOutput, note, writeOut } from "./output.ts";

export const subscriptionsCommand: Command = {
  usage: "subscriptions <path> [options]",
  about: `Lists the subscriptions of a stream: where each delivers, up to which offset it has (CURSOR), how many events it
is behind (LAG), its last error and when it tries again (UTC), and the offsets of events that the receiver refused for
good and that were parked. What is halted is listed with the command that lets it go on. With --json also the whole
configuration. "not running": this server does not act on it.`,
  options: clientOptions,
  examples: [
    "millrace subscriptions /me/hello",
    "millrace subscriptions /me/hello --json | jq -r '.parked[].offset'",
    "millrace subscriptions /me/hello --json | jq -r 'select(.consumer.halted) | .slug'",
  ],
  run(args) {
    const { values, positionals } = parseCommand("subscriptions", args, clientOptions, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    return withClient(values, { path }, async (client, { project }) => {
      const found = await subscriptionsOf(client, path);
      if (values.json) {
        const output = createOutput(true);
        for (const subscription of found) await output.item(subscription);
      } else if (found.length === 0) note(`there is no subscription at ${path}${project}`);
      else for (const line of subscriptionLines(found)) await writeOut(`${line}\n`);
      return 0;
    });
  },
};
