#!/usr/bin/env node
/** `millrace <command>`. Exit codes: 0 done, 1 refused, 2 wrong usage, 3 server not reached. */
import { serveCommand } from "./serve-command.ts";
import { UsageError } from "./usage.ts";

const commands: Record<string, (args: string[]) => Promise<number>> = { serve: serveCommand };

const help = `Usage: millrace <command> [options]

Commands:
  serve    run the server (millrace serve --help)
`;

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(help);
    return name === undefined ? 2 : 0;
  }
  const command = commands[name];
  if (command === undefined) throw new UsageError(`There is no command "${name}".\n\n${help}`);
  return command(args);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`millrace: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  },
);
