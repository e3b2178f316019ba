/**
 * The file of a processor and all that it imports, packages too, as one module for the sandbox: as a browser would have
 * it, with `node:*` and `cloudflare:*` left to the sandbox. The source map inside leads back to the author's lines, and
 * holds none of the sources themselves.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { deployedCodeBytesMax } from "@millrace/protocol";
import { type BuildFailure, type BuildOptions, type BuildResult, build, type Plugin } from "esbuild";
import { platformModules } from "../../sandbox/compile/platform-modules.ts";
import { faultText } from "../processor/bundle.ts";
import { largestParts } from "./largest-parts.ts";

export interface Bundle {
  code: string;
  bytes: number;
  /** What was given up for the size, for people; empty when nothing was. */
  without: string;
}

/** The readable one first: what a deployment loses is only taken from it when it would not fit. */
const attempts = [
  { without: "", minify: false, sourcemap: "inline" },
  { without: "minified", minify: true, sourcemap: "inline" },
  { without: "minified and without a source map, so errors have no lines of yours", minify: true, sourcemap: false },
] as const;

/** @throws Error that says what does not compile, or what makes it too large */
export async function bundleForSandbox(file: string, bytesMax: number = deployedCodeBytesMax): Promise<Bundle> {
  let smallest: (BuildResult & { bytes: number }) | undefined;
  for (const { without, ...how } of attempts) {
    const built = await build({ ...optionsFor(file), ...how }).catch((failure: BuildFailure) => {
      if (failure.errors === undefined) throw failure;
      throw new Error(`${file} does not compile:\n${failure.errors.map(faultText).join("\n")}`);
    });
    const code = built.outputFiles?.[0]?.text ?? "";
    const bytes = Buffer.byteLength(code);
    if (bytes <= bytesMax) return { code, bytes, without };
    smallest = { ...built, bytes };
  }
  const { bytes = 0, metafile } = smallest ?? {};
  const parts = metafile === undefined ? [] : largestParts(metafile);
  throw new Error(
    `${file} is too large to be deployed: ${shownBytes(bytes)} of code, minified and without a source map, where ${shownBytes(bytesMax)} are allowed. The largest parts:\n${parts.map(({ name, bytes: size }) => `  ${shownBytes(size).padStart(10)}  ${name}`).join("\n")}`,
  );
}

export function shownBytes(bytes: number): string {
  if (bytes < 1_024) return `${bytes} bytes`;
  const kibibytes = bytes / 1_024;
  return kibibytes < 1_024 ? `${kibibytes.toFixed(1)} KiB` : `${(kibibytes / 1_024).toFixed(2)} MiB`;
}

function optionsFor(file: string): BuildOptions & { metafile: true; write: false } {
  const entry = path.resolve(file);
  return {
    entryPoints: [entry],
    absWorkingDir: path.dirname(entry),
    outdir: path.dirname(entry),
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "browser",
    conditions: ["workerd", "worker", "browser"],
    target: "es2022",
    charset: "utf8",
    legalComments: "none",
    sourcesContent: false,
    define: { "process.env.NODE_ENV": '"production"' },
    loader: { ".md": "text", ".txt": "text", ".html": "text", ".csv": "text", ".sql": "text" },
    logLevel: "silent",
    plugins: [platformModules, ownPackages],
  };
}

const here = path.dirname(fileURLToPath(import.meta.url));
const asked = Symbol("asked before");

/** Those of ours are always there, also where the author has installed nothing. */
const ownPackages: Plugin = {
  name: "own-packages",
  setup(building) {
    building.onResolve({ filter: /^@millrace\// }, async ({ path: name, pluginData, resolveDir, ...rest }) => {
      if (pluginData === asked) return undefined;
      const find = (directory: string) =>
        building.resolve(name, { kind: rest.kind, resolveDir: directory, pluginData: asked });
      const found = await find(resolveDir);
      return found.errors.length === 0 ? found : find(here);
    });
  },
};
