/** `millrace cancel`: ends a schedule. It looks first, so that a slip neither passes unnoticed nor makes a stream. */
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { note } from "./output.ts";
import { printStored } from "./stored.ts";

export const cancelCommand: Command = {
  usage: "cancel <path> <slug> [options]",
  about: `Appends "schedule-cancelled" and prints it: the schedule of this slug fires no more. Also while the stream is
paused. Without such a schedule nothing is appended, and the exit code is 1.`,
  options: clientOptions,
  examples: ["millrace cancel /me/hello heartbeat"],
  run(args) {
    const { values, positionals } = parseCommand("cancel", args, clientOptions, { min: 2, max: 2 });
    const path = pathArgument(positionals[0]);
    const slug = positionals[1] as string;
    return withClient(values, { path }, async (client) => {
      const { schedules = {} } = await client.state(path);
      if (!Object.hasOwn(schedules, slug)) {
        note(`${path} has no schedule "${slug}"; see millrace schedules ${path}`);
        return 1;
      }
      const type = "https://events.iterate.com/events/stream/schedule-cancelled";
      const appended = await client.append(path, { type, payload: { slug } }, { retry: false });
      return printStored(appended, values.json);
    });
  },
};
