/** Where in the author's own files an error came from: `processor.ts:12:9`, as the stack with source maps says it. */
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The innermost frame that lies in one of the files; undefined when none does. */
export function authorLine(error: unknown, files: ReadonlySet<string>): string | undefined {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  for (const [, place = "", line, column] of stack.matchAll(
    /^\s+at .*?\(?((?:file:\/\/)?\/[^()]*?):(\d+):(\d+)\)?$/gm,
  )) {
    const file = place.startsWith("file:") ? fileURLToPath(place) : place;
    if (files.has(file)) return `${shown(file)}:${line}:${column}`;
  }
  return undefined;
}

function shown(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith("..") ? file : relative;
}

/** The message of whatever was thrown, with the author's line where it has one. */
export function errorText(error: unknown, files: ReadonlySet<string>): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const line = authorLine(error, files);
  return line === undefined ? text : `${text} (${line})`;
}
