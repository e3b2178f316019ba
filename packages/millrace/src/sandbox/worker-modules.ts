/**
 * The two workers of ours as texts that workerd takes: each bundled into one module. They are made when the project is
 * built and kept beside what they are made of; and made again when that has changed since.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { SandboxError } from "@millrace/engine";

export interface WorkerModules {
  runner: string;
  harness: string;
}

interface KeptModules extends WorkerModules {
  /** Hashes of all files that are a part of them, by path. */
  madeFrom: Record<string, string>;
}

const workers = join(dirname(fileURLToPath(import.meta.url)), "worker");
let known: Promise<WorkerModules> | undefined;

/** Rejects with SandboxError "unavailable"; then whoever asks next has it tried again. */
export function workerModules(): Promise<WorkerModules> {
  known ??= keptOrMade(join(workers, "bundled.json")).catch((error: Error) => {
    known = undefined;
    throw new SandboxError("unavailable", `The sandbox's own workers could not be made: ${error.message}`);
  });
  return known;
}

/** Making them takes longer than all else that happens before code runs for the first time. */
export async function keptOrMade(file: string): Promise<WorkerModules> {
  const kept = read(file);
  if (kept !== undefined) return kept;
  const made = await make();
  keep(file, made);
  return made;
}

function read(file: string): WorkerModules | undefined {
  if (!existsSync(file)) return undefined;
  try {
    const { runner, harness, madeFrom } = JSON.parse(readFileSync(file, "utf8")) as KeptModules;
    const isCurrent = Object.entries(madeFrom).every(([path, hash]) => hashOf(path) === hash);
    return isCurrent ? { runner, harness } : undefined;
  } catch {
    // A file that it was made of is gone, or half of this one was written: it is made again.
    return undefined;
  }
}

async function make(): Promise<KeptModules> {
  const [runner, harness] = await Promise.all([bundle("runner.js"), bundle("harness-entry.js")]);
  const paths = new Set([...runner.paths, ...harness.paths]);
  const madeFrom = Object.fromEntries([...paths].sort().map((path) => [path, hashOf(path)]));
  return { runner: runner.text, harness: harness.text, madeFrom };
}

async function bundle(file: string): Promise<{ text: string; paths: string[] }> {
  const { build } = await import("esbuild");
  const { outputFiles, metafile } = await build({
    entryPoints: [join(workers, file)],
    absWorkingDir: workers,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["import", "default"],
    external: ["cloudflare:*", "node:*", "processor.js"],
    minifySyntax: true,
    logLevel: "silent",
  });
  // What was only looked at, to find what is used, is not a part of it.
  const [output] = Object.values(metafile.outputs);
  const inputs = Object.entries(output?.inputs ?? {}).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  return { text: outputFiles[0]?.text as string, paths: inputs.map(([path]) => path) };
}

function hashOf(path: string): string {
  return createHash("sha256")
    .update(readFileSync(resolve(workers, path)))
    .digest("base64");
}

/** Where nothing can be written, they are made at every start. */
function keep(file: string, made: KeptModules): void {
  const unfinished = `${file}.${process.pid}`;
  try {
    writeFileSync(unfinished, JSON.stringify(made));
    renameSync(unfinished, file);
  } catch {}
}
