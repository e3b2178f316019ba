/** What is wrong with a data directory, said in one sentence that names the way out. */
import { sqliteCode } from "./sqlite/connection.ts";

/** A sentence that needs no explanation: it reaches the user as it is. */
export class DataFault extends Error {
  override readonly name = "DataFault";
}

/**
 * @param directory the data directory
 * @param file the file in it that could not be used
 */
export function explainDataFault(error: unknown, directory: string, file: string): DataFault {
  return error instanceof DataFault ? error : new DataFault(explain(error as Error, directory, file));
}

const anotherDirectory = "choose another --data directory.";

function explain(error: Error, directory: string, file: string): string {
  const code = sqliteCode(error) || ((error as { code?: string }).code ?? "");
  if (code === "SQLITE_NOTADB")
    return `${file} is not a database, or is damaged. Restore it from a copy, or ${anotherDirectory}`;
  if (code.startsWith("SQLITE_CORRUPT"))
    return `${file} is damaged (${error.message}). Restore it from a copy, or ${anotherDirectory}`;
  if (code.startsWith("SQLITE_READONLY") || code === "EROFS" || code === "EACCES" || code === "EPERM")
    return `${directory} cannot be written to (${error.message}). Give this user write access, or ${anotherDirectory}`;
  if (code === "SQLITE_FULL" || code === "ENOSPC")
    return `The disk of ${directory} is full. Make room, then start again.`;
  if (code === "EEXIST") return `${directory} is not a directory. Move it away, or ${anotherDirectory}`;
  if (code === "ENOTDIR" || code === "ENOENT")
    return `${directory} cannot be made (${error.message}). Check the path, or ${anotherDirectory}`;
  if (code === "SQLITE_CANTOPEN")
    return `${file} cannot be opened (${error.message}). Move it away, or ${anotherDirectory}`;
  return `${file} cannot be used: ${error.message}${code === "" ? "" : ` (${code})`}. Mend it, or ${anotherDirectory}`;
}
