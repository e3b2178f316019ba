/**
 * The file of a processor as one module that Node can import, TypeScript or not. The author's own files are bundled,
 * packages stay where they are, found from the author's directory; source maps lead back to the author's lines.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type BuildOptions, type BuildResult, context, type Loader, type Message, type Plugin } from "esbuild";

export type Built = { code: string; files: ReadonlySet<string> } | { fault: string };

export interface Bundler {
  /** Bundles it, and once more for each change of a file that it is made of, until it is closed. */
  watch(onBuilt: (built: Built) => void): Promise<void>;
  build(): Promise<Built>;
  close(): Promise<void>;
}

const here = path.dirname(fileURLToPath(import.meta.url));

export async function createBundler(file: string): Promise<Bundler> {
  let onBuilt: (built: Built) => void = () => {};
  const telling: Plugin = {
    name: "telling",
    setup: (build) => build.onEnd((result) => onBuilt(toBuilt(result))),
  };
  const bundling = await context({ ...optionsFor(file), plugins: [packages, ownPlaces, telling] });
  return {
    async watch(hear) {
      onBuilt = hear;
      await bundling.watch();
    },
    async build() {
      let built: Built | undefined;
      onBuilt = (first) => {
        built = first;
      };
      // What it rejects with was told.
      await bundling.rebuild().catch(() => {});
      return built as Built;
    },
    close: () => bundling.dispose(),
  };
}

/** Imports what was built. The file is gone before anything else happens, so no crash leaves one behind. */
export async function importBuilt(code: string): Promise<Record<string, unknown>> {
  process.setSourceMapsEnabled(true);
  const directory = await mkdtemp(path.join(tmpdir(), "millrace-processor-"));
  try {
    const file = path.join(directory, "processor.mjs");
    await writeFile(file, code);
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function optionsFor(file: string): BuildOptions & { metafile: true } {
  const entry = path.resolve(file);
  return {
    entryPoints: [entry],
    absWorkingDir: path.dirname(entry),
    // Absolute in the source map, wherever the code is written.
    sourceRoot: pathToFileURL(`${path.dirname(entry)}/`).href,
    outdir: path.dirname(entry),
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    target: `node${process.versions.node}`,
    conditions: [],
    sourcemap: "inline",
    logLevel: "silent",
    define: {
      "import.meta.url": "__millraceUrl",
      "import.meta.filename": "__millraceFilename",
      "import.meta.dirname": "__millraceDirname",
    },
    // CommonJS of the author's asks for it.
    banner: {
      js: `import { createRequire as __millraceRequire } from "node:module"; const require = __millraceRequire(${JSON.stringify(pathToFileURL(entry).href)});`,
    },
  };
}

const asked = Symbol("asked before");

/** Packages are left to Node, by the address at which they are; those of ours are always there. */
const packages: Plugin = {
  name: "packages",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, async ({ path: name, kind, importer, namespace, resolveDir, pluginData }) => {
      if (pluginData === asked || kind === "entry-point" || isBuiltin(name)) return undefined;
      const isOurs = name.startsWith("@millrace/");
      const find = (directory: string) =>
        build.resolve(name, { kind, importer, namespace, resolveDir: directory, pluginData: asked });
      let found = await find(resolveDir);
      if (found.errors.length > 0 && isOurs) found = await find(here);
      if (found.errors.length > 0) return undefined;
      const isPackage = isOurs || /[\\/]node_modules[\\/]/.test(found.path);
      if (!isPackage || !/\.([cm]?js|node)$/.test(found.path)) return undefined;
      return { path: kind.startsWith("require") ? found.path : pathToFileURL(found.path).href, external: true };
    });
  },
};

/** In a bundle each file still knows where it was: `new URL("./prompt.md", import.meta.url)` finds its neighbour. */
const ownPlaces: Plugin = {
  name: "own-places",
  setup(build) {
    build.onLoad({ filter: /\.[cm]?[jt]sx?$/ }, async ({ path: file }) => {
      const text = await readFile(file, "utf8");
      if (!text.includes("import.meta.")) return undefined;
      const places = [pathToFileURL(file).href, file, path.dirname(file)].map((place) => JSON.stringify(place));
      const [url, filename, dirname] = places;
      // On the first line, so that no line moves.
      const declared = `const __millraceUrl = ${url}, __millraceFilename = ${filename}, __millraceDirname = ${dirname}; `;
      const loader = path.extname(file).replace(/^\.[cm]?/, "") as Loader;
      return { contents: text.replace(/^(#!.*\n)?/, (first) => first + declared), loader };
    });
  },
};

function toBuilt({ errors, outputFiles = [], metafile }: BuildResult): Built {
  const [output] = outputFiles;
  if (errors.length > 0 || output === undefined || metafile === undefined) {
    return { fault: errors.map(faultText).join("\n") };
  }
  return { code: output.text, files: new Set(Object.keys(metafile.inputs)) };
}

/** A problem that esbuild found, with its place. */
export function faultText({ text, location }: Message): string {
  if (location === null) return text;
  return `${location.file}:${location.line}:${location.column + 1}: ${text}\n    ${location.lineText.trim()}`;
}
