/**
 * One source from its files and packages to one module, in a process of its own: everything in here reads what strangers
 * wrote, and executes nothing of it. esbuild finds the author's files and the files of packages, all of them in memory;
 * it opens no file of the machine. A package is fetched when something of it is imported.
 */
import type { Bundled, BundleProblem, BundlerInput } from "@millrace/engine";
import { deployedCodeBytesMax } from "@millrace/protocol";
import { build, type Message, type Metafile } from "esbuild";
import { namespace, ownName, withOwnNames } from "../sandbox/compile/bundle-modules.ts";
import { platformModules } from "../sandbox/compile/platform-modules.ts";
import { type BundlerLimits, shownSize } from "./limits.ts";
import { type PackageGraph, resolvePackages } from "./package-graph.ts";
import type { PackageRules } from "./package-names.ts";
import { createPackages, type Packages } from "./packages.ts";
import { createRegistry, type Registry, stringsOf, UnavailableRegistry } from "./registry.ts";
import { SourceFault } from "./source-fault.ts";
import { sourceModules } from "./source-modules.ts";

export interface BundleJob extends BundlerInput {
  /** Without it there are no packages. */
  registry?: string | undefined;
  rules: PackageRules;
  limits: BundlerLimits;
}

export type BundleDone = Bundled | { unavailable: string };

export async function bundleSource(job: BundleJob): Promise<BundleDone> {
  try {
    return await bundled(job);
  } catch (error) {
    if (error instanceof SourceFault) return { fault: error.message, problems: error.problems };
    if (error instanceof UnavailableRegistry) return { unavailable: error.message };
    throw error;
  }
}

async function bundled({ files, main, packageJson, registry, rules, limits }: BundleJob): Promise<Bundled> {
  const wanted = stringsOf(packageJson.dependencies);
  const asking = registry === undefined ? undefined : createRegistry(registry, limits);
  const graph = await graphOf(wanted, asking, rules, limits);
  const packages = createPackages(graph, asking, limits);
  const { outputFiles, errors, metafile } = await built(files, main, packages);
  // What could not be had for now says nothing about the source.
  if (packages.trouble !== undefined) throw packages.trouble;
  if (errors.length > 0) throw new SourceFault(errors.map(problemOf));
  const [map = "", script = ""] = [".map", ".js"].map(
    (end) => outputFiles.find((file) => file.path.endsWith(end))?.text,
  );
  const inline = Buffer.from(withOwnNames(map)).toString("base64");
  const code = `${script}//# sourceMappingURL=data:application/json;base64,${inline}\n`;
  const bytes = Buffer.byteLength(code);
  if (bytes > deployedCodeBytesMax) throw tooLarge(bytes, metafile);
  return { modules: { "processor.js": code } };
}

async function graphOf(
  wanted: Readonly<Record<string, string>>,
  registry: Registry | undefined,
  rules: PackageRules,
  limits: BundlerLimits,
): Promise<PackageGraph> {
  const names = Object.keys(wanted);
  if (names.length === 0) return new Map();
  if (registry !== undefined) return resolvePackages(wanted, registry, rules, limits);
  const text = `This server installs no packages, so ${names.map((name) => `"${name}"`).join(", ")} cannot be had: it was started without --npm-registry. Do without them, or put their code into files.`;
  throw new SourceFault([{ text }]);
}

async function built(files: Readonly<Record<string, string>>, main: string, packages: Packages) {
  try {
    const { outputFiles, errors, metafile } = await build({
      entryPoints: [{ in: namespace, out: "processor" }],
      absWorkingDir: "/",
      outdir: "/",
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      target: "es2022",
      platform: "neutral",
      charset: "utf8",
      legalComments: "none",
      sourcemap: "external",
      sourcesContent: false,
      tsconfigRaw: "{}",
      logLevel: "silent",
      define: { "process.env.NODE_ENV": '"production"' },
      plugins: [platformModules, sourceModules(files, main, packages)],
    });
    return { outputFiles, errors, metafile };
  } catch (failure) {
    const { errors } = failure as { errors?: Message[] };
    if (errors === undefined) throw failure;
    return { outputFiles: [], errors, metafile: undefined };
  }
}

function problemOf({ text, location }: Message): BundleProblem {
  if (location === null) return { text };
  const line = location.lineText.trim().slice(0, 200);
  const shown = line === "" ? text : `${text}\n    ${line}`;
  return { text: shown, file: ownName(location.file), line: location.line, column: location.column + 1 };
}

function tooLarge(bytes: number, metafile: Metafile | undefined): SourceFault {
  const sizes = new Map<string, number>();
  const outputs = Object.values(metafile?.outputs ?? {});
  for (const [name, { bytesInOutput }] of outputs.flatMap(({ inputs }) => Object.entries(inputs))) {
    const whose = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(ownName(name))?.[1] ?? "the files";
    sizes.set(whose, (sizes.get(whose) ?? 0) + bytesInOutput);
  }
  const largest = [...sizes].sort(([, a], [, b]) => b - a).slice(0, 5);
  const shown = largest.map(([whose, size]) => `${whose} (${shownSize(size)})`).join(", ");
  const most = shownSize(deployedCodeBytesMax);
  const problem = `The bundle with its source map has ${shownSize(bytes)}, more than ${most}. The largest in it are ${shown}.`;
  return new SourceFault([{ text: problem }]);
}
