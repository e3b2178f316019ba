/**
 * Cursors in a file, for a processor that is stopped and started again: what came meanwhile is missed, and nothing is
 * lost. Saves that come while one is being written go to disk together behind it. One process for each file.
 */
import { mkdirSync, statSync } from "node:fs";
import path from "node:path";
import type { Cursors, StoredCursor } from "../processor/cursors.ts";
import { lockFile } from "./file-lock.ts";
import { type Journal, openJournal, readJournal } from "./journal.ts";

interface Entry {
  path: string;
  /** Left out where it was forgotten. */
  cursor?: StoredCursor;
}

interface Opened {
  cursors: Map<string, StoredCursor>;
  save(entry: Entry): Promise<void>;
  close(): Promise<void>;
}

/**
 * @param name of the file; of a directory the file `cursors.jsonl` in it. It is opened, and locked, at the first use;
 * whatever then stands in the way rejects: another process that has it, what is no file of cursors, a damaged one
 */
export function fileCursors(name: string): Cursors {
  const file = path.resolve(isDirectory(name) ? path.join(name, "cursors.jsonl") : name);
  let opening: Promise<Opened> | undefined;
  const opened = (): Promise<Opened> => {
    opening ??= openFile(file);
    return opening;
  };
  return {
    load: async (of) => (await opened()).cursors.get(of),
    paths: async () => [...(await opened()).cursors.keys()],
    save: async (of, cursor) => (await opened()).save({ path: of, cursor }),
    async forget(of) {
      const { cursors, save } = await opened();
      if (cursors.has(of)) await save({ path: of });
    },
    async close() {
      const closing = opening;
      opening = undefined;
      // What could not be opened has said so before.
      const open = await closing?.catch(() => undefined);
      await open?.close();
    },
  };
}

async function openFile(file: string): Promise<Opened> {
  mkdirSync(path.dirname(file), { recursive: true });
  const unlock = lockFile(file);
  try {
    const cursors = new Map<string, StoredCursor>();
    for (const entry of readJournal(file)) put(cursors, entry as Entry);
    const live = () => Array.from(cursors, ([path, cursor]) => JSON.stringify({ path, cursor }));
    return opened(cursors, await openJournal(file, live), unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

function opened(cursors: Map<string, StoredCursor>, journal: Journal, unlock: () => void): Opened {
  let waiting: Entry[] = [];
  let writing: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;

  async function write(): Promise<void> {
    const entries = waiting;
    waiting = [];
    next = undefined;
    await journal.add(entries.map((entry) => JSON.stringify(entry)));
  }

  return {
    cursors,
    save(entry) {
      put(cursors, entry);
      waiting.push(entry);
      if (next === undefined) {
        next = writing.then(write);
        writing = next.catch(() => {});
      }
      return next;
    },
    async close() {
      await writing;
      await journal.close();
      unlock();
    },
  };
}

function put(cursors: Map<string, StoredCursor>, { path, cursor }: Entry): void {
  if (cursor === undefined) cursors.delete(path);
  else cursors.set(path, cursor);
}

function isDirectory(name: string): boolean {
  return name.endsWith("/") || statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
}
