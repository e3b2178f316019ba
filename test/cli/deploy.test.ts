/** `millrace deploy`, `undeploy` and `processors`: what is appended, what is said, and where it ends. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { processorKind } from "@millrace/engine";
import type { JsonObject, LoadedProcessor, StreamEvent } from "@millrace/protocol";
import { type RunningServer, serve } from "millrace";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { append, builtin, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { luck, pingPong, written } from "./processor-files.ts";
import { lines, run } from "./run.ts";

/** Runs what is deployed, without any sandbox: what that does is none of the command's business. */
const inProcess = processorKind(async ({ payload }) => {
  const { modules } = payload as unknown as { modules: Record<string, string> };
  const source = encodeURIComponent(modules["processor.js"] as string);
  const module = (await import(`data:text/javascript,${source}`)) as { default: LoadedProcessor };
  return module.default;
});

let server: RunningServer;
let env: Record<string, string>;

beforeAll(async () => {
  const onFatal = (message: string) => expect.unreachable(message);
  server = await serve({
    port: 0,
    host: "127.0.0.1",
    data: ":memory:",
    sandbox: false,
    consumers: [inProcess],
    onFatal,
  });
  env = { MILLRACE_URL: server.url };
});
afterAll(() => server.close());

const deploy = (file: string, path: string, ...args: string[]) => run(["deploy", file, "--path", path, ...args], env);

async function configured(path: string): Promise<(JsonObject & { modules: Record<string, string> })[]> {
  const events = await readAll(server.url, path, "public", "&type=*dynamic-worker/configured");
  return events.map(({ payload }: StreamEvent) => payload as JsonObject & { modules: Record<string, string> });
}

const simple = (extra = "") =>
  `export default { slug: "simple", initialState: {}, reduce: ({ state }) => state, ${extra} };\n`;

