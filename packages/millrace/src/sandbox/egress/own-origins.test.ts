import { expect, test } from "vitest";
import { isOwn, ownOrigins } from "./own-origins.ts";

test("where it listens, its public URL, and the names that it answers to", () => {
  const url = "http://0.0.0.0:4040";
  const near = ["http://localhost:4040", "http://127.0.0.1:4040", "http://[::1]:4040"];
  expect(ownOrigins({ url })).toEqual(["http://0.0.0.0:4040", ...near]);
  expect(
    ownOrigins({ url, publicUrl: "https://streams.example.org:8443/base", hosts: ["streams.example.org", "a b"] }),
  ).toEqual([
    "http://0.0.0.0:4040",
    ...near,
    "https://streams.example.org:8443",
    "https://streams.example.org",
    "http://streams.example.org",
    "http://streams.example.org:4040",
  ]);
});

test.each([
  ["https://streams.example.org/me", true],
  ["https://STREAMS.example.org.:443/me", true],
  ["https://streams.example.org:8443/me", false],
  ["http://streams.example.org/me", false],
  ["https://example.org/me", false],
])("%s is this server: %s", (url, expected) => {
  expect(isOwn(new URL(url), ["https://streams.example.org"])).toBe(expected);
});
