/** `millrace logs`: what deployed processors said on the server, and with --follow what they say from now on. */
import type { EventsClient, LogLevel, LogLine, LogsOptions } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { logText } from "./log-text.ts";
import { createOutput, note, wantsColours, writeOut } from "./output.ts";
import { UsageError } from "./usage.ts";

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];

const options = {
  slug: { type: "string", value: "SLUG", help: "only of this processor" },
  level: { type: "string", value: "LEVEL", help: "debug (default), info, warn or error, and what is more important" },
  follow: { type: "boolean", help: "go on with what is said from now on" },
  ...clientOptions,
} as const;

export const logsCommand: Command = {
  usage: "logs [path] [options]",
  about: `Prints what processors said by logger and console on a stream and everything below it (default: /), oldest first.
The server keeps the newest 1,000 lines of a project, in memory: what has to stay is an event.
With --follow it ends with Ctrl-C (exit code 130).`,
  options,
  examples: [
    "millrace logs",
    "millrace logs /me/hello --slug greeter --follow",
    "millrace logs /me --level warn --json | jq -r .message",
  ],
  run(args) {
    const { values, positionals } = parseCommand("logs", args, options, { min: 0, max: 1 });
    const path = positionals[0] === undefined ? "/" : pathArgument(positionals[0]);
    const level = values.level === undefined ? undefined : levelOf(values.level);
    const wanted: LogsOptions = {
      path,
      ...(values.slug === undefined ? {} : { slug: values.slug }),
      ...(level === undefined ? {} : { level }),
      ...(values.follow ? { live: true } : {}),
    };
    return withClient(values, {}, (client, { project }) => print(client, wanted, values.json, project));
  },
};

async function print(
  client: EventsClient,
  wanted: LogsOptions,
  json: boolean | undefined,
  project: string,
): Promise<number> {
  const leaving = new AbortController();
  const { signal } = leaving;
  if (wanted.live) process.once("SIGINT", () => leaving.abort());
  const output = createOutput(json);
  const colours = wantsColours(process.stdout);
  const write = (line: LogLine) => (json ? output.item(line) : writeOut(logText(line, colours)));
  let found = false;
  try {
    for await (const line of client.logs({ ...wanted, signal, ...connectionNotes() })) {
      found = true;
      await write(line);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    return 130;
  }
  if (!found) note(`nothing of that was said of late at ${wanted.path}${project}`);
  return 0;
}

/** One line when the connection is lost, and one when it is back. */
function connectionNotes(): Pick<LogsOptions, "onContact" | "onDisconnected" | "onMissed"> {
  let lost = false;
  return {
    onMissed: (lines) => note(`${lines} lines were forgotten by the server before they could be printed`),
    onDisconnected() {
      if (!lost) note("the connection was lost, trying again; a server that starts again has forgotten all lines");
      lost = true;
    },
    onContact() {
      if (lost) note("connected again");
      lost = false;
    },
  };
}

function levelOf(text: string): LogLevel {
  const level = levels.find((each) => each === text);
  if (level !== undefined) return level;
  throw new UsageError(`--level is debug, info, warn or error; got "${text}".`);
}