describe("deploy", () => {
  test("bundles TypeScript, our packages and others, runs, and says which", async () => {
    const at = written({
      "ping-pong.ts": `import shout from "shout";\nimport prompt from "./prompt.md";\n${pingPong.replace('"pong"', "shout(prompt)")}`,
      "luck.ts": luck,
      "prompt.md": "pong",
      "node_modules/shout/package.json": '{"name":"shout","exports":{"worker":"./worker.js","default":"./other.js"}}',
      "node_modules/shout/worker.js":
        'import { EventEmitter } from "events"; export default (text) => new EventEmitter() && text + "!";',
      "node_modules/shout/other.js": 'throw new Error("not for workers");',
    });
    const { code, stdout, stderr } = await deploy(at("ping-pong.ts"), "/all", "--env", "WHO=me");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^deployed ping-pong to \/all: version 2, [\d.]+ KiB of code\nping-pong is running\n$/);
    const [payload] = await configured("/all");
    expect(payload).toEqual({ slug: "ping-pong", env: { WHO: "me" }, modules: { "processor.js": expect.any(String) } });
    const source = payload?.modules["processor.js"] as string;
    expect(source).toContain('from "node:events"');
    const [, encoded = ""] = /sourceMappingURL=data:application\/json;base64,(.*)/.exec(source) ?? [];
    const map = JSON.parse(Buffer.from(encoded, "base64").toString()) as {
      sources: string[];
      sourcesContent?: unknown;
    };
    expect(map.sources).toEqual(expect.arrayContaining(["luck.ts", "ping-pong.ts", "node_modules/shout/worker.js"]));
    expect(map.sourcesContent).toBeUndefined();
    await append(server.url, "/all", { type: "ping", payload: { n: 1 } });
    await expect.poll(async () => (await readAll(server.url, "/all")).at(-1)?.type).toBe("pong!");
  });

  test("for programs", async () => {
    const at = written({ "p.js": simple() });
    const { code, stdout } = await deploy(at("p.js"), "/json", "--json", "--slug", "mine", "--children");
    expect(code).toBe(0);
    const bytes = (await configured("/json"))[0]?.modules["processor.js"]?.length;
    expect(lines(stdout)).toEqual([{ path: "/json", slug: "mine", version: 2, bytes, status: "running" }]);
    expect((await configured("/json"))[0]).toMatchObject({ slug: "mine", includeChildren: true });
  });

  test("startFrom of the code is for the first time, --start-from for each", async () => {
    const at = written({ "p.js": simple('startFrom: "start"') });
    await deploy(at("p.js"), "/start", "--no-wait");
    await deploy(at("p.js"), "/start", "--no-wait");
    await deploy(at("p.js"), "/start", "--no-wait", "--start-from", "1");
    expect((await configured("/start")).map(({ startFrom }) => startFrom)).toEqual(["start", undefined, 1]);
  });

  test("what cannot be folded is said, with exit code 1", async () => {
    const at = written({
      "p.js": 'export default { slug: "bad", initialState: {}, reduce() { throw new Error("never"); } };',
    });
    const { code, stderr } = await deploy(at("p.js"), "/bad", "--start-from", "start");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: bad halted: at offset 1: .*never/);
  });

  test.each([
    ["a key in the value", "MODEL=sk-proj-0123456789abcdef", true],
    ["a key by its name", "API_TOKEN=hunter22222", true],
    ["a placeholder", "API_TOKEN={{secret:API_TOKEN}}", false],
    ["a plain value", "MODEL=gpt-5-mini", false],
  ])("--env with %s", async (_, pair, warned) => {
    const at = written({ "p.js": simple() });
    const { code, stderr } = await deploy(at("p.js"), "/keys", "--no-wait", "--env", pair);
    expect(code).toBe(0);
    expect(stderr.includes("{{secret:")).toBe(warned);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    [
      "that does not compile",
      { "p.ts": "export default {\n  slug: ,\n};" },
      /does not compile:\np\.ts:2:9: Unexpected/,
    ],
    [
      "without its package",
      { "p.ts": 'import "left-pad-that-is-not-there";' },
      /p\.ts:1:8: Could not resolve "left-pad/,
    ],
    [
      "that throws when it is loaded",
      { "p.ts": "\nthrow new TypeError('oh');\nexport default 1;" },
      /could not be loaded: TypeError: oh \(p\.ts:2:7\)/,
    ],
    ["without a processor", { "p.ts": "export const a = 1;" }, /no processor as its default export; it exports a\./],
    ["without a slug", { "p.ts": "export default { reduce() {} };" }, /has no slug: say it with --slug/],
    [
      "for the sandbox alone",
      { "p.ts": 'import "cloudflare:workers";\nexport default {}' },
      /in the sandbox alone .*--slug/,
    ],
  ])("a file %s is refused before anything is sent", async (_, files, message) => {
    const { code, stdout, stderr } = await deploy(written(files)("p.ts"), "/refused");
    expect({ stdout, refused: code === 1 || code === 2 }).toEqual({ stdout: "", refused: true });
    expect(stderr).toMatch(message);
    expect((await run(["state", "/refused"], env)).code).toBe(1);
  });

  test("with --slug code for the sandbox alone is deployed as it is", async () => {
    const at = written({ "p.ts": 'import { env } from "cloudflare:workers";\nexport default { reduce: () => env };' });
    expect((await deploy(at("p.ts"), "/cloudflare", "--slug", "c", "--no-wait")).code).toBe(0);
    expect((await configured("/cloudflare"))[0]?.modules["processor.js"]).toContain('from "cloudflare:workers"');
  });

  test("large code is minified, then it loses its map, then it is refused with what makes it large", async () => {
    // Names that minifying shortens, and texts that it cannot.
    const names = (count: number) =>
      Array.from(
        { length: count },
        (_, i) => `export function aFunctionWithAVeryLongName${i}(anArgument) { return anArgument + ${i}; }`,
      ).join("\n");
    const text = (megabytes: number) => `export const text = "${"x".repeat(megabytes * 1024 * 1024)}";\n`;
    const at = written({
      "minified.js": `${simple("all")}import * as all from "./names.js";`,
      "names.js": names(40_000),
      "large.js": `${simple("text")}import { text } from "big";`,
      "node_modules/big/package.json": '{"name":"big","main":"index.js"}',
      "node_modules/big/index.js": text(5),
    });
    const minified = await deploy(at("minified.js"), "/large", "--no-wait");
    expect(minified.stderr).toMatch(/^millrace: the code is large: it is deployed minified/);
    expect(minified.code).toBe(0);
    const refused = await deploy(at("large.js"), "/too-large");
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(
      /too large to be deployed: 5\.00 MiB .* 4\.00 MiB are allowed.*\n +5\.00 MiB {2}big\n/,
    );
  });
});

test("where deployed processors are not run it is deployed, and said not to run", async () => {
  const onFatal = (message: string) => expect.unreachable(message);
  const plain = await serve({ port: 0, host: "127.0.0.1", data: ":memory:", sandbox: false, onFatal });
  onTestFinished(() => plain.close());
  const at = written({ "p.js": simple() });
  const { code, stdout, stderr } = await run(["deploy", at("p.js"), "--path", "/a", "--json"], {
    MILLRACE_URL: plain.url,
  });
  expect(code).toBe(1);
  expect(lines(stdout)).toMatchObject([{ slug: "simple", version: 2, status: "not-running" }]);
  expect(stderr).toBe("millrace: simple does not run: this server does not run deployed processors\n");
});

