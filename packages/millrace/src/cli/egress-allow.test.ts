import { expect, test } from "vitest";
import { parseEgressAllow } from "./egress-allow.ts";

test.each([
  [["api.example.com"], { hosts: ["api.example.com"], projects: {} }],
  [
    ["a.example, *.example.org", "http://b.example:81"],
    ["a.example", "*.example.org", "http://b.example:81"],
  ],
  [["none"], { hosts: [], projects: {} }],
  [["none", "demo=a.example"], { hosts: [], projects: { demo: ["a.example"] } }],
  [["demo=a.example", "demo=b.example,c.example"], { projects: { demo: ["a.example", "b.example", "c.example"] } }],
  [["demo=none"], { projects: { demo: [] } }],
  [["a=b=a.example"], { projects: { "a=b": ["a.example"] } }],
])("%j", (given, expected) => {
  expect(parseEgressAllow(given)).toEqual(Array.isArray(expected) ? { hosts: expected, projects: {} } : expected);
});

test.each([
  [[""], '--egress-allow is HOST[,HOST], PROJECT=HOST[,HOST] or none; got ""'],
  [["a.example,"], 'got "a.example,"'],
  [["demo="], 'got "demo="'],
  [["=a.example"], "--egress-allow: A project slug is"],
  [["a/b=a.example"], "--egress-allow: A project slug is"],
  [["a.example/path"], "--egress-allow: expected a host"],
  [["*.com"], "--egress-allow: "],
])("%j is wrong usage", (given, message) => {
  expect(() => parseEgressAllow(given)).toThrow(message);
});
