import { expect, test } from "vitest";
import { mayBeSentTo, parseSecretHost, secretNamePattern, secretNames, withSecrets } from "./secrets.ts";

test.each<[name: string, isOne: boolean]>([
  ["A", true],
  ["a.b_c-1", true],
  ["...", true],
  ["a".repeat(255), true],
  ["", false],
  ["a".repeat(256), false],
  ["a b", false],
  ["a/b", false],
  ["ä", false],
  // No URL could name these two, so they could never be removed.
  [".", false],
  ["..", false],
])("the name %j", (name, isOne) => {
  expect(secretNamePattern.test(name)).toBe(isOne);
});

test.each<[host: string, url: string, may: boolean]>([
  ["api.example.com", "https://api.example.com/x?y", true],
  ["API.example.com", "https://api.EXAMPLE.com:443/", true],
  ["https://api.example.com", "https://api.example.com/", true],
  ["api.example.com", "http://api.example.com/", false],
  ["api.example.com", "https://api.example.com:8443/", false],
  ["api.example.com", "https://x.api.example.com/", false],
  ["api.example.com", "https://api.example.com@evil.example/", false],
  ["api.example.com", "https://api.example.com.evil.example/", false],
  ["api.example.com:8443", "https://api.example.com:8443/", true],
  ["api.example.com:8443", "https://api.example.com/", false],
  ["*.example.com", "https://a.b.example.com/", true],
  ["*.example.com", "https://example.com/", false],
  ["*.example.com", "https://notexample.com/", false],
  ["http://localhost:4000", "http://localhost:4000/", true],
  ["http://localhost:4000", "https://localhost:4000/", false],
  ["bücher.example", "https://xn--bcher-kva.example/", true],
  ["[::1]:8443", "https://[0:0::1]:8443/", true],
])("pinned to %s it may be sent to %s: %s", (host, url, may) => {
  expect(mayBeSentTo([host], url)).toBe(may);
});

test.each([
  "",
  "*",
  "*.com",
  "*.*.example.com",
  "a b",
  "a.example/x",
  "https://",
  "ftp://a.example",
  "user@a.example",
  "a.example?x",
  // A URL reads it as a slash: what looks like a host below example.com would be evil.example.
  "evil.example\\.example.com",
  "a.example:99999",
])("%j is no host", (host) => {
  expect(() => parseSecretHost(host)).toThrow(/expected a host|top-level domain/);
});

test("references in a text are found and replaced, and nothing else is", () => {
  const text = "Bearer {{secret:A.b}} {{secret:C}}{{secret: D}} {{other:E}} {{secret:}}";
  expect(secretNames(text)).toEqual(["A.b", "C"]);
  expect(withSecrets(text, (name) => `<${name} $&>`)).toBe(
    "Bearer <A.b $&> <C $&>{{secret: D}} {{other:E}} {{secret:}}",
  );
});
