/**
 * Modules that are given as text become one script. esbuild finds nothing but them: it opens no file and no directory.
 * Runs in a compiler's own process.
 */
import { build, type Loader, type Message, type Plugin, transform } from "esbuild";
import { platformModules } from "./platform-modules.ts";
import { resolveModule } from "./resolve-module.ts";

export interface ModulesToBundle {
  modules: Readonly<Record<string, string>>;
  main: string;
}

/** `fault` is for the author: the first problem, with its place. */
export type Bundled = { script: string; map: string } | { fault: string };

export const namespace = "given";
/** Constants that are folded can grow without end. */
const scriptBytesMax = 16 * 1024 * 1024;
/** A map that is larger is left out: it would be read by the server. */
const mapBytesMax = 32 * 1024 * 1024;
const emptyMap = JSON.stringify({ version: 3, sources: [], names: [], mappings: "" });
/** What the code chose itself ends up in events. */
const faultCharactersMax = 1_000;

export async function bundleModules(input: ModulesToBundle): Promise<Bundled> {
  const { outputFiles = [], errors } = await build({
    entryPoints: [{ in: namespace, out: "processor" }],
    absWorkingDir: "/",
    outdir: "/",
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    charset: "utf8",
    legalComments: "none",
    sourcemap: "external",
    sourcesContent: false,
    tsconfigRaw: "{}",
    logLevel: "silent",
    plugins: [platformModules, givenModules(input)],
  }).catch((failure: { errors?: Message[] }) => {
    if (failure.errors === undefined) throw failure;
    return { errors: failure.errors, outputFiles: [] };
  });
  if (errors.length > 0) return { fault: faultOf(errors) };
  const [map, script] = [".map", ".js"].map((end) => outputFiles.find((file) => file.path.endsWith(end)));
  if (script === undefined || map === undefined) throw new Error("esbuild gave no script.");
  if (script.contents.length > scriptBytesMax) {
    return { fault: `The compiled code is larger than ${scriptBytesMax} bytes.` };
  }
  return { script: script.text, map: map.contents.length > mapBytesMax ? emptyMap : withOwnNames(map.text) };
}

function givenModules({ modules, main }: ModulesToBundle): Plugin {
  return {
    name: namespace,
    setup(building) {
      building.onResolve({ filter: /.*/ }, ({ path, importer, kind }) => {
        if (kind === "entry-point") return { path: main, namespace };
        const found = resolveModule(path, importer, modules);
        if ("name" in found) return { path: found.name, namespace };
        return { errors: [{ text: found.fault }] };
      });
      building.onLoad({ filter: /.*/, namespace }, async ({ path: name, with: attributes }) => {
        const loader = attributes.type === "text" ? "text" : loaderOf(name);
        return { contents: await withoutForeignMap(name, modules[name] as string, loader), loader };
      });
    },
  };
}

const loaders: Record<string, Loader> = {
  ...{ "": "ts", ts: "ts", mts: "ts", cts: "ts", tsx: "tsx", js: "js", mjs: "js", cjs: "js", jsx: "jsx" },
  json: "json",
};

export function loaderOf(name: string): Loader {
  const extension = /\.([^./]+)$/.exec(name)?.[1] ?? "";
  return loaders[extension.toLowerCase()] ?? "text";
}

/**
 * A source map that lies in the module is honoured. One that lies elsewhere would be read from this machine's disk:
 * a transformation of a text alone cannot do that, and leaves no such comment behind.
 */
export async function withoutForeignMap(name: string, source: string, loader: Loader): Promise<string> {
  if (loader === "text" || loader === "json" || !/[#@]\s*sourceMappingURL=(?!data:)/.test(source)) return source;
  const sourcemap = "inline";
  try {
    const transformed = await transform(source, {
      ...{ loader, sourcemap, sourcefile: name, sourcesContent: false },
      ...{ tsconfigRaw: "{}", target: "esnext", charset: "utf8", logLevel: "silent", legalComments: "none" },
    });
    return transformed.code;
  } catch {
    // Bundling says what is wrong with it, and reads no map of what it cannot parse.
    return source;
  }
}

export function withOwnNames(map: string): string {
  const parsed = JSON.parse(map) as { sources: string[] };
  return JSON.stringify({ ...parsed, sources: parsed.sources.map(ownName) });
}

export function ownName(name: string): string {
  return name.startsWith(`${namespace}:`) ? name.slice(namespace.length + 1) : name;
}

function faultOf(errors: readonly Message[]): string {
  const [first] = errors;
  const text = (first?.text ?? "It does not compile.").slice(0, faultCharactersMax);
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  if (!first?.location) return `${text}${more}`;
  const { file, line, column, lineText } = first.location;
  const place = `${ownName(file).slice(-200)}:${line}:${column + 1}`;
  // Around the place, where the line is long.
  const shown = lineText
    .slice(Math.max(0, column - 150))
    .trim()
    .slice(0, 200);
  return `${place}: ${text}${more}\n    ${shown}`;
}
