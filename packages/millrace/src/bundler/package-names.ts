/** What a source may ask a registry for: names and version ranges, and nothing else that npm knows. Pure. */

export interface PackageRules {
  /** Names, or `@scope/*`; every name without it. */
  allow?: readonly string[];
}

const namePattern = /^(?:@[a-z0-9~][\w.~-]*\/)?[a-z0-9~][\w.~-]*$/i;
const nameCharactersMax = 214;

/** `npm:other@range` is another package under this name. */
export function wantedPackage(alias: string, spec: string): { name: string; range: string } | { fault: string } {
  const aliased = /^npm:(.[^@]*)(?:@(.*))?$/.exec(spec);
  const name = aliased?.[1] ?? alias;
  const range = (aliased === null ? spec : (aliased[2] ?? "")).trim() || "*";
  if (!isPackageName(name) || !isPackageName(alias)) {
    return { fault: `${JSON.stringify(name.slice(0, 300))} is not the name of a package.` };
  }
  if (/[:/]/.test(range)) {
    const shown = JSON.stringify(spec.slice(0, 300));
    return { fault: `The package "${alias}" is wanted as ${shown}: only versions in the registry are installed.` };
  }
  return { name, range };
}

export function allowsPackage({ allow }: PackageRules, name: string): boolean {
  if (allow === undefined) return true;
  return allow.some((rule) => rule === name || (rule.endsWith("/*") && name.startsWith(rule.slice(0, -1))));
}

export function isPackageName(name: string): boolean {
  return name.length <= nameCharactersMax && namePattern.test(name);
}

/** Of what is imported: the package, and what of it. */
export function splitSpecifier(specifier: string): { name: string; entry: string } | undefined {
  const found = /^((?:@[^/]+\/)?[^/]+)(\/.*)?$/.exec(specifier);
  if (found === null || !isPackageName(found[1] as string)) return undefined;
  return { name: found[1] as string, entry: `.${found[2] ?? ""}` };
}
