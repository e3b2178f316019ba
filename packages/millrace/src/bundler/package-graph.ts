/**
 * Which version of which package a source gets. From packageJson outwards, one step of depth after another: a version
 * that was chosen before is taken again where it fits, else the newest that fits. So every package has at most as many
 * versions as it must, and nobody's order of answers changes what is chosen. Only metadata is read.
 */

import type { BundleProblem } from "@millrace/engine";
import semver from "semver";
import type { BundlerLimits } from "./limits.ts";
import { allowsPackage, type PackageRules, wantedPackage } from "./package-names.ts";
import type { PackageMetadata, PackageVersion, Registry } from "./registry.ts";
import { SourceFault } from "./source-fault.ts";

export interface PackageNode {
  name: string;
  version: string;
  /** `name@version`. */
  label: string;
  said: PackageVersion;
  /** By the name under which they are imported. */
  dependencies: Map<string, PackageNode>;
}

/** What packageJson asks for. */
export type PackageGraph = ReadonlyMap<string, PackageNode>;

interface Wish {
  /** Whose it is; undefined for packageJson. */
  from: PackageNode | undefined;
  alias: string;
  spec: string;
  peer: boolean;
}

export async function resolvePackages(
  wanted: Readonly<Record<string, string>>,
  registry: Registry,
  rules: PackageRules,
  limits: BundlerLimits,
): Promise<PackageGraph> {
  const root = new Map<string, PackageNode>();
  const chosen = new Map<string, PackageNode[]>();
  let count = 0;
  let wishes: Wish[] = wishesOf(undefined, wanted, false);
  for (let depth = 1; wishes.length > 0; depth++) {
    if (depth > limits.depth) throw new SourceFault([{ text: `The dependencies lie more than ${limits.depth} deep.` }]);
    // Each of them is at least one package: the registry is not asked for thousands of names to find that out.
    if (namesIn(wishes).size > limits.packages) throw tooMany(limits);
    const found = await Promise.all(wishes.map((wish) => metadataFor(wish, registry, rules)));
    failIfAny(found);
    const next: Wish[] = [];
    const problems: BundleProblem[] = [];
    for (const [i, wish] of wishes.entries()) {
      const metadata = found[i] as PackageMetadata;
      const node = choose(wish, metadata, root, chosen);
      if ("text" in node) {
        problems.push(node);
        continue;
      }
      (wish.from?.dependencies ?? root).set(wish.alias, node);
      if (chosen.get(node.name)?.includes(node)) continue;
      chosen.set(node.name, [...(chosen.get(node.name) ?? []), node]);
      if (++count > limits.packages) throw tooMany(limits);
      next.push(...wishesOf(node, node.said.dependencies, false), ...wishesOf(node, node.said.peerDependencies, true));
    }
    if (problems.length > 0) throw new SourceFault(problems);
    wishes = next;
  }
  return root;
}

function wishesOf(from: PackageNode | undefined, wanted: Readonly<Record<string, string>>, peer: boolean): Wish[] {
  const own = (alias: string) => !(peer && from !== undefined && Object.hasOwn(from.said.dependencies, alias));
  return Object.entries(wanted).flatMap(([alias, spec]) => (own(alias) ? [{ from, alias, spec, peer }] : []));
}

function namesIn(wishes: readonly Wish[]): Set<string> {
  const wanted = wishes.map(({ alias, spec }) => wantedPackage(alias, spec));
  return new Set(wanted.flatMap((one) => ("name" in one ? [one.name] : [])));
}

function tooMany({ packages }: BundlerLimits): SourceFault {
  return new SourceFault([{ text: `More than ${packages} packages are needed, which is the most.` }]);
}

async function metadataFor(
  { from, alias, spec }: Wish,
  registry: Registry,
  rules: PackageRules,
): Promise<PackageMetadata | BundleProblem> {
  const wanted = wantedPackage(alias, spec);
  if ("fault" in wanted) return { text: wanted.fault + neededBy(from) };
  if (!allowsPackage(rules, wanted.name)) {
    return { text: `The package "${wanted.name}" is not among those that this server may install.${neededBy(from)}` };
  }
  try {
    return await registry.metadata(wanted.name);
  } catch (error) {
    if (!(error instanceof SourceFault)) throw error;
    return { text: error.message + neededBy(from) };
  }
}

function failIfAny(found: readonly (PackageMetadata | BundleProblem)[]): void {
  const problems = found.filter((each): each is BundleProblem => "text" in each);
  if (problems.length > 0) throw new SourceFault(problems);
}

function choose(
  { from, alias, spec, peer }: Wish,
  metadata: PackageMetadata,
  root: PackageGraph,
  chosen: ReadonlyMap<string, readonly PackageNode[]>,
): PackageNode | BundleProblem {
  const { name, range } = wantedPackage(alias, spec) as { name: string; range: string };
  const before = chosen.get(name) ?? [];
  // A peer is whatever the author has chosen: two of it would not know each other.
  const rooted = peer ? root.get(alias) : undefined;
  if (rooted !== undefined) return rooted;
  const version = versionFor(
    range,
    metadata,
    before.map((node) => node.version),
  );
  if (version === undefined) {
    const text = `There is no version ${JSON.stringify(range)} of the package "${name}"${someOf(metadata)}.${neededBy(from)}`;
    return { text };
  }
  const label = `${name}@${version}`;
  const said = metadata.versions.get(version) as PackageVersion;
  return before.find((node) => node.version === version) ?? { name, version, label, said, dependencies: new Map() };
}

function versionFor(range: string, { tags, versions }: PackageMetadata, before: string[]): string | undefined {
  const tagged = tags.get(range);
  if (tagged !== undefined) return versions.has(tagged) && semver.valid(tagged) !== null ? tagged : undefined;
  if (semver.validRange(range) === null) return undefined;
  const again = semver.maxSatisfying(before, range);
  if (again !== null) return again;
  const latest = tags.get("latest");
  if (latest !== undefined && versions.has(latest) && semver.satisfies(latest, range)) return latest;
  const valid = [...versions.keys()].filter((version) => semver.valid(version) !== null);
  const kept = valid.filter((version) => versions.get(version)?.deprecated === false);
  return semver.maxSatisfying(kept, range) ?? semver.maxSatisfying(valid, range) ?? undefined;
}

function someOf({ tags, versions }: PackageMetadata): string {
  const valid = [...versions.keys()].filter((version) => semver.valid(version) !== null);
  const newest = semver.rsort(valid).slice(0, 5).join(", ");
  if (newest === "") return ", since it has none at all";
  const latest = tags.get("latest")?.slice(0, 100) ?? "not named";
  return `; latest is ${latest}, the highest are ${newest}`;
}

function neededBy(from: PackageNode | undefined): string {
  return from === undefined ? "" : ` (A dependency of ${from.label}.)`;
}
