/** `millrace replay`: states folded from a server and from exports, without effects; and reducers that throw. */

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { append, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer } from "../processes/server-process.ts";
import { luck, pingPong, written } from "./processor-files.ts";
import { lines, run } from "./run.ts";

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
  await append(server.url, "/a", [
    { type: "ping", payload: { n: 1 } },
    { type: "x" },
    { type: "ping", payload: { n: 13 } },
  ]);
  await append(server.url, "/a/b", [{ type: "ping", payload: { n: 1 } }]);
});
afterAll(async () => void (await server.stop("SIGTERM")));

const files = { "p.ts": pingPong, "luck.ts": luck };
const replay = (...args: string[]) => run(["replay", ...args], { MILLRACE_URL: server.url });

test("the state of a stream, at its end and at an offset; nothing is appended", async () => {
  const at = written(files);
  const before = await readAll(server.url, "/a");
  const whole = await replay(at("p.ts"), "--path", "/a");
  expect(whole).toMatchObject({ code: 0, stdout: "---\nstreamPath: /a\noffset: 5\nevents: 5\nstate:\n  pings: 2\n" });
  expect(whole.stderr).toMatch(/^millrace: ping-pong: 5 events of 1 stream in \d+ ms\n$/);
  const earlier = await replay(at("p.ts"), "--path", "a", "--at", "3", "--json");
  expect(lines(earlier.stdout)).toEqual([{ streamPath: "/a", offset: 3, events: 3, state: { pings: 1 } }]);
  expect(await readAll(server.url, "/a")).toEqual(before);
});

test("a subtree has a state for each stream, from the server, a file and stdin alike", async () => {
  const at = written(files);
  const remote = await replay(at("p.ts"), "--path", "/a", "--children", "--json");
  expect(lines(remote.stdout)).toMatchObject([
    { streamPath: "/a", state: { pings: 2 } },
    { streamPath: "/a/b", state: { pings: 1 } },
  ]);
  const exported = await run(["export", "/a", "--children", "--out", at("log.ndjson"), "--url", server.url]);
  expect(exported.code).toBe(0);
  const nowhere = { MILLRACE_URL: "http://127.0.0.1:1" };
  const local = await run(["replay", at("p.ts"), "--file", at("log.ndjson"), "--json"], nowhere);
  expect(local.stdout).toBe(remote.stdout);
  const one = await run(["replay", at("p.ts"), "--file", at("log.ndjson"), "--path", "/a/b", "--json"], nowhere);
  expect(lines(one.stdout)).toMatchObject([{ streamPath: "/a/b", offset: 2, state: { pings: 1 } }]);
  const text = (await run(["export", "/a", "--url", server.url])).stdout;
  const piped = await run(["replay", at("p.ts"), "--file", "-", "--json"], nowhere, text);
  expect(lines(piped.stdout)).toEqual(lines(remote.stdout).slice(0, 1));
});

test("a reducer that throws: slug, path, offset and the author's line", async () => {
  // What the author left running does not keep the command.
  const at = written({ ...files, "luck.ts": `${luck}setInterval(() => {}, 1_000);` });
  await append(server.url, "/broken", { type: "broken" });
  const { code, stdout, stderr } = await replay(at("p.ts"), "--path", "/broken");
  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(
    /^millrace: ping-pong failed at \/broken@2 \(broken\): RangeError: cannot be folded \(\S*p\.ts:12:40\)\n$/,
  );
});

test("what a schema does not take is passed over and said, and a reducer is synchronous", async () => {
  const at = written({
    "schema.mjs": `const count = { "~standard": { version: 1, vendor: "test", validate: (value) =>
  typeof value.n === "number" ? { value: value.n } : { issues: [{ message: "expected a number", path: ["n"] }] } } };
export default { slug: "sum", initialState: 0, events: { ping: count }, reduce: ({ state, event }) => state + event.payload };`,
    "late.mjs": `export default { slug: "late", initialState: 0, reduce: async () => 1 };`,
    "later.mjs": `const count = { "~standard": { version: 1, vendor: "test", validate: async (value) => ({ value }) } };
export default { slug: "later", initialState: 0, events: { ping: count }, reduce: () => 1 };`,
  });
  await append(server.url, "/schema", [
    { type: "ping", payload: { n: 4 } },
    { type: "ping", payload: {} },
    { type: "x" },
  ]);
  const { stdout, stderr } = await replay(at("schema.mjs"), "--path", "/schema", "--json");
  expect(lines(stdout)).toMatchObject([{ events: 4, state: 4 }]);
  expect(stderr).toContain("passed over 1 that do not parse; the first: The payload of event 3 of /schema (ping)");
  const late = await replay(at("late.mjs"), "--path", "/schema");
  expect(late).toMatchObject({ code: 1, stderr: expect.stringContaining("reduce returned a promise") });
  const { code, stderr: refused } = await replay(at("later.mjs"), "--path", "/schema");
  expect(code).toBe(1);
  expect(refused).toContain("later failed at /schema@2 (ping): Error: The schema of ping is asynchronous");
});

test("files that are no history", async () => {
  const event = (offset: number) => JSON.stringify({ streamPath: "/x", offset, type: "ping" });
  const at = written({
    ...files,
    "twice.ndjson": `${event(2)}\n${event(2)}\n`,
    "no.ndjson": `${event(1)}\n{"type":"a"}\n`,
  });
  const twice = await replay(at("p.ts"), "--file", at("twice.ndjson"));
  expect(twice).toMatchObject({ code: 1, stderr: expect.stringContaining("/x@2 stands behind /x@2") });
  const no = await replay(at("p.ts"), "--file", at("no.ndjson"));
  expect(no).toMatchObject({ code: 2, stderr: expect.stringMatching(/no\.ndjson, line 2 is no stored event/) });
  expect(await replay(at("p.ts"), "--file", at("gone.ndjson"))).toMatchObject({ code: 2 });
  expect(await replay(at("p.ts"))).toMatchObject({ code: 2, stderr: expect.stringContaining("--path PATH or --file") });
  const everywhere = await replay(at("p.ts"), "--path", "/a", "--children", "--at", "2");
  expect(everywhere).toMatchObject({ code: 2, stderr: expect.stringContaining("--at is a place in one stream") });
});

test("a long file is read line by line, in a heap that could not hold it", async () => {
  const count = process.env.MILLRACE_LONG === "1" ? 1_000_000 : 200_000;
  const at = written(files);
  const file = createWriteStream(at("long.ndjson"));
  const filler = "x".repeat(400);
  for (let offset = 1; offset <= count; offset++) {
    const line = { streamPath: "/long", offset, type: "ping", payload: { n: offset, filler }, createdAt: "" };
    if (!file.write(`${JSON.stringify(line)}\n`)) await once(file, "drain");
  }
  await new Promise((done) => file.end(done));
  const heap = { NODE_OPTIONS: "--max-old-space-size=48" };
  const { code, stdout, stderr } = await run(["replay", at("p.ts"), "--file", at("long.ndjson"), "--json"], heap);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringContaining(`${count.toLocaleString("en-US")} events`),
  });
  expect(lines(stdout)).toEqual([{ streamPath: "/long", offset: count, events: count, state: { pings: count } }]);
  console.log(stderr.trim().split("\n").at(-1));
});
