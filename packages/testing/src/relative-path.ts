/** Paths as the appends of a hook name them: from the stream that it runs on. */
import { parsePath } from "@millrace/protocol";

/**
 * @param path absolute, or relative: `./child`, `../sibling`, `./` for the stream itself
 * @throws StreamError `invalid_request` for what is no path
 */
export function resolvePath(own: string, path: string): string {
  if (!path.startsWith(".")) return parsePath(path);
  return parsePath(new URL(path, `stream://test${own === "/" ? "" : own}/`).pathname);
}
