/**
 * The file of an import. It is read twice, so that nothing is sent before every line was looked at; stdin, which comes
 * only once, is kept in a temporary file meanwhile.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ancestors, isBelow, isCanonicalPath, type JsonObject, type JsonValue } from "@millrace/protocol";
import { parseJson } from "./input.ts";
import { UsageError } from "./usage.ts";

/** What an import needs of a line; whatever else stands there is what the server will say anew. */
export interface StoredEvent {
  streamPath: string;
  offset: number;
  type: string;
  payload?: JsonValue;
  metadata?: JsonObject;
  createdAt?: string;
}

export interface ImportSource {
  events(): AsyncGenerator<StoredEvent>;
  /** Of the whole file. */
  count: number;
  /** The deepest path that has all its streams at or below it. */
  root: string;
  remove(): Promise<void>;
}

/** @throws UsageError naming the line that is no stored event */
export async function openSource(file: string): Promise<ImportSource> {
  const { name, remove } = file === "-" ? await spooled() : { name: file, remove: async () => {} };
  try {
    if (file !== "-") await mustBeReadable(name);
    const events = () => eventsIn(name, file === "-" ? "stdin" : file);
    let count = 0;
    let root: string | undefined;
    for await (const { streamPath } of events()) {
      count++;
      root = root === undefined ? streamPath : commonAncestor(root, streamPath);
    }
    return { events, count, root: root ?? "/", remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function spooled(): Promise<{ name: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(path.join(tmpdir(), "millrace-import-"));
  const remove = () => rm(directory, { recursive: true, force: true });
  try {
    const name = path.join(directory, "stdin.ndjson");
    await pipeline(process.stdin, createWriteStream(name, { mode: 0o600 }));
    return { name, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Read once, line by line; `-` is stdin. @throws UsageError naming the line that is no stored event */
export async function* storedEventsIn(file: string): AsyncGenerator<StoredEvent> {
  if (file === "-") return yield* eventsOf(process.stdin, "stdin");
  await mustBeReadable(file);
  yield* eventsIn(file, file);
}

async function mustBeReadable(file: string): Promise<void> {
  await access(file).catch((error: Error) => {
    throw new UsageError(`${file} cannot be read (${error.message}).`);
  });
}

const eventsIn = (name: string, called: string): AsyncGenerator<StoredEvent> =>
  eventsOf(createReadStream(name), called);

async function* eventsOf(input: Readable, called: string): AsyncGenerator<StoredEvent> {
  let number = 0;
  input.setEncoding("utf8");
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      if (line.trim() !== "")
        yield toStored(parseJson(`${called}, line ${number},`, line), `${called}, line ${number}`);
    }
  } finally {
    input.destroy();
  }
}

function toStored(value: unknown, where: string): StoredEvent {
  const { streamPath, offset, type } = (value ?? {}) as Partial<Record<keyof StoredEvent, unknown>>;
  const known = typeof streamPath === "string" && isCanonicalPath(streamPath) && typeof type === "string";
  if (known && Number.isSafeInteger(offset)) return value as StoredEvent;
  throw new UsageError(
    `${where} is no stored event: expected streamPath, offset and type, as "millrace export" writes them. For events without them there is "millrace append <path> --file FILE".`,
  );
}

function commonAncestor(a: string, b: string): string {
  if (a === b || isBelow(b, a)) return a;
  return ancestors(a).find((path) => path === b || isBelow(b, path)) ?? "/";
}