describe("in the sandbox itself", () => {
  let sandboxed: ServerProcess;
  beforeAll(async () => {
    sandboxed = await startServer({ data: ":memory:" });
    return () => sandboxed.stop("SIGTERM");
  });

  test("a bundle runs, and its errors name the author's files and lines", async () => {
    const at = written({ "ping-pong.ts": pingPong, "luck.ts": luck });
    const where = { MILLRACE_URL: sandboxed.url };
    const { code, stdout } = await run(["deploy", at("ping-pong.ts"), "--path", "/a", "--env", "WHO=me"], where);
    expect({ code, running: stdout.endsWith("ping-pong is running\n") }).toEqual({ code: 0, running: true });
    await append(
      sandboxed.url,
      "/a",
      [1, 13].map((n) => ({ type: "ping", payload: { n } })),
    );
    const said = async () =>
      (await readAll(sandboxed.url, "/a", "public", "&type=*error-occurred")).map(
        ({ payload }) => (payload as { message: string }).message,
      );
    await expect
      .poll(said, { timeout: 10_000 })
      .toEqual([expect.stringMatching(/TypeError: bad luck \(at unlucky \(luck\.ts:3:23\)\)/)]);
    await run(["deploy", at("ping-pong.ts"), "--path", "/b"], where);
    await append(sandboxed.url, "/b", { type: "broken" });
    const processors = async () => (await run(["processors", "/b"], where)).stdout;
    await expect
      .poll(processors, { timeout: 10_000 })
      .toMatch(/halted at \d+ .*RangeError: cannot be folded \(at .*ping-pong\.ts:12:\d+\)/);
  });

  test("what a package throws names the line that called it", async () => {
    const at = written({
      "p.js":
        'import { fail } from "faulty";\n\nexport default {\n  slug: "p",\n  async afterAppend({ event }) {\n    if (event.type === "a") await fail();\n  },\n};\n',
      "node_modules/faulty/package.json": '{"name":"faulty","type":"module","exports":"./index.js"}',
      "node_modules/faulty/index.js": "export async function fail() {\n  await null;\n  JSON.parse('{');\n}\n",
    });
    const where = { MILLRACE_URL: sandboxed.url };
    expect((await run(["deploy", at("p.js"), "--path", "/package"], where)).code).toBe(0);
    await append(sandboxed.url, "/package", { type: "a" });
    const processors = async () => (await run(["processors", "/package"], where)).stdout;
    await expect.poll(processors, { timeout: 10_000 }).toMatch(/SyntaxError: .* \(at .*\(?p\.js:6:\d+\)+/);
  });
});

describe("lists", () => {
  beforeAll(async () => {
    const { directory, remove } = temporaryDirectory();
    const file = path.join(directory, "p.js");
    writeFileSync(file, simple());
    for (const [stream, slug] of [
      ["/list", "b"],
      ["/list", "a"],
      ["/list", "a"],
      ["/list/below", "c"],
      ["/list", "gone"],
    ] as const)
      await deploy(file, stream, "--slug", slug);
    await run(["undeploy", "gone", "--path", "/list"], env);
    await append(server.url, "/list/none", { type: "a" });
    return remove;
  });

  test("for people", async () => {
    const { code, stdout, stderr } = await run(["processors", "/list"], env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [head, ...rows] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
    expect(head).toEqual(["SLUG", "VERSION", "BYTES", "CURSOR", "LAG", "STATUS", "NEXT ATTEMPT", "LAST ERROR"]);
    expect(rows.map(([slug, version]) => [slug, version])).toEqual([
      ["a", "4"],
      ["b", "2"],
    ]);
    const below = await run(["processors", "/list", "--children"], env);
    expect(below.stdout.split("\n").map((line) => line.split(/ {2,}/).slice(0, 2))).toEqual([
      ["PATH", "SLUG"],
      ["/list", "a"],
      ["/list", "b"],
      ["/list/below", "c"],
      [""],
    ]);
  });

  test("for programs, without the code", async () => {
    const { stdout } = await run(["processors", "/list/below", "--json"], env);
    expect(lines(stdout)).toEqual([
      {
        path: "/list/below",
        slug: "c",
        offset: 2,
        bytes: expect.any(Number),
        configuration: { slug: "c" },
        consumer: expect.objectContaining({ kind: "processor" }),
      },
    ]);
  });

  test("none, and no stream", async () => {
    const none = await run(["processors", "/list/none"], env);
    expect(none).toMatchObject({ code: 0, stdout: "" });
    expect(none.stderr).toContain("there is no deployed processor at /list/none");
    expect((await run(["processors", "/list/typo"], env)).code).toBe(1);
  });
});

test("undeploy ends it, also of a paused stream; then there is none", async () => {
  const at = written({ "p.js": simple() });
  await deploy(at("p.js"), "/undeploy");
  await run(["pause", "/undeploy"], env);
  const { code, stdout } = await run(["undeploy", "simple", "--path", "/undeploy", "--json"], env);
  expect(code).toBe(0);
  expect(lines(stdout)).toMatchObject([{ type: builtin("dynamic-worker/removed"), payload: { slug: "simple" } }]);
  const again = await run(["undeploy", "simple", "--path", "/undeploy"], env);
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain('/undeploy has no processor "simple"; see millrace processors /undeploy');
});
