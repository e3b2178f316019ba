/** The text of `--help`: what it does, every flag, and lines to copy. */
import type { Command, Option } from "./command.ts";
import type { CommandEntry } from "./commands.ts";

const flagColumn = 26;

export function helpOf(command: Command): string {
  const options = Object.entries(command.options).map(([name, option]) => optionLine(name, option));
  const examples = command.examples.map((line) => `  ${line}`);
  return [
    `Usage: millrace ${command.usage}`,
    "",
    command.about,
    "",
    "Options:",
    ...options,
    "",
    examples.length === 1 ? "Example:" : "Examples:",
    ...examples,
    "",
  ].join("\n");
}

function optionLine(name: string, { value, help, multiple }: Option): string {
  const flag = `--${name}${value === undefined ? "" : ` ${value}`}`;
  const text = multiple ? `${help} (repeatable)` : help;
  return `  ${flag.padEnd(flagColumn)} ${text.replaceAll("\n", `\n  ${" ".repeat(flagColumn)} `)}`;
}

export function overview(commands: Record<string, CommandEntry>): string {
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(14)} ${summary}`);
  return `Usage: millrace <command> [options]

Commands:
${lines.join("\n")}

millrace <command> --help tells more, with examples; millrace --version is the version.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 server not reached, 130 ended by Ctrl-C.
`;
}
