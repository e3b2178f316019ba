/** Which of the files of unbundled code is the entry: for its contract and for whoever bundles it. */
import { isJsonObject, type JsonValue } from "./json.ts";

export const sourceMains: readonly string[] = ["processor.ts", "processor.js", "index.ts", "index.js"];

export interface SourceFiles {
  files: Readonly<Record<string, string>>;
  main?: string | undefined;
  packageJson?: unknown;
}

/** What is named counts, then what package.json names, then the usual names, then the only file. */
export function sourceMain({ files, main, packageJson }: SourceFiles): string | undefined {
  if (main !== undefined) return Object.hasOwn(files, main) ? main : undefined;
  const told = isJsonObject(packageJson as JsonValue) ? (packageJson as { main?: unknown }).main : undefined;
  const names = typeof told === "string" ? [told, told.replace(/^\.\//, "")] : [];
  const found = [...names, ...sourceMains].find((name) => Object.hasOwn(files, name));
  const all = Object.keys(files);
  return found ?? (all.length === 1 ? all[0] : undefined);
}
