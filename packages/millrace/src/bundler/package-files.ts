/**
 * Which file of a package an import means, as a bundler for Workers finds it: `exports` and `imports` with the conditions
 * workerd, worker and browser, or else the older fields, and what `browser` puts in the place of files. Pure.
 */
import posix from "node:path/posix";
import { exports as exportsOf, imports as importsOf } from "resolve.exports";

export interface PackageFiles {
  label: string;
  files: ReadonlyMap<string, Buffer>;
  manifest: Readonly<Record<string, unknown>>;
}

/** `elsewhere` names another package; `empty` is a module without anything in it. */
export type FoundFile = { file: string } | { elsewhere: string } | { empty: true } | { fault: string };

const endings = [
  "",
  ".js",
  ".mjs",
  ".cjs",
  ".json",
  ".ts",
  "/index.js",
  "/index.mjs",
  "/index.cjs",
  "/index.json",
  "/index.ts",
];

export function readManifest(label: string, files: ReadonlyMap<string, Buffer>): PackageFiles {
  try {
    const manifest: unknown = JSON.parse(files.get("package.json")?.toString("utf8") ?? "");
    if (typeof manifest === "object" && manifest !== null)
      return { label, files, manifest: manifest as PackageFiles["manifest"] };
  } catch {
    // What is no manifest says nothing.
  }
  return { label, files, manifest: {} };
}

/** @param entry "." or "./some/part" */
export function entryOf(found: PackageFiles, entry: string, isRequired: boolean): FoundFile {
  const { manifest, label } = found;
  if (manifest.exports !== undefined && manifest.exports !== null) {
    const targets = byRules(() => exportsOf(manifest, entry, conditions(isRequired)));
    return (
      firstOf(found, targets) ?? {
        fault: `The package ${label} exports no "${entry}" for ${isRequired ? "require" : "import"}.`,
      }
    );
  }
  const { browser, module, main } = manifest;
  const named = entry === "." ? [browser, isRequired ? undefined : module, main, "index"] : [entry];
  for (const name of named) {
    if (typeof name !== "string") continue;
    const file = existing(found, name);
    if (file !== undefined) return insteadOf(found, file);
  }
  return { fault: `The package ${label} has no ${entry === "." ? "entry" : `file "${entry}"`}.` };
}

/** What a file of the package itself imports: a neighbour, one of its `imports`, or something else. */
export function neighbourOf(found: PackageFiles, importer: string, wanted: string, isRequired: boolean): FoundFile {
  if (wanted.startsWith("#")) {
    const targets = byRules(() => importsOf(found.manifest, wanted, conditions(isRequired)));
    const [target] = targets;
    if (target !== undefined && !target.startsWith(".")) return { elsewhere: target };
    return firstOf(found, targets) ?? { fault: `The package ${found.label} has no import "${wanted}".` };
  }
  if (!/^\.{1,2}(?:\/|$)/.test(wanted)) return replaced(found, wanted) ?? { elsewhere: wanted };
  const target = posix.join(posix.dirname(importer), wanted);
  const file = target.startsWith("..") ? undefined : existing(found, target);
  if (file !== undefined) return insteadOf(found, file);
  return replaced(found, `./${target}`) ?? { fault: `The package ${found.label} has no file "${target}".` };
}

function conditions(isRequired: boolean) {
  return { browser: true, require: isRequired, conditions: ["workerd", "worker"] };
}

/** The library throws where there is nothing. */
function byRules(find: () => unknown): string[] {
  try {
    return (find() as string[] | undefined) ?? [];
  } catch {
    return [];
  }
}

function firstOf(found: PackageFiles, targets: readonly string[]): FoundFile | undefined {
  for (const target of targets) {
    const name = posix.normalize(target);
    if (found.files.has(name)) return insteadOf(found, name);
  }
  return undefined;
}

function existing({ files }: PackageFiles, wanted: string): string | undefined {
  const name = posix.normalize(wanted).replace(/\/$/, "");
  const below = (ending: string) => (name === "." ? ending.replace(/^\//, "") : name + ending);
  const exact = endings.map(below).find((candidate) => files.has(candidate));
  if (exact !== undefined) return exact;
  const nested = files.get(`${name}/package.json`);
  if (nested === undefined) return undefined;
  const { module, main } = readManifest("", new Map([["package.json", nested]])).manifest;
  const target = typeof module === "string" ? module : main;
  if (typeof target !== "string") return undefined;
  const joined = posix.join(name, target);
  return endings.map((ending) => joined + ending).find((candidate) => files.has(candidate));
}

function insteadOf(found: PackageFiles, file: string): FoundFile {
  const without = file.replace(/\.[^./]+$/, "");
  return replaced(found, `./${file}`) ?? replaced(found, `./${without}`) ?? { file };
}

/** What the manifest's `browser` has in the place of a file or a package; once, so that there is no circle. */
function replaced(found: PackageFiles, name: string): FoundFile | undefined {
  const { browser } = found.manifest;
  if (typeof browser !== "object" || browser === null || !Object.hasOwn(browser, name)) return undefined;
  const target = (browser as Record<string, unknown>)[name];
  if (target === false) return { empty: true };
  if (typeof target !== "string") return undefined;
  if (!target.startsWith(".")) return target === name ? undefined : { elsewhere: target };
  const file = existing(found, target);
  return file === undefined ? undefined : { file };
}
