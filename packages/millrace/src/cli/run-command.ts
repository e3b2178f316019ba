/** `millrace run`: a processor from a file, on streams of a server anywhere. */
import { type EventsClient, isMillraceError } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { environmentOf } from "./environment-option.ts";
import { leaveWith } from "./output.ts";
import { placeOf } from "./place.ts";
import { UsageError } from "./usage.ts";

const options = {
  path: { type: "string", value: "PATH", help: "the stream; * stands for one segment, ** for any number" },
  children: { type: "boolean", help: "everything below it as well, also what is born later" },
  env: { type: "string", multiple: true, value: "NAME[=VALUE]", help: "what hooks find in env; NAME alone: from here" },
  cursor: { type: "string", value: "FILE", help: "keeps its progress there; else each start is a first one" },
  "server-cursor": { type: "boolean", help: "the server keeps it, by the slug, for one runtime at a time" },
  "start-from": { type: "string", value: "PLACE", help: "start, end or an offset, at the first start" },
  watch: { type: "boolean", help: "the file may change: each new version takes the place of the last" },
  ...clientOptions,
} as const;

export const runCommand: Command = {
  usage: "run <file> --path PATH [options]",
  about: `Runs the processor that the file exports (TypeScript or JavaScript, default export), and prints what it does: each
event that it acts on, what changed in the state, what it appended, how long it took, and errors with their line.
It goes on over lost connections and restarts of the server. Ends with Ctrl-C (exit code 130); a second one ends it
at once.`,
  options,
  examples: [
    "millrace run ping-pong.ts --path /me/pings",
    "millrace run agent.ts --path /agents --children --env MODEL=small --env API_KEY",
    "millrace run agent.ts --path '/agents/*' --cursor agent.cursor.json",
    "millrace run agent.ts --path '/agents/*' --server-cursor",
    "millrace run ping-pong.ts --path /me/pings --watch --start-from start",
  ],
  async run(args) {
    const { values, positionals } = parseCommand("run", args, options, { min: 1, max: 1 });
    const file = positionals[0] as string;
    if (values.path === undefined) throw new UsageError("--path is missing: on which stream?");
    const path = pathArgument(values.path);
    if (values.cursor !== undefined && values["server-cursor"]) {
      throw new UsageError("Progress is kept at one place: --cursor FILE, or --server-cursor.");
    }
    const place = values["start-from"];
    const startFrom = place === undefined ? undefined : placeOf("start-from", ["start", "end"], place);
    const env = environmentOf(values.env ?? []);
    const [{ runHere }, { mustExist }, { cursorsOf }] = await Promise.all([
      import("./processor/run-here.ts"),
      import("./processor/load.ts"),
      import("./processor/cursors-of.ts"),
    ]);
    await mustExist(file);
    const { children: includeChildren = false, watch = false, json } = values;
    // A server that is not there is said at once; later it is waited for.
    await withClient(values, {}, canBeReached);
    const cursors = await cursorsOf(values.cursor, values["server-cursor"] === true);
    const here = { file, path, includeChildren, cursors, startFrom, env, json, watch };
    return leaveWith(await withClient(values, { path, retry: {} }, (client) => runHere(client, here)));
  },
};

async function canBeReached(client: EventsClient): Promise<number> {
  await client.state("/").catch((error: unknown) => {
    if (!isMillraceError(error, "not_found")) throw error;
  });
  return 0;
}
