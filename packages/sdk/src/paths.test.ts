import { expect, test } from "vitest";
import { joinPath, urlPath } from "./paths.ts";

test.each([
  // prefix, path, the path on the server
  ["", "", "/"],
  ["", "/", "/"],
  ["/", "/", "/"],
  ["", "inbox", "/inbox"],
  ["", "/inbox", "/inbox"],
  ["", "/inbox/", "/inbox"],
  ["/team", "", "/team"],
  ["/team", "/", "/team"],
  ["/team", "inbox", "/team/inbox"],
  ["/team", "/inbox", "/team/inbox"],
  ["team/", "/inbox/x", "/team/inbox/x"],
  ["/team", "/team/inbox", "/team/team/inbox"],
])("below %j the path %j is %j", (prefix, path, joined) => {
  expect(joinPath(prefix, path)).toBe(joined);
});

test.each([
  // the path, the end of the URL
  ["/", "/%2F"],
  ["/team/inbox", "/team/inbox"],
  ["/a b/ü?#%", "/a%20b/%C3%BC%3F%23%25"],
  ["/a//b", "/a//b"],
  ["/a/../b", "/%2Fa%2F..%2Fb"],
  ["/..", "/%2F.."],
  ["/a/.", "/%2Fa%2F."],
  ["/a/...", "/a/..."],
  ["/.well-known/x", "/.well-known/x"],
  ["/__state/x", "/%2F__state%2Fx"],
  ["/__children", "/%2F__children"],
  ["/a/__state", "/a/__state"],
])("the path %j ends a URL as %j", (path, end) => {
  expect(urlPath(path)).toBe(end);
  // A URL parser leaves it alone.
  expect(new URL(`http://localhost/api/streams${end}`).pathname).toBe(`/api/streams${end}`);
});
