/** `millrace secrets`: set, list, remove. A value is never an argument, which other users and the history would see. */
import type { EventsClient } from "@millrace/sdk";
import { clientOptions, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { createOutput, note, writeOut } from "./output.ts";
import { Interrupted, readSecretValue } from "./secret-value.ts";
import { tableOf, timeCell } from "./table.ts";
import { UsageError } from "./usage.ts";

const options = {
  host: { type: "string", multiple: true, value: "HOST", help: "set: where the value may be sent" },
  description: { type: "string", value: "TEXT", help: "set: what it is for, shown in lists" },
  "from-file": { type: "string", value: "FILE", help: "set: the value is what is in this file" },
  ...clientOptions,
} as const;

type Values = ReturnType<typeof parseCommand<typeof options>>["values"];

export const secretsCommand: Command = {
  usage: "secrets set <name> | list | rm <name> [options]",
  about: `Secrets of the project: events refer to one as {{secret:NAME}}, and its value is sent to its hosts alone, such as
api.example.com, *.example.com or api.example.com:8443 (https; http://localhost:4000 for clear text). Nobody can read it
back. "set" takes the value from stdin or --from-file, less one line break at its end, or asks for it on a terminal.`,
  options,
  words: ["set", "list", "rm"],
  examples: [
    "millrace secrets set PAYMENTS_TOKEN --host api.example.com",
    "millrace secrets set PAYMENTS_TOKEN --host '*.example.com' < token.txt",
    "millrace secrets list",
    "millrace secrets rm PAYMENTS_TOKEN",
  ],
  async run(args) {
    const { values, positionals } = parseCommand("secrets", args, options, { min: 1, max: Number.POSITIVE_INFINITY });
    const [action, name, ...more] = positionals;
    switch (action) {
      case "set":
        return set(values, nameArgument(name), more);
      case "list":
        return list(withoutSetOptions(values, action), [...(name === undefined ? [] : [name]), ...more]);
      case "rm":
        return remove(withoutSetOptions(values, action), nameArgument(name), more);
      default:
        throw new UsageError("secrets goes on with set, list or rm.\nSee millrace secrets --help.");
    }
  },
};

async function set(values: Values, name: string, more: string[]): Promise<number> {
  // What came may be the value, so it is not repeated.
  if (more.length > 0) {
    throw new UsageError("A value is no argument, because other users can see those: pipe it in, or use --from-file.");
  }
  const hosts = values.host ?? [];
  if (hosts.length === 0) throw new UsageError("--host says where the value may be sent, such as api.example.com.");
  let value: string;
  try {
    value = await readSecretValue(name, values["from-file"]);
  } catch (error) {
    if (error instanceof Interrupted) return 130;
    throw error;
  }
  const { description } = values;
  return withClient(values, {}, async (client) => {
    const secret = { name, value, hosts, ...(description === undefined ? {} : { description }) };
    await createOutput(values.json).value(await client.secrets.set(secret));
    return 0;
  });
}

function list(values: Values, more: string[]): Promise<number> {
  if (more.length > 0) throw tooMany(more);
  return withClient(values, {}, async (client: EventsClient, { project }) => {
    const secrets = await client.secrets.list();
    if (values.json) {
      const output = createOutput(true);
      for (const secret of secrets) await output.item(secret);
      return 0;
    }
    if (secrets.length === 0) {
      note(`there is no secret${project}`);
      return 0;
    }
    const rows = secrets.map(({ name, hosts, updatedAt, description = "" }) => [
      name,
      hosts.join(", "),
      timeCell(updatedAt),
      description,
    ]);
    for (const line of tableOf([["NAME", "HOSTS", "SET", "DESCRIPTION"], ...rows])) await writeOut(`${line}\n`);
    return 0;
  });
}

function remove(values: Values, name: string, more: string[]): Promise<number> {
  if (more.length > 0) throw tooMany(more);
  return withClient(values, {}, async (client) => {
    await client.secrets.remove(name);
    await createOutput(values.json).value({ deleted: true, name });
    return 0;
  });
}

function nameArgument(name: string | undefined): string {
  if (name !== undefined && name !== "") return name;
  throw new UsageError("The name of a secret is expected, such as PAYMENTS_TOKEN.\nSee millrace secrets --help.");
}

function withoutSetOptions(values: Values, action: string): Values {
  const wrong = (["host", "description", "from-file"] as const).find((option) => values[option] !== undefined);
  if (wrong === undefined) return values;
  throw new UsageError(`--${wrong} is for "secrets set", not for "secrets ${action}".`);
}

function tooMany([word]: string[]): UsageError {
  return new UsageError(`"${word}" is one word too many.\nSee millrace secrets --help.`);
}
