/** `millrace <command>`. Commands and what they need are loaded when they are asked for, so that each starts quickly. */
import { readFileSync } from "node:fs";
import { commands } from "./commands.ts";
import { escapeControls } from "./escape-controls.ts";
import { helpOf, overview } from "./help.ts";
import { endQuietlyWithoutReader, leaveWith } from "./output.ts";
import { UsageError } from "./usage.ts";

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(overview(commands));
    return name === undefined ? 2 : 0;
  }
  if (name === "--version" || name === "-v") {
    process.stdout.write(`millrace ${version()}\n`);
    return 0;
  }
  if (name.startsWith("-")) throw new UsageError(`Options stand behind the command: millrace <command> ${name} ...`);
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) throw new UsageError(`There is no command "${name}".\n\n${overview(commands)}`);
  const command = await entry.load();
  if (asksForHelp(args)) {
    process.stdout.write(helpOf(command));
    return 0;
  }
  return command.run(args);
}

function asksForHelp(args: string[]): boolean {
  const end = args.indexOf("--");
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === "--help" || arg === "-h");
}

function version(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

endQuietlyWithoutReader();
main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const { message, exitCode } = error instanceof Error ? (error as Error & { exitCode?: number }) : failed(error);
    process.stderr.write(`millrace: ${escapeControls(message)}\n`);
    return leaveWith(exitCode ?? 1);
  },
);

function failed(error: unknown): { message: string; exitCode?: number } {
  return { message: String(error) };
}
