/**
 * The npm registry that the operator named: no other host is ever asked, and no redirect followed. What it says is data
 * of strangers; it is bounded while it comes, and judged by whoever uses it.
 */
import { createHash } from "node:crypto";
import type { BundlerLimits } from "./limits.ts";
import { shownSize } from "./limits.ts";
import { sourceFault } from "./source-fault.ts";

export interface PackageVersion {
  dependencies: Readonly<Record<string, string>>;
  /** Without those that are optional. */
  peerDependencies: Readonly<Record<string, string>>;
  deprecated: boolean;
  tarball: string;
  integrity: string;
}

export interface PackageMetadata {
  /** Versions by tag. */
  tags: ReadonlyMap<string, string>;
  versions: ReadonlyMap<string, PackageVersion>;
}

export interface Registry {
  /** Rejects with SourceFault where there is no such package, else where it cannot be asked now. */
  metadata(name: string): Promise<PackageMetadata>;
  /** Checked by its integrity. */
  tarball(label: string, version: PackageVersion): Promise<Uint8Array>;
}

const accepted = "application/vnd.npm.install-v1+json, application/json;q=0.8";

export function createRegistry(url: string, limits: BundlerLimits): Registry {
  const base = url.endsWith("/") ? url : `${url}/`;
  const { origin } = new URL(base);
  const known = new Map<string, Promise<PackageMetadata>>();
  const over = performance.now() + limits.registryMs;

  async function get(target: string, bytesMax: number, what: string): Promise<Uint8Array> {
    const late = lateAfter(Math.min(limits.requestMs, over - performance.now()));
    try {
      const response = await fetch(target, { headers: { accept: accepted }, redirect: "manual", signal: late.signal });
      const { status, body } = response;
      if (status === 200 && body !== null) return await bounded(body, bytesMax, what);
      await body?.cancel();
      throw refusal(what, status, origin);
    } finally {
      late.clear();
    }
  }

  /** A fault of the network, as opposed to one of the source. */
  async function asked(target: string, bytesMax: number, what: string): Promise<Uint8Array> {
    try {
      return await get(target, bytesMax, what);
    } catch (error) {
      if ((error as Error).name === "SourceFault" || error instanceof UnavailableRegistry) throw error;
      const why = reasonOf(error as Error);
      throw new UnavailableRegistry(`The registry ${origin} could not be asked for ${what}: ${why}.`);
    }
  }

  return {
    metadata(name) {
      const what = `the package "${name}"`;
      const asking =
        known.get(name) ??
        asked(base + name.replace("/", "%2f"), limits.metadataBytes, what).then((bytes) =>
          metadataOf(bytes, what, origin),
        );
      known.set(name, asking);
      return asking;
    },
    async tarball(label, { tarball, integrity }) {
      const target = URL.canParse(tarball) ? new URL(tarball) : undefined;
      if (target?.origin !== origin) {
        throw sourceFault(`The package ${label} lies outside of the registry ${origin} (at ${shown(tarball)}).`);
      }
      const bytes = await asked(target.href, limits.tarballBytes, `the package ${label}`);
      checkIntegrity(label, bytes, integrity);
      return bytes;
    },
  };
}

/** `AbortSignal.any` would lose a time limit that nothing else refers to: Node collects it before it fires. */
function lateAfter(milliseconds: number): { signal: AbortSignal; clear(): void } {
  const cut = new AbortController();
  const timer = setTimeout(() => cut.abort(new Error("it did not answer in time")), Math.max(milliseconds, 0));
  return { signal: cut.signal, clear: () => clearTimeout(timer) };
}

/** It may answer another time. */
export class UnavailableRegistry extends Error {}

function refusal(what: string, status: number, origin: string): Error {
  if (status === 404 || status === 405)
    return sourceFault(`There is no such thing as ${what} in the registry ${origin}.`);
  if (status === 401 || status === 403) return sourceFault(`The registry ${origin} refuses ${what} (${status}).`);
  return new UnavailableRegistry(`The registry ${origin} answered ${status} for ${what}.`);
}

async function bounded(body: ReadableStream<Uint8Array>, bytesMax: number, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      throw sourceFault(`What the registry has of ${what} is larger than ${shownSize(bytesMax)}, which is the most.`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function checkIntegrity(label: string, bytes: Uint8Array, integrity: string): void {
  const wanted = integrity.split(/\s+/).filter((hash) => hash.startsWith("sha512-"));
  if (wanted.length === 0)
    throw sourceFault(`The registry gives no SHA-512 of the package ${label}, so it is not used.`);
  const actual = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  if (wanted.some((hash) => hash.split("?")[0] === actual)) return;
  throw sourceFault(`The package ${label} is not what the registry says: its SHA-512 is another one. It is not used.`);
}

function metadataOf(bytes: Uint8Array, what: string, origin: string): PackageMetadata {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    throw new UnavailableRegistry(`The registry ${origin} did not answer in JSON for ${what}.`);
  }
  const { versions, "dist-tags": tags } = recordOf(parsed);
  return {
    tags: new Map(Object.entries(stringsOf(tags))),
    versions: new Map(Object.entries(recordOf(versions)).map(([version, said]) => [version, versionOf(said)])),
  };
}

function versionOf(said: unknown): PackageVersion {
  const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta, deprecated, dist } =
    recordOf(said);
  const { tarball, integrity } = recordOf(dist);
  const optional = recordOf(optionalDependencies);
  const meta = recordOf(peerDependenciesMeta);
  const isNeededPeer = (name: string) => recordOf(Object.hasOwn(meta, name) ? meta[name] : undefined).optional !== true;
  return {
    dependencies: only(stringsOf(dependencies), (name) => !Object.hasOwn(optional, name)),
    peerDependencies: only(stringsOf(peerDependencies), isNeededPeer),
    deprecated: typeof deprecated === "string" && deprecated !== "",
    tarball: typeof tarball === "string" ? tarball : "",
    integrity: typeof integrity === "string" ? integrity : "",
  };
}

function only(record: Record<string, string>, wanted: (name: string) => boolean): Record<string, string> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => wanted(name)));
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

export function stringsOf(value: unknown): Record<string, string> {
  const entries = Object.entries(recordOf(value)).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return Object.fromEntries(entries);
}

const shown = (text: string): string => JSON.stringify(text.slice(0, 200));

function reasonOf({ message, cause }: Error): string {
  return cause instanceof Error && cause.message !== "" ? cause.message : message;
}
