/**
 * `millrace unsubscribe` and `millrace untransform`. They look first, so that a slip neither passes unnoticed nor makes
 * a stream.
 */
import type { EventsClient } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { subscriptionsOf, transformersOf } from "./consumer-list.ts";
import { note } from "./output.ts";
import { printStored } from "./stored.ts";

export const unsubscribeCommand: Command = {
  usage: "unsubscribe <path> <slug> [options]",
  about: `Appends "subscription/removed" and prints it: nothing more is delivered. Also while the stream is paused. Without
such a subscription nothing is appended, and the exit code is 1.`,
  options: clientOptions,
  examples: ["millrace unsubscribe /me/hello audit"],
  run: (args) =>
    removeNamed("unsubscribe", args, {
      noun: "subscription",
      type: "https://events.iterate.com/events/stream/subscription/removed",
      find: subscriptionsOf,
    }),
};

export const untransformCommand: Command = {
  usage: "untransform <path> <slug> [options]",
  about: `Appends "jsonata-transformer-removed" and prints it: the transformer rewrites no more. Also while the stream is
paused. Without such a transformer nothing is appended, and the exit code is 1.`,
  options: clientOptions,
  examples: ["millrace untransform /me/hello ask"],
  run: (args) =>
    removeNamed("untransform", args, {
      noun: "transformer",
      type: "https://events.iterate.com/events/stream/jsonata-transformer-removed",
      find: async (client, path) => (await transformersOf(client, path)).transformers,
    }),
};

interface Removal {
  noun: string;
  type: string;
  find(client: EventsClient, path: string): Promise<{ slug: string }[]>;
}

function removeNamed(name: string, args: string[], { noun, type, find }: Removal): Promise<number> {
  const { values, positionals } = parseCommand(name, args, clientOptions, { min: 2, max: 2 });
  const path = pathArgument(positionals[0]);
  const slug = positionals[1] as string;
  return withClient(values, { path }, async (client) => {
    const found = await find(client, path);
    if (!found.some((each) => each.slug === slug)) {
      note(`${path} has no ${noun} "${slug}"; see millrace ${noun}s ${path}`);
      return 1;
    }
    return printStored(await client.append(path, { type, payload: { slug } }, { retry: false }), values.json);
  });
}
