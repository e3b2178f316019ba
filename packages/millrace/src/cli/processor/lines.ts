/** Where what is said goes: a line on stdout for each thing, with its time, for people or as JSON for programs. */
import type { Logger } from "@millrace/protocol";
import { escapeControls } from "../escape-controls.ts";
import { wantsColours } from "../output.ts";
import { type Told, toldText } from "./told.ts";

export interface Lines {
  tell(told: Told): void;
  /** What the author's hooks log. */
  logger: Logger;
}

export function createLines(json: boolean | undefined, now: () => Date = () => new Date()): Lines {
  const colours = !json && wantsColours(process.stdout);
  const coloured = (code: number) => (text: string) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
  const [bold, dim, red] = [coloured(1), coloured(2), coloured(31)];

  function write(value: object, text: () => string): void {
    const time = now();
    if (json) process.stdout.write(`${escapeControls(JSON.stringify({ time, ...value }))}\n`);
    else process.stdout.write(`${dim(clockTime(time))} ${text()}\n`);
  }

  const log = (level: keyof Logger) => (message: string, details?: unknown) =>
    write({ kind: "log", level, message, ...(details === undefined ? {} : { details }) }, () => {
      const more = details === undefined ? "" : ` ${detailsText(details)}`;
      return `${level === "error" ? red(level) : level}: ${escapeControls(`${message}${more}`)}`;
    });
  return {
    tell: (told) => write(told, () => toldText(told, bold, red)),
    logger: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
  };
}

/** Local, as on the clock of whoever watches. */
function clockTime(time: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const seconds = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return `${seconds}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

function detailsText(details: unknown): string {
  return details instanceof Error ? details.message : (JSON.stringify(details) ?? String(details));
}
