/** `millrace schedules`: what will be appended, and when. */
import { type EventsClient, isMillraceError, type ScheduleState } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { writeSeconds } from "./duration.ts";
import { createOutput, note, writeOut } from "./output.ts";
import { tableOf, timeCell } from "./table.ts";

const options = {
  children: { type: "boolean", help: "of the stream and everything below it" },
  ...clientOptions,
} as const;

export const schedulesCommand: Command = {
  usage: "schedules <path> [options]",
  about: `Lists the schedules of a stream: when they fire, the next and the last time (UTC), and how often they fired.
Those of a paused stream have no next time; what is due then fires when it is resumed.`,
  options,
  examples: ["millrace schedules /me/hello", "millrace schedules / --children --json | jq -r .slug"],
  run(args) {
    const { values, positionals } = parseCommand("schedules", args, options, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    return withClient(values, { path }, async (client, { project }) => {
      const found = values.children ? await ofSubtree(client, path) : await ofStream(client, path);
      if (values.json) {
        const output = createOutput(true);
        for (const schedule of found) await output.item(schedule);
        return 0;
      }
      if (found.length === 0) {
        note(`there is no schedule at ${path}${values.children ? " or below" : ""}${project}`);
        return 0;
      }
      const head = ["SLUG", "WHEN", "NEXT", "LAST", "TICKS"];
      const rows = found.map(rowOf);
      const table = values.children
        ? [["PATH", ...head], ...rows.map((row, i) => [(found[i] as Found).path, ...row])]
        : [head, ...rows];
      for (const line of tableOf(table)) await writeOut(`${line}\n`);
      return 0;
    });
  },
};

interface Found extends ScheduleState {
  path: string;
  slug: string;
}

async function ofStream(client: EventsClient, path: string): Promise<Found[]> {
  const state = await client.state(path);
  return Object.entries(state.schedules ?? {}).map(([slug, schedule]) => ({ path: state.path, slug, ...schedule }));
}

/** Several at a time, so that a large tree does not wait for each answer, nor a server for a thousand questions. */
const together = 8;

async function ofSubtree(client: EventsClient, path: string): Promise<Found[]> {
  const found: Found[] = [];
  let group: string[] = [];
  const ask = async () => {
    found.push(...(await Promise.all(group.map((each) => ofStream(client, each).catch(noneIfDeleted)))).flat());
    group = [];
  };
  for await (const stream of client.streams({ prefix: path })) {
    group.push(stream.path);
    if (group.length === together) await ask();
  }
  await ask();
  return found;
}

function noneIfDeleted(error: unknown): Found[] {
  if (isMillraceError(error) && error.code === "not_found") return [];
  throw error;
}

function rowOf({ slug, schedule, missed, nextAt, lastAt, ticks }: Found): (string | number)[] {
  const when = missed === "skip" ? `${wordsOf(schedule)}, skip missed` : wordsOf(schedule);
  return [
    slug,
    when,
    nextAt === undefined ? "paused" : timeCell(nextAt),
    lastAt === undefined ? "-" : timeCell(lastAt),
    ticks,
  ];
}

function wordsOf(schedule: ScheduleState["schedule"]): string {
  switch (schedule.kind) {
    case "once-at":
      return `at ${schedule.at}`;
    case "once-in":
      return `in ${writeSeconds(schedule.delaySeconds)}`;
    case "every":
      return `every ${writeSeconds(schedule.intervalSeconds)}`;
    case "cron":
      return `cron ${schedule.cron}${schedule.timezone === undefined ? "" : ` ${schedule.timezone}`}`;
  }
}
