/** What becomes of the modules of a deployed processor: one script, or words that its author can act on. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { CodeError, SandboxError } from "@millrace/engine";
import { transformSync } from "esbuild";
import { afterAll, describe, expect, test } from "vitest";
import { authorsLines } from "../dist/sandbox/authors-lines.js";
import { transformAlone } from "../dist/sandbox/compile/transform-alone.js";
import { type CompiledProcessor, createCompiler } from "../dist/sandbox/compile.js";

const compiler = createCompiler();
const directory = mkdtempSync(path.join(tmpdir(), "millrace-compile-"));
afterAll(() => {
  compiler.close();
  rmSync(directory, { recursive: true });
});

/** What imports anything takes a compiler. */
const imports = 'import "node:events"; ';

const compile = (modules: Record<string, string>, main = "processor.ts") => compiler.compile({ modules, main });

async function faultOf(
  modules: Record<string, string>,
  by = compiler,
): Promise<Pick<SandboxError, "reason" | "message">> {
  const outcome = await by.compile({ modules, main: "processor.ts" }).catch((error: SandboxError) => error);
  if ("script" in outcome) throw new Error("It was compiled.");
  return { reason: outcome.reason, message: outcome.message };
}

async function run({ script }: CompiledProcessor): Promise<Record<string, unknown>> {
  const file = path.join(mkdtempSync(path.join(directory, "module-")), "processor.js");
  writeFileSync(file, script);
  return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
}

test("TypeScript, JavaScript, JSON and text become one module", async () => {
  const compiled = await compile({
    "processor.ts": `
      import { one } from "./lib/one";
      import two from "./two.js";
      import data from "./data.json";
      import prompt from "./prompt.md";
      import plain from "./plain.js" with { type: "text" };
      import { EventEmitter } from "node:events";
      import fs from "fs";
      const kind: string = typeof EventEmitter + typeof fs.readFileSync;
      export default { one, two, data, prompt, plain, kind };`,
    "lib/one.ts": `import { deep } from "../deep"; export const one = deep satisfies number;`,
    "deep/index.js": "exports.deep = require('events') === require('node:events') ? 1 : 0;",
    "two.ts": "enum Two { two = 2 } export default Two.two;",
    "data.json": '{"a":[1]}',
    "prompt.md": "# Be kind\n",
    "plain.js": "throw 1;",
  });
  expect((await run(compiled)).default).toEqual({
    ...{ one: 1, two: 2, data: { a: [1] }, prompt: "# Be kind\n", plain: "throw 1;" },
    kind: "functionfunction",
  });
  const imports = [...compiled.script.matchAll(/^import .* from "(.*)";$/gm)].map((match) => match[1]);
  expect(new Set(imports)).toEqual(new Set(["node:events", "node:fs"]));
});

test.each<[string, Record<string, string>, RegExp]>([
  [
    "a syntax error",
    { "processor.ts": "export default {\n  reduce: (] => 1,\n};" },
    /^processor\.ts:2:12: Unexpected .*\n {4}reduce:/,
  ],
  ["in another module", { "processor.ts": 'export * from "./b"', "b.js": "\n\nlet let" }, /^b\.js:3:5: /],
  [
    "a package",
    { "processor.ts": '\nimport OpenAI from "openai"; new OpenAI();' },
    /^processor\.ts:2:20: "openai" .* millrace deploy bundles packages/,
  ],
  ["required", { "processor.ts": 'require("left-pad")' }, /^processor\.ts:1:9: "left-pad" is none/],
  [
    "a missing module",
    { "processor.ts": 'import "./no"; export default 1' },
    /^processor\.ts:1:8: "\.\/no" is none of the modules \(processor\.ts\)\./,
  ],
  [
    "a missing export",
    { "processor.ts": 'import { a } from "./b"; a()', "b.ts": "export {}" },
    /^processor\.ts:1:10: No matching export/,
  ],
  ["JSON that is none", { "processor.ts": 'import a from "./a.json"; a()', "a.json": "{" }, /^a\.json:1:2: /],
  ["outside, by path", { "processor.ts": 'import "../../etc/passwd"' }, /is none of the modules/],
  ["outside, absolute", { "processor.ts": 'import "/etc/passwd"' }, /is none of the modules/],
  ["outside, by URL", { "processor.ts": 'import "file:///etc/passwd"' }, /is none of the modules/],
  [
    "a very long name",
    { "processor.ts": `import "${"x".repeat(1_000_000)}"` },
    /^processor\.ts:1:8: "x{999}\n {4}import "x{191,193}$/,
  ],
  ["from the network", { "processor.ts": 'import "https://example.com/a.js"' }, /is none of the modules/],
])("%s is told with its place", async (_, modules, message) => {
  const fault = await faultOf(modules);
  expect(fault.message).toMatch(message);
  expect(fault.reason).toBe("code");
});

