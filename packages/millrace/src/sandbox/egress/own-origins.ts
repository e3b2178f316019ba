/** Where a request of deployed code would reach this very server, as far as the server knows its own names. */

export interface OwnNames {
  /** Where it listens. */
  url: string;
  publicUrl?: string | undefined;
  /** Further names that it answers to. */
  hosts?: readonly string[] | undefined;
}

export function ownOrigins({ url, publicUrl, hosts = [] }: OwnNames): string[] {
  const { port } = new URL(url);
  const named = hosts.flatMap((host) => [`https://${host}`, `http://${host}`, `http://${host}:${port}`]);
  const all = [url, ...(publicUrl === undefined ? [] : [publicUrl]), ...named];
  return [...new Set(all.filter((text) => URL.canParse(text)).map((text) => new URL(text).origin))];
}
