/** The packages of one source: whose import means which, and their files once they are needed. */
import { type BundlerLimits, shownSize } from "./limits.ts";
import { type PackageFiles, readManifest } from "./package-files.ts";
import type { PackageGraph, PackageNode } from "./package-graph.ts";
import type { Registry } from "./registry.ts";
import { SourceFault } from "./source-fault.ts";
import { unpack } from "./unpack.ts";

export interface Packages {
  /** The package that a name means in another one, or in the author's files. */
  meant(name: string, from: PackageNode | undefined): PackageNode | { fault: string };
  /** Rejects with SourceFault, or sets `trouble`. */
  open(node: PackageNode): Promise<PackageFiles>;
  /** Why nothing can be said about the source now. */
  readonly trouble: Error | undefined;
}

export function createPackages(root: PackageGraph, registry: Registry | undefined, limits: BundlerLimits): Packages {
  const opened = new Map<PackageNode, Promise<PackageFiles>>();
  const sizes: { label: string; bytes: number }[] = [];
  let bytesLeft = limits.unpackedBytes;
  let trouble: Error | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  async function fetched(node: PackageNode): Promise<PackageFiles> {
    const { label, said } = node;
    const tarball = await (registry as Registry).tarball(label, said);
    // One after the other, so that what is left is known.
    const unpacking = turn.then(async () => {
      const { files, bytes } = await unpack(label, tarball, bytesLeft, limits).catch((error) => {
        throw withSizes(error, sizes);
      });
      bytesLeft -= bytes;
      sizes.push({ label, bytes });
      return readManifest(label, files);
    });
    turn = unpacking.catch(() => {});
    return unpacking;
  }

  return {
    meant(name, from) {
      if (from?.name === name) return from;
      const node = from?.dependencies.get(name) ?? root.get(name);
      if (node !== undefined) return node;
      const where = from === undefined ? "the dependencies of packageJson" : `the dependencies of ${from.label}`;
      return { fault: `The package "${name}" is not among ${where}.` };
    },
    async open(node) {
      const opening = opened.get(node) ?? fetched(node);
      opened.set(node, opening);
      try {
        return await opening;
      } catch (error) {
        if (!(error instanceof SourceFault)) trouble ??= error as Error;
        throw error;
      }
    },
    get trouble() {
      return trouble;
    },
  };
}

function withSizes(error: unknown, sizes: readonly { label: string; bytes: number }[]): unknown {
  if (!(error instanceof SourceFault) || !error.message.includes("too large") || sizes.length === 0) return error;
  const largest = [...sizes].sort((a, b) => b.bytes - a.bytes).slice(0, 5);
  const shown = largest.map(({ label, bytes }) => `${label} (${shownSize(bytes)})`).join(", ");
  return new SourceFault([{ text: `${error.message} The largest before it are ${shown}.` }]);
}
