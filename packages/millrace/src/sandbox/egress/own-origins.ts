/** Where a request of deployed code would reach this very server, as far as the server knows its own names. */

export interface OwnNames {
  /** Where it listens. */
  url: string;
  publicUrl?: string | undefined;
  /** Further names that it answers to. */
  hosts?: readonly string[] | undefined;
}

/** Of this machine; reached where private destinations are allowed. */
const loopback = ["localhost", "127.0.0.1", "[::1]"];

export function ownOrigins({ url, publicUrl, hosts = [] }: OwnNames): string[] {
  const { port } = new URL(url);
  const near = loopback.map((host) => `http://${host}:${port}`);
  const named = hosts.flatMap((host) => [`https://${host}`, `http://${host}`, `http://${host}:${port}`]);
  const all = [url, ...near, ...(publicUrl === undefined ? [] : [publicUrl]), ...named];
  return [...new Set(all.filter((text) => URL.canParse(text)).map((text) => new URL(text).origin))];
}

/** A dot at the end of a name changes nothing of where it leads. */
export function isOwn(url: URL, origins: readonly string[]): boolean {
  const plain = new URL(url);
  plain.hostname = url.hostname.replace(/\.$/, "");
  return origins.includes(plain.origin);
}
