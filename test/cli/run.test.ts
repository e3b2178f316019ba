/** `millrace run`: what it prints, what it takes for a processor, how it follows a file that changes, how it ends. */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { append, breakerOff, follow, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer } from "../processes/server-process.ts";
import { luck, pingPong, written } from "./processor-files.ts";
import { lines, run, start, until } from "./run.ts";

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
});
afterAll(async () => void (await server.stop("SIGTERM")));

type Told = { kind: string; path: string; offset?: number } & Record<string, unknown>;

/** Starts it and waits until it acts on what comes. */
async function started(file: string, ...args: string[]) {
  const running = start(["run", file, ...args, "--url", server.url], { FROM_HERE: "me" });
  onTestFinished(() => void running.child.kill("SIGKILL"));
  await until(() => / runs on /.test(running.stderr()) || running.child.exitCode !== null);
  const told = (kind: string) => (lines(running.stdout()) as Told[]).filter((each) => each.kind === kind);
  return { ...running, told };
}

const ping = (n: number) => ({ type: "ping", payload: { n } });
const pong = (path: string, n: number) =>
  follow(server.url, path, "&type=pong*", ({ payload }) => (payload as { n: number }).n === n);

describe("what it prints", () => {
  test("for people: the event, the change, the append, and errors with the author's line", async () => {
    const at = written({ "p.ts": pingPong, "luck.ts": luck });
    const running = await started(at("p.ts"), "--path", "/people", "--env", "WHO=you");
    await append(server.url, "/people", ping(1));
    await pong("/people", 1);
    await append(server.url, "/people", ping(13));
    await until(() => running.stdout().includes("failed"));
    running.child.kill("SIGINT");
    const { stdout, code } = await running.exited;
    expect(code).toBe(130);
    const text = stdout.replaceAll(/^\d\d:\d\d:\d\d\.\d{3} /gm, "").replaceAll(/[\d.]+ ms/g, "- ms");
    expect(text).toContain(`/people@2 ping {"n":1}
/people@2   state: pings 0 -> 1
info: answering {"who":"you"}
/people@2   appended /people@3 pong {"n":1,"count":1}
/people@2   acted in - ms
`);
    expect(text).toMatch(/\/people@4 {3}failed after - ms: bad luck \(\S*luck\.ts:3:23\)/);
  });

  test("for programs: a JSON object in each line; a subtree, a pattern, a variable from here", async () => {
    const at = written({ "p.ts": pingPong, "luck.ts": luck });
    const running = await started(at("p.ts"), "--path", "/tree/*", "--env", "WHO=x=y", "--env", "FROM_HERE", "--json");
    await append(server.url, "/tree/a/below", ping(7));
    await append(server.url, "/tree/a", ping(1));
    await until(() => running.told("appended").length > 0);
    expect(running.told("appended")).toMatchObject([{ to: "/tree/a", type: "pong", payload: { n: 1, count: 1 } }]);
    expect(running.told("log")).toMatchObject([{ level: "info", details: { who: "x=y" } }]);
    expect(running.told("event").every(({ path }) => path === "/tree/a")).toBe(true);
  });

  test("history that is only folded is one line; what a reducer throws has its line", async () => {
    await append(server.url, "/history", [ping(1), ping(2), ping(3)]);
    const at = written({ "p.ts": pingPong, "luck.ts": luck });
    const running = await started(at("p.ts"), "--path", "/history", "--json");
    await append(server.url, "/history", { type: "broken" });
    await until(() => running.told("told").length > 0);
    expect(running.told("folded")).toMatchObject([{ path: "/history", offset: 4, events: 4 }]);
    expect(running.told("failed")).toMatchObject([
      { offset: 5, message: "cannot be folded", line: expect.stringMatching(/p\.ts:12:40$/) },
    ]);
    expect(running.told("told")[0]?.message).toMatch(/^ping-pong goes no further here/);
  });

  test("no event steers the terminal", async () => {
    const at = written({ "p.ts": pingPong, "luck.ts": luck });
    const running = await started(at("p.ts"), "--path", "/steer");
    await append(server.url, "/steer", { type: "clear\u001b[2J", payload: { "\u009b2J": 1 } });
    await until(() => running.stdout().includes("clear"));
    for (const control of ["\u001b", "\u009b"]) expect(running.stdout()).not.toContain(control);
    expect(running.stdout()).toContain('clear\\u001b[2J {"\\u009b2J":1}');
  });
});

