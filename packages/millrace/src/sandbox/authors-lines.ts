/**
 * An error of deployed code as its author reads it: stack frames of the compiled script become those of the author's
 * files, and those of what stands around the code are left out. What it is given was made by the code: never trusted.
 */
import { SourceMap, type SourceMapPayload } from "node:module";
import type { CodeError } from "@millrace/engine";

/** A source map, read when the first error needs it. */
export interface LinesMap {
  readonly json: string;
}

/** How the compiled script is called inside the sandbox. */
export const scriptName = "processor.js";

const framesMax = 16;
const stackCharactersMax = 32 * 1024;
const fileCharactersMax = 200;

const read = new WeakMap<LinesMap, SourceMap>();

export function authorsLines(error: CodeError, map: LinesMap): CodeError {
  if (error.stack === undefined) return error;
  const lines = error.stack.slice(0, stackCharactersMax).split("\n");
  const first = lines.findIndex((line) => /^\s+at /.test(line));
  if (first === -1) return error;
  const frames = framesIn(lines.slice(first), sourceMapOf(map)).slice(0, framesMax);
  return { ...error, stack: [...lines.slice(0, first), ...frames].join("\n") };
}

/** The same in a text that the code wrote; what else stands in it stays. */
export function authorsText(text: string, map: LinesMap): string {
  if (!text.includes(`${scriptName}:`)) return text;
  const frames = /^\s+at /;
  return text
    .split("\n")
    .flatMap((line) => (frames.test(line) ? (authorsFrame(line, sourceMapOf(map)) ?? []) : line))
    .join("\n");
}

function framesIn(lines: readonly string[], map: SourceMap): string[] {
  const frames: string[] = [];
  // Of the language itself, such as JSON.parse: worth a line when the author's code called it.
  let builtins: string[] = [];
  for (const line of lines) {
    if (/^\s+at .*<anonymous>\)?$/.test(line)) {
      builtins.push(line);
      continue;
    }
    const frame = authorsFrame(line, map);
    if (frame !== undefined) frames.push(...builtins, frame);
    builtins = [];
  }
  return frames;
}

function authorsFrame(line: string, map: SourceMap): string | undefined {
  const place = /(?:^|[\s(/])processor\.js:(\d+):(\d+)\)?$/.exec(line);
  if (place === null) return undefined;
  const entry = map.findEntry(Number(place[1]) - 1, Number(place[2]) - 1);
  if (!("originalSource" in entry) || entry.originalSource === undefined) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the author chose the name
  const file = entry.originalSource.replace(/[\u0000-\u001f\u007f]/g, "?").slice(-fileCharactersMax);
  const at = `${file}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  const name = /^\s+at (.+) \(/.exec(line)?.[1];
  return name === undefined ? `    at ${at}` : `    at ${name} (${at})`;
}

function sourceMapOf(map: LinesMap): SourceMap {
  let found = read.get(map);
  if (found === undefined) {
    found = new SourceMap(JSON.parse(map.json) as SourceMapPayload);
    read.set(map, found);
  }
  return found;
}
