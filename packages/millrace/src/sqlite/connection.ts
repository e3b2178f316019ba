/** How every thread opens the database: durable, patient with its neighbours, never caching what costs memory. */
import Database from "better-sqlite3";

/** @param check looks at the database before anything about it is changed: it may be somebody else's */
export function openConnection(
  file: string,
  readonly: boolean,
  check: (db: Database.Database) => void = () => {},
): Database.Database {
  const db = new Database(file, { readonly, timeout: 5_000 });
  try {
    check(db);
  } catch (error) {
    db.close();
    throw error;
  }
  if (!readonly) {
    db.pragma("journal_mode = WAL");
    // FULL: in WAL mode every commit waits for its fsync. This is the promise "acknowledged means on disk".
    db.pragma("synchronous = FULL");
    // The writer copies the log back into the database when it is this long: 16 MiB.
    db.pragma("wal_autocheckpoint = 4096");
    db.pragma("journal_size_limit = 67108864");
  }
  db.pragma(`cache_size = -${readonly ? 8_192 : 32_768}`);
  db.pragma("temp_store = MEMORY");
  return db;
}

/** The SQLite error code of an error, or "" for another kind of error. */
export function sqliteCode(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && code.startsWith("SQLITE_") ? code : "";
}
