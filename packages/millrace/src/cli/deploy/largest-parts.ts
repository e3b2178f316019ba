/** What makes a bundle large: bytes of each package, and of the author's own files. Pure. */
import type { Metafile } from "esbuild";

export interface Part {
  name: string;
  bytes: number;
}

export function largestParts({ outputs }: Metafile, count = 5): Part[] {
  const parts = new Map<string, number>();
  for (const { inputs } of Object.values(outputs)) {
    for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
      const name = partOf(file);
      parts.set(name, (parts.get(name) ?? 0) + bytesInOutput);
    }
  }
  const sorted = [...parts].map(([name, bytes]) => ({ name, bytes })).sort((a, b) => b.bytes - a.bytes);
  return sorted.slice(0, count);
}

/** `node_modules/@a/b/dist/x.js` is of `@a/b`; the innermost package counts. */
function partOf(file: string): string {
  return /^.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? file;
}
