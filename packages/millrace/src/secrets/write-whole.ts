/** A small file that is either as it was or as it shall be, whenever the process or the machine ends. */
import { open, rename, rm } from "node:fs/promises";
import path from "node:path";

/** Resolves when it is on disk. Only its owner may read it. One writer at a time. */
export async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.new`;
  await rm(temporary, { force: true }); // whoever was killed here left one
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await syncDirectory(path.dirname(file));
}

/** Without it a new name could be lost with the machine. Windows has no such call. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
