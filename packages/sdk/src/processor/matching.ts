/** Which streams a processor runs on: one, one and everything below, or all that a pattern names. */

export interface Matching {
  /** All of it in one: another pattern is another text. */
  pattern: string;
  /** The stream that is followed: the one itself, or the root of a subtree that has all of them. */
  root: string;
  includeChildren: boolean;
  matches(path: string): boolean;
}

/** `*` stands for one segment, `**` for any number of them, none included; elsewhere a star is a star of the name. */
export function matchingOf(path: string, includeChildren: boolean): Matching {
  const segments = path.split("/").filter((segment) => segment !== "");
  const first = segments.findIndex((segment) => segment === "*" || segment === "**");
  if (first < 0) {
    const root = `/${segments.join("/")}`;
    const prefix = root === "/" ? "/" : `${root}/`;
    return {
      pattern: includeChildren ? `${prefix}**` : root,
      root,
      includeChildren,
      matches: (candidate) => candidate === root || (includeChildren && candidate.startsWith(prefix)),
    };
  }
  const pattern = new RegExp(`^${segments.map(patternOf).join("")}${includeChildren ? "(/.*)?" : ""}$`);
  return {
    pattern: `/${segments.join("/")}${includeChildren ? "/**" : ""}`,
    root: `/${segments.slice(0, first).join("/")}`,
    includeChildren: true,
    matches: (candidate) => pattern.test(candidate),
  };
}

function patternOf(segment: string): string {
  if (segment === "**") return "(?:/[^/]+)*";
  if (segment === "*") return "/[^/]+";
  return `/${segment.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`;
}
