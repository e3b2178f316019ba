import { describe, expect, test } from "vitest";
import { isStreamError } from "./errors.ts";
import { ancestors, isBelow, isCanonicalPath, parsePath, parseProject } from "./paths.ts";

const a255 = "a".repeat(255);
const path1023 = `/${a255}/${a255}/${a255}/${"a".repeat(254)}`;

describe("parsePath", () => {
  test.each([
    ["", "/"],
    ["/", "/"],
    ["%2F", "/"],
    ["%2f", "/"],
    ["team", "/team"],
    ["/team", "/team"],
    ["team/", "/team"],
    ["/team/inbox", "/team/inbox"],
    ["team/inbox", "/team/inbox"],
    ["team%2Finbox", "/team/inbox"],
    ["%2Fteam%2Finbox", "/team/inbox"],
    ["%2Fteam%2Finbox/", "/team/inbox"],
    ["%2Fteam%2Finbox%2F", "/team/inbox"],
    ["/Team/INBOX", "/Team/INBOX"],
    ["/me@example.com", "/me@example.com"],
    ["/me%40example.com", "/me@example.com"],
    ["/~jonas/a.b", "/~jonas/a.b"],
    ["/a:b+c=d-e_f", "/a:b+c=d-e_f"],
    ["/...", "/..."],
    ["/.well-known", "/.well-known"],
    ["/..a/b..", "/..a/b.."],
    ["/__reserved", "/__reserved"],
    ["/__proto__", "/__proto__"],
    ["/0", "/0"],
  ])("%s is %s", (input, path) => {
    expect(parsePath(input)).toBe(path);
    expect(parsePath(path)).toBe(path);
    expect(isCanonicalPath(path)).toBe(true);
  });

  test.each([
    ["//", "empty segment"],
    ["%2F%2F", "empty segment"],
    ["///", "empty segment"],
    ["//team", "empty segment"],
    ["/team//inbox", "empty segment"],
    ["/team/inbox//", "empty segment"],
    ["/.", 'the segment "."'],
    ["..", 'the segment ".."'],
    ["/team/../inbox", 'the segment ".."'],
    ["/team/%2e%2e/inbox", 'the segment ".."'],
    ["/team/.", 'the segment "."'],
    ["/team/./", 'the segment "."'],
    ["./boris", 'the segment "."'],
    ["/a b", 'the character " "'],
    ["/a%20b", 'the character " "'],
    ["/a%00b", 'the character "\\u0000"'],
    ["/a\nb", 'the character "\\n"'],
    ["/team/inbox\n", 'the character "\\n"'],
    ["/a?b", 'the character "?"'],
    ["/a#b", 'the character "#"'],
    ["/a*", 'the character "*"'],
    ["/a\\b", 'the character "\\\\"'],
    ["/%C3%A9", 'the character "é"'],
    ["/é", 'the character "é"'],
    ["/a%252Fb", 'the character "%"'],
    ["/100%", "percent-encoding"],
    ["/%E0%A4%A", "percent-encoding"],
    ["/%ff", "percent-encoding"],
    ["/\u{1f600}", 'the character "\u{1f600}"'],
  ])("%j is refused: %s", (input, part) => {
    expect(refusal(input)).toContain(part);
  });

  test.each([
    [`/${a255}`, `/${a255}`],
    [path1023, path1023],
    [`${path1023}/`, path1023],
    [path1023.slice(1), path1023],
  ])("takes 255 characters in a segment and 1023 in all: %#", (input, path) => {
    expect(parsePath(input)).toBe(path);
    expect(isCanonicalPath(path)).toBe(true);
  });

  test.each([
    [`/${a255}a`, "at most 255 characters; one here has 256"],
    [`${path1023}a`, "at most 1023 characters; this one has 1024"],
    ["/a".repeat(5_000), "at most 1023 characters; this one has 10000"],
    [`/${" ".repeat(250)}`, 'the character " "'],
  ])("takes no more: %#", (input, part) => {
    expect(refusal(input)).toContain(part);
    expect(isCanonicalPath(input)).toBe(false);
  });
});

/** The message, which must be one short line whatever was sent. */
function refusal(input: string): string {
  try {
    return `accepted as ${parsePath(input)}`;
  } catch (error) {
    expect(isStreamError(error, "invalid_request")).toBe(true);
    const { message } = error as Error;
    expect(message).toMatch(/^.{20,260}$/u);
    return message;
  }
}

test.each(["", "team", "/team/", "//", "/a//b", "/.", "/..", "/a/../b", "/a b", "/a%2Fb", "/a\n", "/é"])(
  "%j is not canonical",
  (path) => {
    expect(isCanonicalPath(path)).toBe(false);
  },
);

describe("parseProject", () => {
  test.each(["public", "Jonas.2", "me@example.com", "...", "~"])("%s is a project", (slug) => {
    expect(parseProject(slug)).toBe(slug);
  });

  test("has 1 to 255 characters", () => {
    expect(parseProject(a255)).toBe(a255);
    expect(() => parseProject(`${a255}a`)).toThrow("A project slug is 1 to 255 characters");
  });

  test.each(["", ".", "..", "a/b", "a b", "é", "a\n", "%41"])("%j is none", (slug) => {
    expect(() => parseProject(slug)).toThrow("A project slug is 1 to 255 characters");
  });
});

test.each([
  ["/", []],
  ["/a", ["/"]],
  ["/a/b", ["/a", "/"]],
  ["/a/b/c", ["/a/b", "/a", "/"]],
])("the ancestors of %s are %j", (path, expected) => {
  expect(ancestors(path)).toEqual(expected);
});

test.each([
  ["/a", "/", true],
  ["/a/b", "/", true],
  ["/a/b", "/a", true],
  ["/a/b/c", "/a", true],
  ["/", "/", false],
  ["/a", "/a", false],
  ["/ab", "/a", false],
  ["/a", "/a/b", false],
  ["/b/a", "/a", false],
])("%s lies below %s: %s", (path, ancestor, below) => {
  expect(isBelow(path, ancestor)).toBe(below);
});
