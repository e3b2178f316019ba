/** `millrace redeliver`: one event once more, such as one that was parked. */
import type { EventsClient } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { subscriptionsOf } from "./consumer-list.ts";
import { shellWord } from "./consumer-table.ts";
import { note } from "./output.ts";
import { printStored } from "./stored.ts";
import { UsageError } from "./usage.ts";

export const redeliverCommand: Command = {
  usage: "redeliver <path> <slug> <offset> [options]",
  about: `Appends "subscription/event-replay-requested" and prints it: the subscription delivers the event of that offset
again, with the same webhook-id, whether or not it was delivered before. What came behind it is not delivered again.
Without such a subscription or such an event nothing is appended, and the exit code is 1.`,
  options: clientOptions,
  examples: ["millrace redeliver /me/hello audit 18"],
  run(args) {
    const { values, positionals } = parseCommand("redeliver", args, clientOptions, { min: 3, max: 3 });
    const path = pathArgument(positionals[0]);
    const slug = positionals[1] as string;
    const offset = offsetOf(positionals[2] as string);
    return withClient(values, { path }, async (client) => {
      const subscription = (await subscriptionsOf(client, path)).find((each) => each.slug === slug);
      if (subscription === undefined) {
        note(`${path} has no subscription "${slug}"; see millrace subscriptions ${path}`);
        return 1;
      }
      if (!(await isThere(client, path, offset))) {
        note(`there is no event ${offset} at ${path}`);
        return 1;
      }
      const type = "https://events.iterate.com/events/stream/subscription/event-replay-requested";
      const code = await printStored(
        await client.append(path, { type, payload: { slug, offset } }, { retry: false }),
        values.json,
      );
      const halt = subscription.consumer?.halted;
      const resume = `millrace resume ${shellWord(path)} --slug ${shellWord(slug)}`;
      if (halt !== undefined) note(`"${slug}" is halted at ${halt.offset}; it delivers once it goes on: ${resume}`);
      return code;
    });
  },
};

function offsetOf(text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new UsageError(`The offset of an event is a whole number from 1; got "${text}".`);
}

/** Offsets go on over a deletion, so one below the head may have gone. */
async function isThere(client: EventsClient, path: string, offset: number): Promise<boolean> {
  for await (const event of client.read(path, { after: offset - 1, limit: 1 })) return event.offset === offset;
  return false;
}
