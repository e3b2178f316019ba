/** Which of the given modules an import means: relative, with and without its extension. Pure. */
import path from "node:path/posix";

const endings = [".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs", ".cjs", ".json", "/index.ts", "/index.js"];

export function resolveModule(
  wanted: string,
  importer: string,
  modules: Readonly<Record<string, string>>,
): { name: string } | { fault: string } {
  const isRelative = /^\.{0,2}\//.test(wanted);
  const target = normalised(wanted.startsWith("/") || !isRelative ? wanted : `${path.dirname(importer)}/${wanted}`);
  const names = new Map(Object.keys(modules).map((name) => [normalised(name), name]));
  // TypeScript's way: "./x.js" means x.ts where there is no x.js.
  const asTypeScript = target.replace(/\.([cm]?)jsx?$/, ".$1ts");
  const candidates = isRelative ? [target, asTypeScript, ...endings.map((ending) => target + ending)] : [target];
  for (const candidate of candidates) {
    const name = names.get(candidate);
    if (name !== undefined) return { name };
  }
  if (isRelative) return { fault: `"${wanted}" is none of the modules (${shown([...names.values()])}).` };
  return {
    fault: `"${wanted}" is none of the modules, and packages are not installed for these: millrace deploy bundles packages, and so does the server for dynamic-worker/source-configured.`,
  };
}

const normalised = (name: string) => path.normalize(`/${name}`).slice(1);

function shown(names: string[]): string {
  return names.length <= 10 ? names.join(", ") : `${names.slice(0, 10).join(", ")} and ${names.length - 10} more`;
}
