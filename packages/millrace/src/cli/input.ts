/** What a person or a pipe hands over: JSON in an argument, a file or stdin. A slip is said here, before it is stored. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { UsageError } from "./usage.ts";

/** @throws UsageError naming where the text came from */
export function parseJson(source: string, json: string): unknown {
  try {
    return JSON.parse(json, mayBeInexact.test(json) ? exactly : undefined);
  } catch (error) {
    throw new UsageError(`${source} is not JSON: ${(error as Error).message}`);
  }
}

/** No number beyond 2^53 is written without this. Looking at each value takes a multiple of parsing it. */
const mayBeInexact = /\d{16}|\d[eE]/;

/** `JSON.parse` would change what it cannot hold, and the server would never know. */
function exactly(_key: string, value: unknown): unknown {
  if (typeof value === "number" && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER)) {
    throw new Error("a number beyond 2^53 cannot be kept exactly; send it as a string");
  }
  return value;
}

/** One JSON value, or NDJSON: a list of the values in its lines. @throws UsageError */
export function parseJsonOrLines(source: string, json: string): unknown {
  const lines = json.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) throw new UsageError(`${source} is empty.`);
  // Several lines that each begin an object are NDJSON; a pretty-printed value has lines that do not.
  if (lines.length > 1 && lines.every((line) => line.trimStart().startsWith("{") && line.trimEnd().endsWith("}"))) {
    return lines.map((line, i) => parseJson(`${source}, line ${i + 1},`, line));
  }
  return parseJson(source, json);
}

/** @throws UsageError when the file cannot be read */
export async function readText(file: string): Promise<string> {
  if (file === "-") return text(process.stdin);
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new UsageError(`${file} cannot be read (${(error as Error).message}).`);
  }
}
