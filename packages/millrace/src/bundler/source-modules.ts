/** esbuild's view of a source: every import is one of its files, a file of a package, or nothing. */
import type { Loader, OnResolveResult, Plugin } from "esbuild";
import { loaderOf, namespace, withoutForeignMap } from "../sandbox/compile/bundle-modules.ts";
import { resolveModule } from "../sandbox/compile/resolve-module.ts";
import { entryOf, type FoundFile, neighbourOf, type PackageFiles } from "./package-files.ts";
import type { PackageNode } from "./package-graph.ts";
import { splitSpecifier } from "./package-names.ts";
import type { Packages } from "./packages.ts";

interface Place {
  node: PackageNode;
  found: PackageFiles;
  file: string;
}

const empty = "empty-module";
/** More of them in a row lead nowhere. */
const detoursMax = 8;

export function sourceModules(files: Readonly<Record<string, string>>, main: string, packages: Packages): Plugin {
  /** Files of packages, by the path that esbuild knows them by. */
  const places = new Map<string, Place>();

  async function inPackage(
    specifier: string,
    from: PackageNode | undefined,
    required: boolean,
    detours = 0,
  ): Promise<OnResolveResult> {
    const split = splitSpecifier(specifier);
    if (split === undefined)
      return { errors: [{ text: `"${specifier.slice(0, 200)}" is neither a file nor a package.` }] };
    const node = packages.meant(split.name, from);
    if ("fault" in node) return { errors: [{ text: node.fault }] };
    const found = await packages.open(node);
    return resultOf(entryOf(found, split.entry, required), { node, found }, required, detours);
  }

  async function resultOf(
    answer: FoundFile,
    { node, found }: Pick<Place, "node" | "found">,
    required: boolean,
    detours: number,
  ): Promise<OnResolveResult> {
    if ("fault" in answer) return { errors: [{ text: answer.fault }] };
    if ("empty" in answer) return { path: empty, namespace: empty };
    if ("elsewhere" in answer) {
      if (detours === detoursMax) return { errors: [{ text: `${node.label} leads in a circle.` }] };
      return inPackage(answer.elsewhere, node, required, detours + 1);
    }
    const path = `node_modules/${node.label}/${answer.file}`;
    places.set(path, { node, found, file: answer.file });
    return { path, namespace, ...(found.manifest.sideEffects === false ? { sideEffects: false } : {}) };
  }

  function inFiles(wanted: string, importer: string): OnResolveResult {
    const found = resolveModule(wanted, importer, files);
    return "name" in found ? { path: found.name, namespace } : { errors: [{ text: found.fault }] };
  }

  function resolve(wanted: string, importer: string, required: boolean): OnResolveResult | Promise<OnResolveResult> {
    const place = places.get(importer);
    if (place !== undefined) {
      return resultOf(neighbourOf(place.found, place.file, wanted, required), place, required, 0);
    }
    return /^\.{0,2}\//.test(wanted) || Object.hasOwn(files, wanted)
      ? inFiles(wanted, importer)
      : inPackage(wanted, undefined, required);
  }

  return {
    name: namespace,
    setup(building) {
      building.onResolve({ filter: /.*/ }, async ({ path, importer, kind }) => {
        if (kind === "entry-point") return { path: main, namespace };
        try {
          return await resolve(path, importer, kind.startsWith("require"));
        } catch (error) {
          return { errors: [{ text: (error as Error).message }] };
        }
      });
      building.onLoad({ filter: /.*/, namespace: empty }, () => ({ contents: "", loader: "js" }));
      building.onLoad({ filter: /.*/, namespace }, async ({ path, with: attributes }) => {
        const place = places.get(path);
        if (place !== undefined && /\.(?:node|wasm)$/.test(path)) {
          return { errors: [{ text: `${path} is machine code, which is not bundled.` }] };
        }
        const text = place === undefined ? files[path] : place.found.files.get(place.file)?.toString("utf8");
        const loader: Loader = attributes.type === "text" ? "text" : loaderOf(path);
        return { contents: await withoutForeignMap(path, text ?? "", loader), loader };
      });
    },
  };
}
