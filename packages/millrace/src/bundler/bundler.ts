/**
 * The bundler of a server. It reads what strangers wrote, so it works in processes of their own, which have nothing of
 * the server's, a limit of memory and of time, and end with the server. What ends a process was the source that it had.
 */
import { type Bundler, isSandboxError } from "@millrace/engine";
import { StreamError } from "@millrace/protocol";
import { createCompilers } from "../sandbox/compile/compilers.ts";
import type { BundleDone, BundleJob } from "./bundle-source.ts";
import { type BundlerLimits, bundlerLimits } from "./limits.ts";
import { registryUrl } from "./registry-url.ts";

export interface BundlerOptions {
  /** Where npm packages come from: of no other host. Without it sources may have no dependencies. */
  npmRegistry?: string;
  /** Names of packages, or `@scope/*`, that may be installed; without it all that the registry has. */
  npmAllow?: readonly string[];
}

const program = new URL("./bundling-process.js", import.meta.url);

/** @throws Error when the registry is no URL */
export function createBundler(
  { npmRegistry, npmAllow }: BundlerOptions = {},
  own: Partial<BundlerLimits> = {},
): Bundler {
  const registry = npmRegistry === undefined ? undefined : registryUrl(npmRegistry);
  const limits = { ...bundlerLimits, ...own };
  const start = () => createCompilers<BundleJob, BundleDone>({ timeoutMs: limits.bundleMs, waitingMax: 100 }, program);
  // What needs no packages does not wait behind a registry that hangs.
  const [fetching, quick] = [start(), start()];
  const rules = npmAllow === undefined ? {} : { allow: npmAllow };
  return {
    async bundle({ files, main, packageJson }, signal) {
      const processes = isEmpty(packageJson.dependencies) ? quick : fetching;
      const done = await processes
        .compile({ files, main, packageJson, registry, rules, limits }, signal)
        .catch((error: unknown) => {
          if (!isSandboxError(error)) throw error;
          if (error.reason === "code") return { fault: error.message };
          throw new StreamError("unavailable", error.message, { retryAfterSeconds: 1 });
        });
      if ("unavailable" in done) throw new Error(done.unavailable);
      return done;
    },
    async close() {
      fetching.close();
      quick.close();
    },
  };
}

function isEmpty(dependencies: unknown): boolean {
  return Object.keys(dependencies ?? {}).length === 0;
}
