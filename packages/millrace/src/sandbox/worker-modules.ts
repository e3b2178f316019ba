/** The two workers of ours as texts that workerd takes: each bundled into one module, once. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface WorkerModules {
  runner: string;
  harness: string;
}

let made: Promise<WorkerModules> | undefined;

export function workerModules(): Promise<WorkerModules> {
  made ??= bundleBoth();
  return made;
}

async function bundleBoth(): Promise<WorkerModules> {
  const [runner, harness] = await Promise.all([bundle("runner.js"), bundle("harness-entry.js")]);
  return { runner, harness };
}

async function bundle(file: string): Promise<string> {
  const { build } = await import("esbuild");
  const entry = join(dirname(fileURLToPath(import.meta.url)), "worker", file);
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["import", "default"],
    external: ["cloudflare:*", "node:*", "processor.js"],
    minifySyntax: true,
    logLevel: "silent",
  });
  return outputFiles[0]?.text as string;
}
