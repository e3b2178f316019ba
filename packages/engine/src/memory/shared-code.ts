/** Records in memory: those that deploy the same code share its text, for as long as one of them is there. */
import { splitCode } from "../code-of-record.ts";

export type Kept = string | { before: string; shared: Shared; after: string };

interface Shared {
  code: string;
  records: number;
}

export interface SharedCode {
  keep(project: string, record: string): Kept;
  /** They are there no more. */
  release(project: string, kept: readonly Kept[]): void;
}

export function createSharedCode(): SharedCode {
  const projects = new Map<string, Map<string, Shared>>();
  return {
    keep(project, record) {
      const split = splitCode(record);
      if (split === undefined) return record;
      const { before, code, after } = split;
      const byCode = projects.get(project) ?? new Map<string, Shared>();
      projects.set(project, byCode);
      const shared = byCode.get(code) ?? { code, records: 0 };
      byCode.set(code, shared);
      shared.records++;
      return { before: copyOf(before), shared, after: copyOf(after) };
    },
    release(project, kept) {
      for (const each of kept) {
        if (typeof each === "string" || --each.shared.records > 0) continue;
        projects.get(project)?.delete(each.shared.code);
      }
    },
  };
}

export function recordOf(kept: Kept): string {
  return typeof kept === "string" ? kept : kept.before + kept.shared.code + kept.after;
}

/** A slice would hold the whole record in memory. */
function copyOf(slice: string): string {
  return slice.split("").join("");
}
