/**
 * Code of deployed processors, once for each project by its SHA-256. A row lives as long as a record refers to it;
 * there is no count that could be wrong: the index on `records (code)` says whether one is left. For the writer, inside
 * its transactions.
 */
import { createHash } from "node:crypto";
import type { Database } from "better-sqlite3";

export interface Codes {
  /** The row of this text, which is made when there is none. */
  keep(stream: number, text: string): number;
  /** Records that referred to these were deleted. Null is of records that have no code. */
  released(codes: readonly (number | null)[]): void;
}

export function createCodes(db: Database): Codes {
  const selectProject = db.prepare("SELECT project FROM streams WHERE id = ?").pluck();
  const selectCode = db.prepare("SELECT id FROM codes WHERE project = ? AND hash = ?").pluck();
  const insertCode = db.prepare("INSERT INTO codes (project, hash, text) VALUES (?, ?, ?)");
  const deleteUnused = db.prepare(
    "DELETE FROM codes WHERE id = ? AND NOT EXISTS (SELECT 1 FROM records WHERE code = codes.id)",
  );
  return {
    keep(stream, text) {
      const project = selectProject.get(stream) as number;
      const hash = createHash("sha256").update(text).digest();
      const known = selectCode.get(project, hash) as number | undefined;
      return known ?? Number(insertCode.run(project, hash, text).lastInsertRowid);
    },
    released(codes) {
      for (const code of new Set(codes)) if (code !== null) deleteUnused.run(code);
    },
  };
}
