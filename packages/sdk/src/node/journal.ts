/**
 * A file of lines that are only ever added, each a whole JSON value; the newest line of a key counts. A save costs what
 * it says, not what all others have said before. When most of it is old, it is written anew beside and renamed over.
 */
import { readFileSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import path from "node:path";

export interface Journal {
  /** On disk when it resolves. One call at a time. */
  add(lines: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

const firstLine = '{"millrace":"cursors","version":1}';
/** Below this size nobody minds what is old. */
const smallBytes = 1_048_576;

/**
 * @param live every line that still counts, for when the file is written anew
 * @throws Error when it is not such a file, or is damaged anywhere but at its end, where a crash may have cut it off
 */
export async function openJournal(file: string, live: () => Iterable<string>): Promise<Journal> {
  let handle = await rewritten(file, live());
  let size = (await handle.stat()).size;
  let sizeWhenNew = size;
  let torn = false;

  async function rewrite(): Promise<void> {
    const before = handle;
    handle = await rewritten(file, live());
    await before.close();
    ({ size } = await handle.stat());
    sizeWhenNew = size;
    torn = false;
  }

  return {
    async add(lines) {
      // What a failed write left behind may be half a line: nothing can stand behind that.
      if (torn || size > Math.max(2 * sizeWhenNew, smallBytes)) return rewrite();
      const text = lines.map((line) => `${line}\n`).join("");
      torn = true;
      await handle.appendFile(text);
      await handle.datasync();
      torn = false;
      size += Buffer.byteLength(text);
    },
    close: () => handle.close(),
  };
}

/** Every value in the file, oldest first; none where there is no file. */
export function readJournal(file: string): unknown[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const lines = text.split("\n");
  // What has no end of line was being written when the process died: nobody was told that it is saved.
  lines.pop();
  if (lines[0] !== firstLine) {
    const what = text === "" ? "is empty" : "holds something else";
    throw new Error(`${file} ${what}: it is no file of cursors. Name another file, or remove it to begin anew.`);
  }
  return lines.slice(1).map((line, index) => {
    try {
      return JSON.parse(line);
    } catch {
      throw new Error(
        `${file} is damaged in line ${index + 2}. Put back a copy of it, or remove it: then every stream begins as at a first start.`,
      );
    }
  });
}

async function rewritten(file: string, lines: Iterable<string>): Promise<FileHandle> {
  const beside = `${file}.new`;
  // Only its owner may read it: states of processors may be confidential.
  const handle = await open(beside, "w", 0o600);
  try {
    await handle.writeFile(`${[firstLine, ...lines].join("\n")}\n`);
    await handle.sync();
    await rename(beside, file);
    await syncDirectory(path.dirname(file));
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** So that the new name is on disk as well. */
async function syncDirectory(directory: string): Promise<void> {
  // Windows opens no directories, and needs none of this.
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
