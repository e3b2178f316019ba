/**
 * Stream paths: `/` or `/seg(/seg)*`. Tolerant in (raw or encoded slashes, a missing leading slash, one trailing
 * slash), canonical ever after. Nothing else is repaired: a path that is almost right is a typo, not a new stream.
 */
import { StreamError } from "./errors.ts";
import { pathCharactersMax, segmentCharactersMax } from "./limits.ts";

const segmentPattern = /^[A-Za-z0-9._~@:+=-]{1,255}$/;
const canonicalPattern = /^(?:\/[A-Za-z0-9._~@:+=-]{1,255})+$/;
const dotSegment = /\/\.{1,2}(?:\/|$)/;

/**
 * The canonical form of a path as it stands in a URL or in a payload.
 * @throws StreamError `invalid_request`, saying what is wrong with which segment
 */
export function parsePath(input: string): string {
  let path = input;
  if (path.includes("%")) path = decode(path);
  if (path === "" || path === "/") return "/";
  if (!path.startsWith("/")) path = `/${path}`;
  if (path.endsWith("/")) path = path.slice(0, -1);
  if (path === "") throw invalid(`Stream path ${quote(input)} has an empty segment.`);
  if (path.length > pathCharactersMax) {
    throw invalid(`A stream path has at most ${pathCharactersMax} characters; this one has ${path.length}.`);
  }
  if (canonicalPattern.test(path) && !dotSegment.test(path)) return path;
  for (const segment of path.slice(1).split("/")) checkSegment(segment, input);
  throw invalid(`Stream path ${quote(input)} is not valid.`);
}

/** True for a string that is exactly a canonical path. */
export function isCanonicalPath(path: string): boolean {
  if (path === "/") return true;
  return path.length <= pathCharactersMax && canonicalPattern.test(path) && !dotSegment.test(path);
}

/** A project slug: the characters of one segment. */
export function parseProject(input: string): string {
  if (segmentPattern.test(input) && input !== "." && input !== "..") return input;
  throw new StreamError(
    "invalid_request",
    `A project slug is 1 to ${segmentCharactersMax} characters of A-Z a-z 0-9 . _ ~ @ : + = -; got ${quote(input)}.`,
    { field: "project" },
  );
}

/** Every stream above a path, nearest first: `/a/b/c` gives `/a/b`, `/a`, `/`. The root has none. */
export function ancestors(path: string): string[] {
  const found: string[] = [];
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) found.push(path.slice(0, end));
  if (path !== "/") found.push("/");
  return found;
}

/** Whether `path` lies below `ancestor`, by whole segments. */
export function isBelow(path: string, ancestor: string): boolean {
  if (ancestor === "/") return path !== "/";
  return path.length > ancestor.length && path.startsWith(ancestor) && path[ancestor.length] === "/";
}

/** The path as one URL reference: every allowed character may stand in a URL as it is. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw invalid(`Stream path ${quote(path)} is not valid percent-encoding.`);
  }
}

function checkSegment(segment: string, input: string): void {
  if (segment === "") throw invalid(`Stream path ${quote(input)} has an empty segment.`);
  if (segment === "." || segment === "..") {
    throw invalid(`Stream path ${quote(input)} has the segment "${segment}"; dots alone are not a name.`);
  }
  if (segment.length > segmentCharactersMax) {
    throw invalid(`A path segment has at most ${segmentCharactersMax} characters; one here has ${segment.length}.`);
  }
  const wrong = /[^A-Za-z0-9._~@:+=-]/u.exec(segment);
  if (wrong) {
    throw invalid(
      `Stream path ${quote(input)} has the character ${JSON.stringify(wrong[0])}; allowed are A-Z a-z 0-9 . _ ~ @ : + = -.`,
    );
  }
}

function invalid(message: string): StreamError<"invalid_request"> {
  return new StreamError("invalid_request", message, { field: "path" });
}

/** What was sent, short and on one line. */
function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 117)}...` : text);
}

/** Absolute, or relative to the own stream: `./boris`, `../`. */
export function resolvePath(own: string, path: string): string {
  if (typeof path !== "string" || !/^(\/|\.\.?(\/|$))/.test(path)) {
    throw new StreamError("invalid_request", `"${path}" is no path: it begins with "/", "./" or "../".`, {});
  }
  if (path.startsWith("/")) return parsePath(path);
  const segments = own === "/" ? [] : own.slice(1).split("/");
  for (const segment of path.split("/")) {
    if (segment === "." || segment === "") continue;
    if (segment !== "..") segments.push(segment);
    else if (segments.pop() === undefined) {
      throw new StreamError("invalid_request", `"${path}" leads above the root from ${own}.`, {});
    }
  }
  return parsePath(`/${segments.join("/")}`);
}