test("a state that is no JSON, and a log that is none, are shown as they are and end nothing", async () => {
  const odd = `const self: any = { n: 1n }; self.self = self;
export default {
  slug: "odd", initialState: self,
  reduce: ({ state }: any) => ({ ...state, n: state.n + 1n, self: { ...state.self } }),
  afterAppend({ logger }: any) { logger.warn("round", self); logger.error("wrong", new Error("said")); },
};`;
  const at = written({ "p.ts": odd });
  const running = await started(at("p.ts"), "--path", "/odd");
  await append(server.url, "/odd", ping(1));
  await until(() => running.stdout().split("acted in").length > 2);
  expect(running.stdout()).toMatch(/\/odd@2 {3}state: n 2n -> 3n/);
  expect(running.stdout()).toContain("warn: round <ref *1> { n: 1n, self: [Circular *1] }");
  expect(running.stdout()).toContain("error: wrong said");
  const json = await started(at("p.ts"), "--path", "/odd", "--json");
  await append(server.url, "/odd", ping(2));
  await until(() => json.told("log").length > 1);
  expect(json.told("log").map(({ details }) => details)).toEqual([
    "<ref *1> { n: 1n, self: [Circular *1] }",
    "Error: said",
  ]);
});

test("packages of the author's directory, CommonJS too, and files beside its own are found", async () => {
  const at = written({
    "node_modules/modern/package.json": '{"name":"modern","exports":{"import":"./i.mjs"}}',
    "node_modules/modern/i.mjs": 'export const modern = "modern";',
    "node_modules/old/package.json": '{"name":"old","main":"i.js"}',
    "node_modules/old/i.js": 'module.exports = require("node:path").basename("/x/old");',
    "prompts/prompt.txt": "be brief",
    "prompts/prompt.ts": `import { readFileSync } from "node:fs";
export const prompt: string = readFileSync(new URL("./prompt.txt", import.meta.url), "utf8");`,
    "p.ts": `import { modern } from "modern";
import old from "old";
import { prompt } from "./prompts/prompt.ts";
enum Kind { Found = "found" }
export const finder = {
  slug: "finder",
  initialState: null,
  reduce() {},
  afterAppend: ({ event, append }: any) => event.type === "ping" && append({ type: Kind.Found, payload: [modern, old, prompt] }),
};`,
  });
  await started(at("p.ts"), "--path", "/found");
  await append(server.url, "/found", ping(1));
  await follow(server.url, "/found", "", ({ type }) => type === "found");
  expect((await readAll(server.url, "/found")).at(-1)?.payload).toEqual(["modern", "old", "be brief"]);
});

test("--cursor FILE: the next start goes on there, and a file that is in use is said", async () => {
  const at = written({
    "p.ts": pingPong.replace("initialState", 'catchUp: "act",\n  initialState'),
    "luck.ts": luck,
  });
  const args = [at("p.ts"), "--path", "/kept", "--cursor", at("kept.jsonl")] as const;
  const first = await started(...args);
  await append(server.url, "/kept", ping(1));
  await pong("/kept", 1);
  const second = await run(["run", ...args, "--url", server.url]);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain("kept.jsonl");
  first.child.kill("SIGINT");
  await first.exited;
  await append(server.url, "/kept", [ping(2), ping(3)]);
  await started(...args);
  await pong("/kept", 3);
  const pongs = (await readAll(server.url, "/kept")).filter(({ type }) => type === "pong");
  expect(pongs.map(({ payload }) => payload)).toEqual([1, 2, 3].map((n) => ({ n, count: n })));
});

