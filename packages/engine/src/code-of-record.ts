/**
 * The code inside the record of a deployment, which a log may keep once instead of in each record: the text of the
 * payload's `script` or `modules`, as it stands. Whoever puts it back has the record, byte for byte.
 */
import { continuesBatch } from "./record.ts";

export interface SplitRecord {
  before: string;
  code: string;
  after: string;
}

const start = '"type":"https://events.iterate.com/events/stream/dynamic-worker/configured","payload":{';
/** What is shorter costs more as a row of its own. */
const codeCharactersMin = 1_024;

/** Looks at the beginning alone, so that asking costs nothing for all other records. */
export function mayCarryCode(record: string): boolean {
  return record.length > codeCharactersMin && record.startsWith(start, continuesBatch(record) ? 1 : 0);
}

/** Undefined where there is no code, or too little. The record is as encodeRecord writes it: without white space. */
export function splitCode(record: string): SplitRecord | undefined {
  if (!mayCarryCode(record)) return undefined;
  let key = record.indexOf("{") + 1;
  while (record[key] === '"') {
    const value = endOfString(record, key) + 1;
    const end = endOfValue(record, value);
    const name = record.slice(key, value - 1);
    if (name === '"script"' || name === '"modules"') {
      if (end - value < codeCharactersMin) return undefined;
      return { before: record.slice(0, value), code: record.slice(value, end), after: record.slice(end) };
    }
    key = end + 1;
  }
  return undefined;
}

/** Behind the string that begins here. */
function endOfString(text: string, from: number): number {
  for (let quote = text.indexOf('"', from + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

/** Behind the value that begins here. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  for (let i = from; i < text.length; i++) {
    const character = text[i] as string;
    if (character === '"') i = endOfString(text, i) - 1;
    else if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") {
      if (depth === 0) return i;
      depth--;
    } else if (character === "," && depth === 0) return i;
  }
  return text.length;
}
