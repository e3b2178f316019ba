/** `millrace tail`: streams as they grow, over as many connections and restarts of the server as it takes. */
import type { EventsClient, StreamOptions } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand, wholeNumber } from "./command.ts";
import { createOutput, note, type Output } from "./output.ts";
import { positionFrom } from "./read-command.ts";
import { UsageError } from "./usage.ts";

const options = {
  children: { type: "boolean", help: "the streams and everything below them, also what is born later" },
  type: { type: "string", multiple: true, value: "TYPE", help: "only this type, * matches any characters" },
  from: {
    type: "string",
    value: "POSITION",
    help: "start, end (default), or behind an offset; with --children a token",
  },
  limit: { type: "string", value: "N", help: "end after so many events" },
  ...clientOptions,
} as const;

export const tailCommand: Command = {
  usage: "tail <path...> [options]",
  about: `Follows streams and prints events as they are appended, without gap or duplicate, also when the connection is
lost or the server starts again. Ends with Ctrl-C (exit code 130), or when all its streams were deleted.
In colours on a terminal, unless NO_COLOR is set.`,
  options,
  examples: [
    "millrace tail /me/hello",
    "millrace tail /me/hello --from start",
    "millrace tail /me /team --children --type 'order-*'",
    "millrace tail /me/hello --json | jq --unbuffered .payload",
  ],
  run(args) {
    const { values, positionals } = parseCommand("tail", args, options, { min: 1, max: 1_000 });
    const paths = positionals.map(pathArgument);
    const { from = "end", type: types, children: includeChildren } = values;
    if (paths.length > 1 && !["start", "end"].includes(from)) {
      throw new UsageError(`--from ${from} is a place in one stream; with several paths it is start or end.`);
    }
    const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : wholeNumber("limit", values.limit, 1);
    const range: StreamOptions = {
      after: positionFrom(from, includeChildren),
      ...(types === undefined ? {} : { types }),
      ...(includeChildren ? { includeChildren } : {}),
    };
    return withClient(values, {}, async (client, { project }) => {
      const output = createOutput(values.json);
      return follow(client, paths, range, { limit, project }, output);
    });
  },
};

async function follow(
  client: EventsClient,
  paths: string[],
  range: StreamOptions,
  { limit, project }: { limit: number; project: string },
  output: Output,
): Promise<number> {
  const leaving = new AbortController();
  const { signal } = leaving;
  let exitCode = 0;
  process.once("SIGINT", () => {
    exitCode = 130;
    leaving.abort();
  });
  let printed = 0;
  const one = async (path: string): Promise<void> => {
    for await (const event of client.stream(path, { ...range, signal, ...connectionNotes(path, project) })) {
      // Others may have gone on while this one waited for its turn.
      if (printed++ >= limit) return;
      await output.item(event);
      if (printed >= limit) return leaving.abort();
    }
    note(`${path} was deleted`);
  };
  try {
    await Promise.all(paths.map(one));
  } catch (error) {
    if (!signal.aborted) {
      leaving.abort();
      throw error;
    }
  }
  return exitCode;
}

/** One line when there is nothing yet, one when the connection is lost, and one when it is back. */
function connectionNotes(path: string, project: string): Pick<StreamOptions, "onCaughtUp" | "onDisconnected"> {
  let lost = false;
  return {
    onDisconnected() {
      if (!lost) note(`${path}: the connection was lost, trying again`);
      lost = true;
    },
    onCaughtUp({ after }) {
      // Nothing was ever there: rather another name than a stream to wait for, but it may come.
      if (after === "0" && !lost) note(`there is nothing at ${path}${project} yet, waiting for it`);
      if (lost) note(`${path}: connected again`);
      lost = false;
    },
  };
}
