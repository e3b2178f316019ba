/** `secrets.key` of a data directory: made at first use, and not used when others could have read it. */
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { DataFault, explainDataFault } from "../data-fault.ts";
import { parseKey, randomKey } from "./vault.ts";
import { writeWhole } from "./write-whole.ts";

/** Far more than any way to write a key takes. */
const fileBytesMax = 1_024;

/** Undefined where there is none. @throws DataFault that says what is wrong with it */
export function readKeyFile(directory: string, file: string): Buffer | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "EACCES" || code === "EPERM") {
      throw new DataFault(`${file} cannot be read (${message}). Make it the file of the user who runs the server.`);
    }
    throw explainDataFault(error, directory, file);
  }
  try {
    return read(descriptor, file);
  } catch (error) {
    throw explainDataFault(error, directory, file);
  } finally {
    closeSync(descriptor);
  }
}

/** Resolves when it is on disk: nothing may be sealed with a key that could be lost. */
export async function makeKeyFile(file: string): Promise<Buffer> {
  const key = randomKey();
  await writeWhole(file, `${key.toString("hex")}\n`);
  return key;
}

function read(descriptor: number, file: string): Buffer {
  const { mode, size } = fstatSync(descriptor);
  // What others can write they can replace, and what they can read is no secret. Windows says nothing with these bits.
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(4, "0");
    throw new DataFault(
      `${file} is open to other users (mode ${shown}). Close it with "chmod 600 ${file}"; if somebody may have read it, see "Secrets" in SECURITY.md.`,
    );
  }
  const key = size > fileBytesMax ? undefined : parseKey(readFileSync(descriptor, "utf8"));
  if (key !== undefined) return key;
  throw new DataFault(
    `${file} is damaged: it is no key of 32 bytes. Restore it from a copy, or start with it in MILLRACE_SECRETS_KEY.`,
  );
}
