/** `millrace delete`: asks a person, and wants a clear word from a program. */
import { createInterface } from "node:readline/promises";
import { clientOptions, pathArgument, withClient } from "./client-options.ts";
import { type Command, parseCommand } from "./command.ts";
import { escapeControls } from "./escape-controls.ts";
import { createOutput } from "./output.ts";
import { UsageError } from "./usage.ts";

const options = {
  children: { type: "boolean", help: "everything below it as well" },
  yes: { type: "boolean", short: "y", help: "do not ask; needed where stdin is not a terminal" },
  ...clientOptions,
} as const;

export const deleteCommand: Command = {
  usage: "delete <path> [options]",
  about: `Deletes a stream with all its events, and prints what was deleted. There is no way back; offsets are not used
again. Asks first on a terminal; the answer no is exit code 1.`,
  options,
  examples: ["millrace delete /me/hello", "millrace delete /me --children --yes"],
  async run(args) {
    const { values, positionals } = parseCommand("delete", args, options, { min: 1, max: 1 });
    const path = pathArgument(positionals[0]);
    const children = values.children ?? false;
    if (!values.yes && !process.stdin.isTTY) {
      throw new UsageError(`Nobody can be asked whether to delete ${path}: give --yes if it is meant.`);
    }
    return withClient(values, { path }, async (client) => {
      if (!values.yes && !(await isMeant(path, children))) return 1;
      await createOutput(values.json).value(await client.delete(path, { children }));
      return 0;
    });
  },
};

async function isMeant(path: string, children: boolean): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const what = escapeControls(path) + (children ? " and everything below it" : "");
  try {
    return /^y(es)?$/i.test((await terminal.question(`Delete ${what}? [y/N] `)).trim());
  } catch {
    return false;
  } finally {
    terminal.close();
  }
}