test("--server-cursor: given back at Ctrl-C, so the next start goes on at once; a second one is refused", async () => {
  const at = written({ "p.ts": pingPong, "luck.ts": luck });
  const args = [at("p.ts"), "--path", "/server/*", "--server-cursor", "--json"] as const;
  await append(server.url, "/server/a", ping(1));
  const first = await started(...args);
  await append(server.url, "/server/a", ping(2));
  await pong("/server/a", 2);
  const { stdout: held } = await run(["cursors", "list", "/server/a", "--json", "--url", server.url]);
  const [{ runtimeId } = { runtimeId: "" }] = lines(held) as { runtimeId: string }[];
  expect(runtimeId).toMatch(/^[0-9a-f]{30}$/);
  first.child.kill("SIGINT");
  expect((await first.exited).code).toBe(130);
  await append(server.url, "/server/a", ping(3));
  await append(server.url, "/server/born", ping(4));

  const began = performance.now();
  const second = await started(...args);
  // A holder that is gone without a word is waited for half a minute.
  expect(performance.now() - began).toBeLessThan(15_000);
  await append(server.url, "/server/a", ping(5));
  await pong("/server/a", 5);
  const pongs = (await readAll(server.url, "/server/a")).filter(({ type }) => type === "pong");
  expect(pongs.map(({ payload }) => payload)).toEqual([
    { n: 2, count: 2 },
    { n: 5, count: 4 },
  ]);
  second.child.kill("SIGTERM");
  await second.exited;
});

test("cursors list and rm", async () => {
  const env = { MILLRACE_URL: server.url };
  await append(server.url, "/listed", [ping(1), ping(2)]);
  expect((await run(["cursors", "list", "/listed"], env)).stderr).toContain("no processor keeps a cursor at /listed");
  const put = (slug: string, cursor: object) =>
    fetch(`${server.url}/api/cursors/${slug}/listed`, {
      method: "PUT",
      body: JSON.stringify({ epoch: "1", runtimeId: "laptop", replaces: null, ...cursor }),
    });
  await put("greeter", { offset: 1 });
  await put("tree", { offset: 3, release: true });
  const table = (await run(["cursors", "list", "/listed"], env)).stdout.replaceAll(/ +/g, " ");
  expect(table).toMatch(/^SLUG CURSOR LAG HELD BY SILENT MOVED\n/);
  expect(table).toMatch(/\ngreeter 1 2 laptop \d+ s 20/);
  expect(table).toMatch(/\ntree 3 0 - - 20/);
  const { stdout } = await run(["cursors", "rm", "/listed", "greeter", "--json"], env);
  expect(lines(stdout)).toEqual([{ deleted: true, slug: "greeter", path: "/listed" }]);
  const again = await run(["cursors", "rm", "/listed", "greeter"], env);
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('There is no cursor "greeter"')]);
  expect(lines((await run(["cursors", "list", "/listed", "--json"], env)).stdout)).toMatchObject([{ slug: "tree" }]);
});

describe("--watch", () => {
  test("another version takes the place, and what came meanwhile is acted on", async () => {
    const at = written({ "p.ts": pingPong, "luck.ts": luck });
    const running = await started(at("p.ts"), "--path", "/watched", "--children", "--watch", "--json");
    await append(server.url, "/watched", ping(1));
    await pong("/watched", 1);
    writeFileSync(at("luck.ts"), "export function unlucky( {");
    await until(() => running.stderr().includes("does not compile"));
    expect(running.stderr()).toMatch(/luck\.ts:1:27: /);
    await append(server.url, "/watched", ping(2));
    await pong("/watched", 2);

    // One that ends slowly, so that it is known that something comes while it does.
    const slow = pingPong.replace("unlucky(n);", "unlucky(n);\n    await new Promise(() => {});");
    writeFileSync(at("p.ts"), slow);
    writeFileSync(at("luck.ts"), luck);
    await until(() => running.stderr().includes("runs in a new version"));
    await append(server.url, "/watched", ping(3));
    await until(() => running.told("event").some(({ payload }) => (payload as { n: number }).n === 3));
    writeFileSync(at("p.ts"), pingPong.replace('"pong"', '"pong-2"'));
    await append(server.url, "/watched/born", ping(1));
    await append(server.url, "/watched", ping(4));
    await pong("/watched", 4);
    await pong("/watched/born", 1);
    const pongs = (await readAll(server.url, "/watched")).filter(({ type }) => type.startsWith("pong"));
    expect(pongs.map(({ type, payload }) => [type, payload])).toEqual([
      ["pong", { n: 1, count: 1 }],
      ["pong", { n: 2, count: 2 }],
      ["pong-2", { n: 3, count: 3 }],
      ["pong-2", { n: 4, count: 4 }],
    ]);
    running.child.kill("SIGTERM");
    expect((await running.exited).code).toBe(0);
  });
});

