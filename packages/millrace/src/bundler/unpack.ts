/**
 * The files of a package, from its tarball into memory: nothing is written to a disk, so nothing can be written where it
 * should not. A tarball that tries is refused all the same. Links and whatever else is no file are left out, as npm does.
 */
import { gunzipSync } from "node:zlib";
import { Parser, type ReadEntry } from "tar";
import { type BundlerLimits, shownSize } from "./limits.ts";
import { sourceFault } from "./source-fault.ts";

export interface Unpacked {
  files: ReadonlyMap<string, Buffer>;
  bytes: number;
}

/** @param bytesLeft how large it may be, unpacked */
export async function unpack(
  label: string,
  tarball: Uint8Array,
  bytesLeft: number,
  { filesPerPackage }: BundlerLimits,
): Promise<Unpacked> {
  const archive = gunzip(label, tarball, bytesLeft);
  const files = new Map<string, Buffer>();
  let bytes = 0;
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => reject(sourceFault(`The package ${label} cannot be unpacked: ${why}.`));
    const parser = new Parser({
      strict: true,
      onReadEntry(entry: ReadEntry) {
        const name = fileName(entry.path);
        if (name === undefined)
          return fail(`it has a file outside of itself, ${JSON.stringify(entry.path.slice(0, 200))}`);
        if (entry.type !== "File" && entry.type !== "OldFile") return void entry.resume();
        if (files.size >= filesPerPackage) return fail(`it has more than ${filesPerPackage} files`);
        const chunks: Buffer[] = [];
        entry.on("data", (chunk: Buffer) => chunks.push(chunk));
        entry.on("end", () => {
          const content = Buffer.concat(chunks);
          bytes += content.length;
          files.set(name, content);
        });
      },
    });
    parser.on("error", (error: Error) => fail(error.message.slice(0, 200)));
    parser.on("end", resolve);
    parser.end(archive);
  });
  return { files, bytes };
}

function gunzip(label: string, tarball: Uint8Array, bytesLeft: number): Buffer {
  try {
    return gunzipSync(tarball, { maxOutputLength: Math.max(bytesLeft, 1) });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_BUFFER_TOO_LARGE") {
      throw sourceFault(`The package ${label} cannot be unpacked: ${(error as Error).message}.`);
    }
    throw sourceFault(
      `The package ${label} is too large: of all packages ${shownSize(bytesLeft)} are left for it, unpacked.`,
    );
  }
}

/** Without the first segment, which may have any name; undefined where it leads out. */
function fileName(path: string): string | undefined {
  if (path.startsWith("/") || /[\\\0]/.test(path) || path.split("/").includes("..")) return undefined;
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  return segments.slice(1).join("/");
}
