/** Export and import: the round trip, what stays outside, and an import that is interrupted and repeated. */
import { createReadStream, existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { defineProcessor, type StreamEvent } from "@millrace/protocol";
import { refold } from "@millrace/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { append, breakerOff, builtin, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { lines, run, start, until } from "./run.ts";

let server: ServerProcess;
let env: Record<string, string>;
const { directory, remove } = temporaryDirectory();
const file = (name: string) => path.join(directory, name);

beforeAll(async () => {
  server = await startServer({ data: path.join(directory, "data") });
  env = { MILLRACE_URL: server.url };
});
afterAll(async () => {
  await server.stop("SIGTERM");
  remove();
});

const content = ({ type, payload, metadata }: StreamEvent) => ({ type, payload, metadata });
const own = (events: StreamEvent[]) => events.filter(({ type }) => !type.startsWith(builtin("")));

test("a subtree there and back: the same types, payloads and metadata at the same places", async () => {
  await append(server.url, "/from/a", [
    { type: "x", payload: { text: "\u2028 ü \u0000", list: [1.5, null] }, metadata: { by: "me" }, idempotencyKey: "k" },
    { type: "y" },
  ]);
  await append(server.url, "/from/a/deep", { type: "z" });
  const exported = await run(["export", "/from", "--children", "--out", file("from.ndjson")], env);
  expect(exported).toMatchObject({ code: 0, stdout: "" });
  expect(existsSync(file("from.ndjson.partial"))).toBe(false);
  const stored = lines(readFileSync(file("from.ndjson"), "utf8")) as StreamEvent[];
  expect(stored.filter(({ streamPath }) => streamPath === "/from/a")).toEqual(await readAll(server.url, "/from/a"));
  const imported = await run(["import", "/to", file("from.ndjson"), "--json"], env);
  expect(lines(imported.stdout)).toEqual([{ events: 3, wrapped: 0, leftOut: stored.length - 3, streams: 2 }]);
  for (const below of ["/a", "/a/deep"]) {
    const [before, after] = [await readAll(server.url, `/from${below}`), await readAll(server.url, `/to${below}`)];
    expect(own(after).map(content)).toEqual(own(before).map(content));
  }
  const again = await run(["export", "/to", "--children"], env);
  const piped = await run(["import", "/third", "-"], env, again.stdout);
  expect(piped).toMatchObject({ code: 0, stdout: expect.stringContaining("events: 3\n") });
  expect(own(await readAll(server.url, "/third/a/deep"))).toMatchObject([{ type: "z" }]);
});

test("what was exported is refolded: the state of each stream, from the text or from the lines of the file", async () => {
  const counting = defineProcessor<Record<string, number>>({
    slug: "counting",
    initialState: {},
    reduce: ({ state, event: { type } }) => ({ ...state, [type]: (state[type] ?? 0) + 1 }),
  });
  await append(server.url, "/counted/a", [{ type: "x" }, { type: "x", payload: "\u2028\u0085 ü" }]);
  await append(server.url, "/counted/b", [{ type: "y" }]);
  await run(["export", "/counted", "--children", "--out", file("counted.ndjson")], env);
  const states = await refold(counting, readFileSync(file("counted.ndjson"), "utf8"));
  expect(states).toMatchObject({
    "/counted": { [builtin("child-stream-created")]: 2 },
    "/counted/a": { [builtin("initialized")]: 1, x: 2 },
    "/counted/b": { y: 1 },
  });
  const byLine = createInterface({ input: createReadStream(file("counted.ndjson")) });
  expect(await refold(counting, byLine)).toEqual(states);
});

test("built-in events come in as imported, with --control as themselves, and the server's own never", async () => {
  await append(server.url, "/control", [
    { type: "a" },
    { type: builtin("metadata-updated"), payload: { metadata: { title: "T" } } },
    { type: builtin("paused"), payload: { reason: "lunch" } },
  ]);
  const { stdout } = await run(["export", "/control"], env);
  const wrapped = await run(["import", "/wrapped", "--json"], env, stdout);
  expect(lines(wrapped.stdout)).toEqual([{ events: 3, wrapped: 2, leftOut: 1, streams: 1 }]);
  const [, , metadata, paused] = await readAll(server.url, "/wrapped");
  expect(metadata).toMatchObject({
    type: "imported",
    payload: { type: builtin("metadata-updated"), payload: { metadata: { title: "T" } } },
  });
  expect(paused).toMatchObject({ type: "imported", payload: { type: builtin("paused") } });
  await run(["import", "/acting", "--control"], env, stdout);
  expect((await readAll(server.url, "/acting")).map(content).slice(1)).toEqual(
    (await readAll(server.url, "/control")).map(content).slice(1),
  );
  const refused = await run(["append", "/acting", "a"], env);
  expect(refused.stderr).toContain("lunch");
});

test("an import that is killed is repeated, and nothing comes twice", async () => {
  const count = 6_000;
  const stored = Array.from({ length: count }, (_, i) => ({
    streamPath: i % 3 === 0 ? "/many/a" : "/many",
    offset: i + 1,
    type: "n",
    payload: { i },
    createdAt: "2026-11-21T04:28:34.282Z",
  }));
  writeFileSync(file("many.ndjson"), stored.map((event) => `${JSON.stringify(event)}\n`).join(""));
  await append(server.url, "/target", breakerOff);
  const killed = start(["import", "/target", file("many.ndjson")], env);
  const head = async () => (await readAll(server.url, "/target")).length;
  let before = 0;
  for (; before < 500; before = await head());
  killed.child.kill("SIGKILL");
  await killed.exited;
  const { code, stdout } = await run(["import", "/target", file("many.ndjson"), "--json"], env);
  expect(code).toBe(0);
  expect(lines(stdout)).toEqual([{ events: count, wrapped: 0, leftOut: 0, streams: 2 }]);
  const numbers = async (path: string) =>
    own(await readAll(server.url, path)).map(({ payload }) => (payload as { i: number }).i);
  const all = stored.map((_, i) => i);
  expect(await numbers("/target")).toEqual(all.filter((i) => i % 3 !== 0));
  expect(await numbers("/target/a")).toEqual(all.filter((i) => i % 3 === 0));
});

test("a file with a line that is no stored event is refused before anything is sent", async () => {
  const good = '{"streamPath":"/a","offset":2,"type":"a","payload":{}}\n';
  for (const [line, words] of [
    ["{", "stdin, line 2, is not JSON"],
    ['{"type":"a"}', "stdin, line 2 is no stored event"],
    ['{"streamPath":"a/b","offset":1,"type":"a"}', "stdin, line 2 is no stored event"],
  ] as const) {
    const { code, stderr } = await run(["import", "/bad"], env, `${good}${line}\n${good}`);
    expect(code).toBe(2);
    expect(stderr).toContain(words);
  }
  expect(await readAll(server.url, "/bad")).toEqual([]);
});

test("an export that breaks off leaves no file behind", async () => {
  const lost = await startServer({ data: ":memory:", args: [] });
  await append(
    lost.url,
    "/big",
    Array.from({ length: 1_000 }, () => ({ type: "a", payload: "x".repeat(5_000) })),
  );
  await lost.stop("SIGKILL");
  const running = start(["export", "/big", "--out", file("big.ndjson"), "--url", lost.url]);
  await until(() => existsSync(file("big.ndjson.partial")) || running.child.exitCode !== null);
  expect((await running.exited).code).toBe(3);
  expect([existsSync(file("big.ndjson")), existsSync(file("big.ndjson.partial"))]).toEqual([false, false]);
});
