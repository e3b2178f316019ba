/** `millrace append`: an event from words, from JSON, or from stdin. */
import type { Appended, AppendedBatch, EventInput, StreamEvent } from "@millrace/sdk";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand, wholeNumber } from "./command.ts";
import { parseJson, parseJsonOrLines, readText } from "./input.ts";
import { createOutput, note } from "./output.ts";
import { UsageError } from "./usage.ts";

const options = {
  type: { type: "string", value: "TYPE", help: "the type; what comes from stdin or --file is then the payload" },
  payload: { type: "string", value: "JSON", help: "the payload of an event whose type is given" },
  metadata: { type: "string", value: "JSON", help: "its metadata" },
  file: { type: "string", value: "FILE", help: "read from a file instead of stdin" },
  key: { type: "string", value: "KEY", help: "idempotency key: the same append again changes nothing" },
  offset: { type: "string", value: "OFFSET", help: "append only if the event gets exactly this offset" },
  ...clientOptions,
} as const;

export const appendCommand: Command = {
  usage: "append <path> [type | json | -] [options]",
  about: `Appends an event and prints it as it was stored. What stands behind the path is a type, an event or a list of
events as JSON, or - for stdin: JSON, or NDJSON, which is one atomic batch. With --type, stdin is the payload:
JSON, or else text.
What is no valid event is stored as one that says so, as over HTTP; then the exit code is 1.`,
  options,
  examples: [
    "millrace append /me/hello hello-world",
    `millrace append /me/hello order-placed --payload '{"cups":1}' --key order-1`,
    `millrace append /me/hello '[{"type":"cup-filled"},{"type":"cup-served"}]'`,
    "uptime | millrace append /me/log - --type uptime-seen",
    "millrace append /me/log --file events.ndjson",
  ],
  async run(args) {
    const { values, positionals } = parseCommand("append", args, options, { min: 1, max: 2 });
    const path = pathArgument(positionals[0]);
    const what = await eventsOf(positionals[1], values);
    return withClient(values, { path }, async (client) => {
      const appendOptions = { retry: false, ...(values.key === undefined ? {} : { idempotencyKey: values.key }) };
      const answer = (await client.append(path, what as EventInput, appendOptions)) as Appended | AppendedBatch;
      const stored = "events" in answer ? answer.events : [answer.event];
      const output = createOutput(values.json);
      for (const event of stored) await output.item(event);
      return judge(stored);
    });
  },
};

interface Values {
  type?: string | undefined;
  payload?: string | undefined;
  metadata?: string | undefined;
  file?: string | undefined;
  offset?: string | undefined;
}

/** What is sent. Whether it is an event is judged by the server, with better words. @throws UsageError */
async function eventsOf(word: string | undefined, values: Values): Promise<EventInput | EventInput[]> {
  const { type, payload, metadata } = values;
  const source = values.file ?? (word === "-" ? "-" : undefined);
  if (source !== undefined && word !== undefined && word !== "-") {
    throw new UsageError(`Either "${word}" or --file, not both.`);
  }
  const extra = {
    ...(metadata === undefined ? {} : { metadata: parseJson("--metadata", metadata) }),
    ...(values.offset === undefined ? {} : { offset: wholeNumber("offset", values.offset, 1) }),
  };
  if (source !== undefined) {
    const text = await readText(source);
    if (payload !== undefined) throw new UsageError("--payload and a payload from stdin or --file exclude each other.");
    if (type !== undefined) return { type, payload: jsonOrText(text), ...extra } as EventInput;
    return withExtra(parseJsonOrLines(source === "-" ? "stdin" : source, text), extra);
  }
  if (word !== undefined && /^\s*[[{]/.test(word)) {
    if (type !== undefined || payload !== undefined) {
      throw new UsageError("An event as JSON has its type and payload in it; leave out --type and --payload.");
    }
    return withExtra(parseJson("What stands behind the path", word), extra);
  }
  if (word !== undefined && type !== undefined) throw new UsageError(`Either the type "${word}" or --type, not both.`);
  const given = word ?? type;
  if (given === undefined) {
    throw new UsageError("A type, an event as JSON, or - for stdin is expected.\nSee millrace append --help.");
  }
  const parsed = payload === undefined ? {} : { payload: parseJson("--payload", payload) };
  return { type: given, ...parsed, ...extra } as EventInput;
}

function withExtra(value: unknown, extra: object): EventInput | EventInput[] {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (Object.keys(extra).length === 0) return value as EventInput;
  if (isObject) return { ...value, ...extra } as EventInput;
  throw new UsageError(
    `--offset and --metadata are for one event, and this is ${Array.isArray(value) ? "a list" : "none"}.`,
  );
}

function jsonOrText(text: string): unknown {
  try {
    return parseJson("", text);
  } catch {
    return text.replace(/\r?\n$/, "");
  }
}

/** 1 if something of it was no event: it is kept, but a script should hear of it. */
function judge(stored: StreamEvent[]): number {
  const invalid = stored.filter(({ type }) => type.endsWith("/events/stream/invalid-event-appended"));
  for (const { offset, payload } of invalid) {
    const { error } = payload as { error?: string };
    note(`stored as an invalid event at offset ${offset}: ${error}`);
  }
  return invalid.length > 0 ? 1 : 0;
}
