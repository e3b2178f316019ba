/** How much a bundle may ask for. What is read comes from strangers, so each has a bound of its own. */
const mebibyte = 1024 * 1024;

export interface BundlerLimits {
  packages: number;
  /** Steps from packageJson to a package. */
  depth: number;
  /** What the registry says of one package: those with thousands of versions have ten and more MiB. */
  metadataBytes: number;
  tarballBytes: number;
  filesPerPackage: number;
  /** All packages together. */
  unpackedBytes: number;
  /** For one answer of the registry. */
  requestMs: number;
  /** For all of them. */
  registryMs: number;
  /** For all of a bundle; then its process is ended. */
  bundleMs: number;
}

export const bundlerLimits: Readonly<BundlerLimits> = Object.freeze({
  packages: 200,
  depth: 16,
  metadataBytes: 32 * mebibyte,
  tarballBytes: 16 * mebibyte,
  filesPerPackage: 10_000,
  unpackedBytes: 64 * mebibyte,
  requestMs: 15_000,
  registryMs: 45_000,
  bundleMs: 60_000,
});

export const shownSize = (bytes: number): string =>
  bytes >= mebibyte ? `${(bytes / mebibyte).toFixed(1)} MiB` : `${Math.ceil(bytes / 1024)} KiB`;
