/** An event as it stands on a line: a type, JSON, or what comes from stdin or a file. */
import type { EventInput } from "@millrace/sdk";
import { wholeNumber } from "./command.ts";
import { parseJson, parseJsonOrLines, readText } from "./input.ts";
import { UsageError } from "./usage.ts";

export interface EventOptions {
  type?: string | undefined;
  payload?: string | undefined;
  metadata?: string | undefined;
  file?: string | undefined;
  offset?: string | undefined;
}

/** What is sent. Whether it is an event is judged by the server, with better words. @throws UsageError */
export async function eventFrom(
  command: string,
  word: string | undefined,
  values: EventOptions,
): Promise<EventInput | EventInput[]> {
  const { type, payload, metadata } = values;
  const source = values.file ?? (word === "-" ? "-" : undefined);
  if (source !== undefined && word !== undefined && word !== "-") {
    throw new UsageError(`Either "${word}" or --file, not both.`);
  }
  const extra = {
    ...(metadata === undefined ? {} : { metadata: parseJson("--metadata", metadata) }),
    ...(values.offset === undefined ? {} : { offset: wholeNumber("offset", values.offset, 1) }),
  };
  if (source !== undefined) {
    const text = await readText(source);
    if (payload !== undefined) throw new UsageError("--payload and a payload from stdin or --file exclude each other.");
    if (type !== undefined) return { type, payload: jsonOrText(text), ...extra } as EventInput;
    return withExtra(parseJsonOrLines(source === "-" ? "stdin" : source, text), extra);
  }
  if (word !== undefined && /^\s*[[{]/.test(word)) {
    if (type !== undefined || payload !== undefined) {
      throw new UsageError("An event as JSON has its type and payload in it; leave out --type and --payload.");
    }
    return withExtra(parseJson("What stands behind the path", word), extra);
  }
  if (word !== undefined && type !== undefined) throw new UsageError(`Either the type "${word}" or --type, not both.`);
  const given = word ?? type;
  if (given === undefined) {
    throw new UsageError(`A type, an event as JSON, or - for stdin is expected.\nSee millrace ${command} --help.`);
  }
  const parsed = payload === undefined ? {} : { payload: parseJson("--payload", payload) };
  return { type: given, ...parsed, ...extra } as EventInput;
}

function withExtra(value: unknown, extra: object): EventInput | EventInput[] {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (Object.keys(extra).length === 0) return value as EventInput;
  if (isObject) return { ...value, ...extra } as EventInput;
  throw new UsageError(
    `--offset and --metadata are for one event, and this is ${Array.isArray(value) ? "a list" : "none"}.`,
  );
}

function jsonOrText(text: string): unknown {
  try {
    return parseJson("", text);
  } catch {
    return text.replace(/\r?\n$/, "");
  }
}
