import { networkInterfaces } from "node:os";
import { expect, test } from "vitest";
import { isOwn, ownOrigins } from "./own-origins.ts";

const near = ["http://localhost:4040", "http://127.0.0.1:4040", "http://[::1]:4040"];

test("where it listens, its public URL, and the names that it answers to", () => {
  const url = "http://127.0.0.1:4040";
  expect(ownOrigins({ url })).toEqual(["http://127.0.0.1:4040", "http://localhost:4040", "http://[::1]:4040"]);
  expect(
    ownOrigins({
      url: "http://10.0.0.7:4040",
      publicUrl: "https://streams.example.org:8443/base",
      hosts: ["streams.example.org", "a b"],
    }),
  ).toEqual([
    "http://10.0.0.7:4040",
    ...near,
    "https://streams.example.org:8443",
    "https://streams.example.org",
    "http://streams.example.org",
    "http://streams.example.org:4040",
  ]);
});

test("listening everywhere, each address of this machine", () => {
  const origins = ownOrigins({ url: "http://0.0.0.0:4040" });
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  for (const { address, family } of all) {
    const host = family === "IPv6" ? `[${address}]` : address;
    expect(isOwn(new URL(`http://${host}:4040/me`), origins)).toBe(true);
    expect(isOwn(new URL(`http://${host}:4041/me`), origins)).toBe(false);
  }
  expect(all.length).toBeGreaterThan(0);
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

test.each([
  "127.0.0.1",
  "localhost",
  "localhost.",
  "a.localhost",
  "127.1",
  "127.0.0.2",
  "2130706433",
  "0x7f.1",
  "0",
  "0.0.0.0",
  "[::]",
  "[::1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[::ffff:0.0.0.0]",
  "name:password@127.0.0.1",
])("this machine, written %s", (host) => {
  const origins = ownOrigins({ url: "http://127.0.0.1:4040" });
  expect(isOwn(new URL(`http://${host}:4040/api/streams/me`), origins)).toBe(true);
  expect(isOwn(new URL(`http://${host}:4040/api/streams/me`), ["http://127.0.0.1:4040"])).toBe(true);
  expect(isOwn(new URL(`http://${host}:4041/api/streams/me`), origins)).toBe(false);
});

test("an IPv4 address within an IPv6 one is that address", () => {
  const origins = ownOrigins({ url: "http://10.0.0.7:4040" });
  expect(isOwn(new URL("http://[::ffff:10.0.0.7]:4040/me"), origins)).toBe(true);
  expect(isOwn(new URL("http://10.0.0.8:4040/me"), origins)).toBe(false);
});