test.each([
  ["file URL", (file: string) => pathToFileURL(file).href],
  ["path", (file: string) => file],
])("a source map by %s is not looked for on this machine", async (_, address) => {
  const file = path.join(directory, "stolen.map");
  writeFileSync(file, JSON.stringify({ version: 3, sources: ["stolen.ts"], names: [], mappings: "AAAA" }));
  const compiled = await compile({ "processor.ts": `export default 1;\n//# sourceMappingURL=${address(file)}\n` });
  expect(JSON.parse(compiled.map.json).sources).toEqual(["processor.ts"]);
});

test.each([
  ["nested too deeply", `export default ${"[".repeat(2_000_000)}1${"]".repeat(2_000_000)}`],
  ["constants that double", `enum A { a0 = "0123456789abcdef", ${doublings(40)} }; export default A.a40;`],
])("code that would end its compiler is refused, and the next one compiles: %s", async (_, source) => {
  const fault = await faultOf({ "processor.ts": source });
  expect(fault).toEqual({
    reason: "code",
    message: expect.stringMatching(/^It cannot be compiled: the compiler ended/),
  });
  expect((await run(await compile({ "processor.ts": "export default 7" }))).default).toBe(7);
});

test("what takes too long is ended, with all that runs for it, and is not remembered", async () => {
  const impatient = createCompiler({ timeoutMs: 300, processesMax: 1 });
  const quick = impatient.compile({ modules: { "a.js": `${imports}export default 1` }, main: "a.js" });
  await quick.catch(() => {});
  const slow = { "processor.ts": `export default ${"(".repeat(400_000)}1${")".repeat(400_000)}` };
  expect(await faultOf(slow, impatient)).toEqual({ reason: "code", message: "It took longer than 0.3 s to compile." });
  impatient.close();
});

test("more than may wait are refused as a shortage, not as bad code", async () => {
  const narrow = createCompiler({ waitingMax: 1, processesMax: 1 });
  const both = [`${imports}export default 1`, `${imports}export default 2`].map((source) =>
    narrow.compile({ modules: { "a.js": source }, main: "a.js" }).then(
      () => "compiled",
      (error: SandboxError) => error.reason,
    ),
  );
  expect((await Promise.all(both)).sort()).toEqual(["compiled", "unavailable"]);
  narrow.close();
});

test("the same code is compiled once, other names and mains are other code", async () => {
  const modules = { "a.ts": "export default 1", "b.ts": "export default 2" };
  const [first, second] = await Promise.all([compile(modules, "a.ts"), compile({ ...modules }, "a.ts")]);
  expect(second.map).toBe(first.map);
  expect((await compile(modules, "a.ts")).map).toBe(first.map);
  expect((await compile(modules, "b.ts")).script).not.toBe(first.script);
});

test("what is remembered is bounded", async () => {
  const forgetful = createCompiler({ rememberedCharacters: 1 });
  const input = { modules: { "a.ts": "export default 1" }, main: "a.ts" };
  expect((await forgetful.compile(input)).map).not.toBe((await forgetful.compile(input)).map);
  forgetful.close();
});

test("4 MiB are compiled", async () => {
  const line = `export const a = { text: "${"x".repeat(1000)}" };\n`;
  const source = Array.from({ length: 4_000 }, (_, i) => line.replace("a =", `a${i} =`)).join("");
  const compiled = await compile({ "processor.ts": `${source}export default a3999.text.length` });
  expect((await run(compiled)).default).toBe(1_000);
});

test("frames lead to the author's lines, through the map in a bundle too; others are left out", async () => {
  const source = "type A = string;\n\nexport function fail(text: A): never {\n  return JSON.parse(text) as never;\n}\n";
  const bundled = transformSync(source, {
    loader: "ts",
    sourcemap: "inline",
    sourcefile: "src/fail.ts",
    sourcesContent: false,
  });
  const compiled = await compile({
    "processor.ts": 'import { fail } from "./fail.js";\n\nexport default { reduce: () => fail("{") };\n',
    "fail.js": bundled.code,
  });
  const { default: processor } = (await run(compiled)) as { default: { reduce(): void } };
  const told = authorsLines(
    errorOf(() => processor.reduce()),
    compiled.map,
  );
  const frames = (told.stack as string).split("\n").filter((line) => line.startsWith("    at "));
  expect(frames).toEqual([
    "    at JSON.parse (<anonymous>)",
    "    at fail (src/fail.ts:4:15)",
    "    at Object.reduce (processor.ts:3:32)",
  ]);
  expect(told).toMatchObject({ name: "SyntaxError" });
});

test.each<[string, string, string]>([
  ["without a function's name", "Error: x\n    at processor.js:2:1", "Error: x\n    at processor.ts:1:1"],
  [
    "asynchronous",
    "Error: x\n    at async afterAppend (file:///a/processor.js:2:1)",
    "Error: x\n    at async afterAppend (processor.ts:1:1)",
  ],
  ["of the harness alone", "Error: a\nb\n    at fold (harness.js:2:1)", "Error: a\nb"],
  ["without frames", "Error: x", "Error: x"],
])("a stack %s", async (_, stack, expected) => {
  const { map } = await compile({ "processor.ts": "globalThis.x = 1;\nexport default 2;" });
  expect(authorsLines({ name: "Error", message: "x", stack }, map).stack).toBe(expected);
});

