/** `millrace why`: how it came to an event. */
import { causesOf, type Origin, type Place, writerOf } from "./causes.ts";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand, wholeNumber } from "./command.ts";
import { createOutput, note, writeOut } from "./output.ts";
import { tableOf, timeCell } from "./table.ts";
import { UsageError } from "./usage.ts";

/** A chain that is longer is one of processors that answer each other; nobody reads it to its end. */
const eventsMax = 10_000;

const options = {
  limit: { type: "string", value: "N", help: `at most so many events (default ${eventsMax.toLocaleString("en-US")})` },
  ...clientOptions,
} as const;

export const whyCommand: Command = {
  usage: "why <path>@<offset> [options]",
  about: `Prints an event, the event that it was written because of, and so on back to the origin: who wrote each, when
(UTC), and how many causes lie behind it. The last line says where the chain ends, and why.`,
  options,
  examples: ["millrace why /me/hello@7", "millrace why /me/hello@7 --json | jq -r '.chain[].type'"],
  run(args) {
    const { values, positionals } = parseCommand("why", args, options, { min: 1, max: 1 });
    const from = placeOf(positionals[0] as string);
    const limit = values.limit === undefined ? eventsMax : wholeNumber("limit", values.limit, 1);
    return withClient(values, { path: from.streamPath }, async (client, { project }) => {
      const origin = await causesOf(client, from, limit);
      const { chain, end } = origin;
      if (chain.length === 0) note(`${end.message}${project}`);
      else if (values.json) await createOutput(true).value(origin);
      else await print(origin);
      return chain.length === 0 ? 1 : 0;
    });
  },
};

/** An `@` may stand in a path; the last one is ours. */
function placeOf(word: string): Place {
  const at = word.lastIndexOf("@");
  const offset = word.slice(at + 1);
  if (at < 0 || !/^[1-9]\d{0,14}$/.test(offset)) {
    throw new UsageError(`An event is written as <path>@<offset>, such as /me/hello@7; got "${word}".`);
  }
  return { streamPath: pathArgument(word.slice(0, at)), offset: Number(offset) };
}

async function print({ chain, end }: Origin): Promise<void> {
  const rows = chain.map(({ streamPath, offset, createdAt, source, type }) => [
    `${streamPath}@${offset}`,
    timeCell(createdAt),
    writerOf(source),
    source?.depth ?? 0,
    type,
  ]);
  const table = tableOf([["EVENT", "TIME", "WRITTEN BY", "DEPTH", "TYPE"], ...rows]);
  for (const line of table) await writeOut(`${line}\n`);
  await writeOut(`${end.reason === "outside" ? "origin" : "ends here"}: ${end.message}\n`);
}
