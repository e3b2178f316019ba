/**
 * A line that a processor said, for people. Code of anybody wrote it: further lines of it are indented, so that none of
 * them looks like a line of its own, and nothing in it steers the terminal.
 */
import type { LogLevel, LogLine } from "@millrace/sdk";
import { escapeControls } from "./escape-controls.ts";

const colourOf: Record<LogLevel, string> = { debug: "2", info: "32", warn: "33", error: "31" };

export function logText({ at, level, path, slug, offset, message, details }: LogLine, colours: boolean): string {
  const said = details === undefined ? message : `${message} ${JSON.stringify(details)}`;
  const name = level.padEnd(5);
  const shown = colours ? `\x1b[${colourOf[level] ?? "0"}m${name}\x1b[0m` : name;
  const where = escapeControls(`${path}@${offset} ${oneLine(slug)}`);
  return `${escapeControls(oneLine(at))} ${shown} ${where}: ${escapeControls(said).replaceAll("\n", "\n    ")}\n`;
}

function oneLine(text: string): string {
  return text.replaceAll("\n", " ");
}
