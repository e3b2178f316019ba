import { expect, test } from "vitest";
import { ownOrigins } from "./own-origins.ts";

test("where it listens, its public URL, and the names that it answers to", () => {
  const url = "http://0.0.0.0:4040";
  expect(ownOrigins({ url })).toEqual(["http://0.0.0.0:4040"]);
  expect(
    ownOrigins({ url, publicUrl: "https://streams.example.org:8443/base", hosts: ["streams.example.org", "a b"] }),
  ).toEqual([
    "http://0.0.0.0:4040",
    "https://streams.example.org:8443",
    "https://streams.example.org",
    "http://streams.example.org",
    "http://streams.example.org:4040",
  ]);
});
