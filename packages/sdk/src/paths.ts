/**
 * Where a path of the caller stands on the server. Every path is below `pathPrefix`, whether it begins with a slash or
 * not: with the prefix `/team`, `inbox` and `/inbox` are both `/team/inbox`, and the empty path is `/team` itself.
 */

/** Segments that a URL parser would resolve, and the names that are routes of the server below `/api/streams/`. */
const treacherous = /\/\.{1,2}(?=\/|$)|^\/__(?:state|children)(?=\/|$)/;

export function joinPath(prefix: string, path: string): string {
  const parts = [prefix, path].map((part) => part.replace(/^\/|\/$/g, "")).filter((part) => part !== "");
  return `/${parts.join("/")}`;
}

/**
 * A path as the end of a URL, with its slash in front. Slashes stay as they are, so that logs and proxies show what
 * was meant, but not where a URL parser would make `/b` of `/a/../b`: the server shall see that path, and refuse it.
 */
export function urlPath(path: string): string {
  if (path === "/" || treacherous.test(path)) return `/${encodeURIComponent(path)}`;
  return path.split("/").map(encodeURIComponent).join("/");
}