test("while versions change under load nothing is lost and nothing is answered twice", async () => {
  const at = written({ "p.ts": pingPong, "luck.ts": "export function unlucky(): void {}" });
  await append(server.url, "/load/a", breakerOff);
  const running = await started(at("p.ts"), "--path", "/load", "--children", "--watch", "--json");
  let sent = 0;
  for (let version = 1; version <= 3; version++) {
    const seen = () => running.stderr().split("runs in a new version").length - 1;
    writeFileSync(at("luck.ts"), `export function unlucky(): void {} // ${version}`);
    while (seen() < version) await append(server.url, "/load/a", ping(++sent));
  }
  await append(server.url, "/load/a", ping(++sent));
  await pong("/load/a", sent);
  const pongs = (await readAll(server.url, "/load/a")).filter(({ type }) => type === "pong");
  const expected = Array.from({ length: sent }, (_, i) => ({ n: i + 1, count: i + 1 }));
  expect(pongs.map(({ payload }) => payload)).toEqual(expected);
});

describe("how it ends", () => {
  const stubborn = `setInterval(() => {}, 1000);
export default { slug: "stubborn", initialState: 0, reduce() {}, afterAppend: () => new Promise(() => {}) };`;

  test("a second Ctrl-C does not wait for the hook; nor does anything of the author's hold the process", async () => {
    const at = written({ "p.mjs": stubborn });
    const running = await started(at("p.mjs"), "--path", "/stubborn", "--json");
    await append(server.url, "/stubborn", ping(1));
    await until(() => running.told("event").length > 0);
    running.child.kill("SIGINT");
    const again = setInterval(() => running.child.kill("SIGINT"), 100);
    onTestFinished(() => clearInterval(again));
    const began = performance.now();
    expect((await running.exited).code).toBe(130);
    expect(performance.now() - began).toBeLessThan(4_000);

    const idle = await started(at("p.mjs"), "--path", "/idle");
    idle.child.kill("SIGINT");
    expect(await idle.exited).toMatchObject({ code: 130 });
  });

  test("a server that is not there is exit code 3", async () => {
    const at = written({ "p.ts": pingPong, "luck.ts": luck });
    const { code, stderr } = await run(["run", at("p.ts"), "--path", "/x", "--url", "http://127.0.0.1:1"]);
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("millrace serve") });
  });
});

describe("what is no processor", () => {
  const define = (rest: string) => `export const one = { slug: "one", initialState: 0, ${rest} };`;
  const wrong: [string, string, number, RegExp][] = [
    ["nothing is exported", "const x = 1;", 2, /exports no processor, but nothing\. Expected: export default/],
    ["others are", "export const [a, b] = [1, 2];", 2, /exports no processor, but a, b\./],
    ["two are", `${define("reduce() {}")} export const two = { ...one };`, 2, /several processors \(one, two\)/],
    ["no slug", 'export default { slug: "", reduce() {} };', 2, /needs a slug, a string of 1 to 255 characters/],
    ["no state", 'export default { slug: "x", reduce() {} };', 2, /needs an initialState/],
    ["no reducer", define("afterAppend() {}"), 2, /needs reduce, a function/],
    ["a hook is none", define("reduce() {}, afterAppend: 1"), 2, /has afterAppend, which is no function/],
    ["it does not compile", "let x: = 1;", 1, /does not compile:\np\.ts:1:8: Unexpected "="\n {4}let x: = 1;/],
    ["a package is missing", 'import "no-such-package";', 1, /Could not resolve "no-such-package"/],
    [
      "it throws",
      'const x: number = 1;\nthrow new Error("at once");',
      1,
      /could not be loaded: Error: at once \(.*p\.ts:2:7\)/,
    ],
  ];
  test.each(wrong)("%s", async (_, text, expected, message) => {
    const at = written({ "p.ts": text });
    const { code, stderr, stdout } = await run(["run", at("p.ts"), "--path", "/x", "--url", server.url]);
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" });
    expect(stderr).toMatch(message);
  });

  test.each([
    [["nowhere.ts", "--path", "/x"], /nowhere\.ts cannot be read/],
    [["p.ts"], /--path is missing/],
    [["p.ts", "--path", "/x", "--env", "NO_SUCH_VARIABLE"], /--env NO_SUCH_VARIABLE: there is no such variable/],
    [["p.ts", "--path", "/x", "--start-from", "middle"], /--start-from is start, end or an offset; got "middle"/],
  ])("wrong usage: %s", async (args, message) => {
    const { code, stderr } = await run(["run", ...args, "--url", server.url]);
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});