describe("one module that imports nothing is compiled without a compiler", () => {
  const alone = (source: string, main = "processor.ts") => transformAlone({ modules: { [main]: source }, main }, 1_024);

  test.each([
    ["TypeScript", "enum E { a = 7 }\nexport default { kind: E.a as number, ok: true satisfies boolean };"],
    [
      "a type from elsewhere",
      'import type { Processor } from "@millrace/sdk";\nexport default { kind: 1 } as Processor;',
    ],
    ["CommonJS", "module.exports = { default: { kind: 2 } };"],
    ["named exports", "export const processor = { kind: 3 };\nexport { processor as default };"],
    ["characters of all kinds", 'export default { kind: "\u{1F980} \u2028 \\u0041" };'],
  ])("as a compiler would: %s", async (_, source) => {
    const short = await alone(source);
    const long = await compile({ "processor.ts": source, "other.ts": "" });
    if (short === undefined) throw new Error("It took a compiler.");
    const run1 = await run({ script: short.script, map: { json: short.map } });
    expect(JSON.stringify(run1.default)).toBe(JSON.stringify((await run(long)).default));
    expect(short.script).not.toContain("sourceMappingURL");
  });

  test("its errors have the author's lines", async () => {
    const short = await alone("type A = { a: 1 };\n\n\nexport const fail = () => {\n  throw new Error('x');\n};");
    if (short === undefined) throw new Error("It took a compiler.");
    const { fail } = await run({ script: short.script, map: { json: short.map } });
    const { stack = "" } = errorOf(fail as () => void);
    const inSandbox = {
      name: "Error",
      message: "x",
      stack: stack.replace(/at (\w+) \(file:.*?processor\.js/, "at $1 (processor.js"),
    };
    expect(authorsLines(inSandbox, { json: short.map }).stack).toContain("processor.ts:5:9");
  });

  test.each([
    ["an import", 'import "node:events"; export default 1'],
    ["a file of this machine", 'import text from "/etc/hostname"; export default text'],
    ["a re-export", 'export * from "/etc/hostname"'],
    ["an import on the way", 'export default () => import("/etc/hostname")'],
    ["a require", 'export default require("fs")'],
    ["an error", "export default {"],
  ])("a compiler looks at %s", async (_, source) => {
    expect(await alone(source)).toBeUndefined();
  });

  test.each(["a/processor.ts", "--version.ts", "processor.json", "processor"])("and at %s", async (name) => {
    expect(await alone("export default 1", name)).toBeUndefined();
  });

  test("a source map that lies elsewhere is not read", async () => {
    const map = path.join(directory, "a.map");
    writeFileSync(map, JSON.stringify({ version: 3, sources: ["stolen.ts"], names: [], mappings: "AAAA" }));
    const short = await alone(`export default 1\n//# sourceMappingURL=file://${map}`);
    expect(short?.map).not.toContain("stolen");
  });
});

interface Listed {
  pid: number;
  args: string;
}

function childrenOf(parent: number): Listed[] {
  const listed = execFileSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8" }).trim().split("\n");
  return listed.flatMap((line) => {
    const [pid, ppid, ...args] = line.trim().split(/\s+/);
    return Number(ppid) === parent ? [{ pid: Number(pid), args: args.join(" ") }] : [];
  });
}

const compilersOf = (parent: number) => childrenOf(parent).filter(({ args }) => args.includes("compile/compiler.js"));

function isAlive({ pid }: Listed): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("the processes of a compiler end", () => {
  test("when it is closed", async () => {
    const ending = createCompiler();
    await ending.compile({ modules: { "a.js": `${imports}export default 1` }, main: "a.js" });
    const before = compilersOf(process.pid).length;
    ending.close();
    await expect.poll(() => compilersOf(process.pid).length, { timeout: 10_000 }).toBe(before - 1);
  });

  test("when the server is killed, also while they are busy", async () => {
    const program = fileURLToPath(new URL("./compile-slowly.mjs", import.meta.url));
    const server = spawn(process.execPath, [program], { stdio: "ignore" });
    const pid = server.pid as number;
    const family = () => compilersOf(pid).flatMap((compiler) => [compiler, ...childrenOf(compiler.pid)]);
    await expect.poll(() => family().length, { timeout: 10_000 }).toBe(2);
    const processes = family();
    server.kill("SIGKILL");
    await expect.poll(() => processes.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });
});

function errorOf(act: () => void): CodeError {
  try {
    act();
  } catch (error) {
    const { name, message, stack } = error as Error;
    return { name, message, ...(stack === undefined ? {} : { stack }) };
  }
  throw new Error("It did not throw.");
}

function doublings(count: number): string {
  return Array.from({ length: count }, (_, i) => `a${i + 1} = a${i} + a${i}`).join(", ");
}
