/** `millrace schedule`: an event that the server appends when its time has come. */
import type { EventInput, JsonValue } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { parseSeconds } from "./duration.ts";
import { eventFrom } from "./event-words.ts";
import { printStored } from "./stored.ts";
import { UsageError } from "./usage.ts";

const options = {
  at: { type: "string", value: "TIME", help: "once, at an ISO 8601 time with Z or an offset" },
  in: { type: "string", value: "DURATION", help: "once, after this time: 30s, 5m, 2h, 1d" },
  every: { type: "string", value: "DURATION", help: "again and again" },
  cron: { type: "string", value: "PATTERN", help: "five fields, or six with seconds first, or such as @daily" },
  timezone: { type: "string", value: "ZONE", help: "of --cron, such as Europe/Berlin; else UTC" },
  missed: { type: "string", value: "WHAT", help: "fire-once (default) or skip what no server was there for" },
  type: { type: "string", value: "TYPE", help: "the type; what comes from stdin or --file is then the payload" },
  payload: { type: "string", value: "JSON", help: "the payload of an event whose type is given" },
  metadata: { type: "string", value: "JSON", help: "its metadata" },
  file: { type: "string", value: "FILE", help: "read from a file instead of stdin" },
  ...clientOptions,
} as const;

export const scheduleCommand: Command = {
  usage: "schedule <path> <slug> [type | json | -] (--at | --in | --every | --cron) [options]",
  about: `Appends "append-scheduled" and prints it: the server appends the event to the stream when it is due, also after
a restart, and never twice for one tick. The event is given as to append. The same slug again replaces the schedule.
A schedule that is refused is stored as an invalid event that says why; then the exit code is 1.`,
  options,
  examples: [
    "millrace schedule /me/hello heartbeat heartbeat --every 5m",
    `millrace schedule /me/hello reminder reminded --payload '{"of":"tea"}' --in 30s`,
    "millrace schedule /me/hello morning day-begun --cron '0 9 * * 1-5' --timezone Europe/Berlin --missed skip",
    `millrace schedule /me/hello launch '{"type":"launched"}' --at 2027-01-01T00:00:00Z`,
  ],
  async run(args) {
    const { values, positionals } = parseCommand("schedule", args, options, { min: 2, max: 3 });
    const path = pathArgument(positionals[0]);
    const { missed } = values;
    const payload = {
      slug: positionals[1] as string,
      schedule: scheduleOf(values),
      append: (await eventFrom("schedule", positionals[2], values)) as unknown as JsonValue,
      ...(missed === undefined ? {} : { missed }),
    };
    const scheduled: EventInput = { type: "https://events.iterate.com/events/stream/append-scheduled", payload };
    return withClient(values, { path }, async (client) => {
      const appended = await client.append(path, scheduled, { retry: false });
      return printStored(appended, values.json);
    });
  },
};

interface Times {
  at?: string | undefined;
  in?: string | undefined;
  every?: string | undefined;
  cron?: string | undefined;
  timezone?: string | undefined;
}

/** Times and patterns are judged by the server. @throws UsageError */
function scheduleOf({ at, in: delay, every, cron, timezone }: Times): JsonValue {
  const given = [at, delay, every, cron].filter((value) => value !== undefined);
  if (given.length !== 1) {
    const got = given.length === 0 ? "none" : "several";
    throw new UsageError(`One of --at, --in, --every and --cron says when; got ${got}.\nSee millrace schedule --help.`);
  }
  if (timezone !== undefined && cron === undefined) throw new UsageError("--timezone needs --cron PATTERN.");
  if (at !== undefined) return { kind: "once-at", at };
  if (delay !== undefined) return { kind: "once-in", delaySeconds: parseSeconds("in", delay) };
  if (every !== undefined) return { kind: "every", intervalSeconds: parseSeconds("every", every) };
  return { kind: "cron", cron: cron as string, ...(timezone === undefined ? {} : { timezone }) };
}
