/** What becomes of files and the names of packages: one module, or words that an agent can repair its source from. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Bundled } from "@millrace/engine";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createBundler } from "../dist/bundler/bundler.js";
import { type MadePackage, type NpmRegistry, startRegistry } from "./npm-registry.ts";

let registry: NpmRegistry;
let bundler: ReturnType<typeof createBundler>;
const directory = mkdtempSync(path.join(tmpdir(), "millrace-bundler-"));

beforeAll(async () => {
  registry = await startRegistry();
  bundler = createBundler({ npmRegistry: registry.url });
});

beforeEach(() => {
  registry.asked = [];
  registry.intercept = () => false;
});

afterAll(async () => {
  await bundler.close();
  await registry.close();
  rmSync(directory, { recursive: true });
});

type Files = Record<string, string>;

/** A package of this project's own, as it lies on the disk. */
function installed(name: string): MadePackage {
  const folder = fileURLToPath(new URL(`../../../node_modules/${name}/`, import.meta.url));
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) =>
    /\.([cm]?js|json)$/.test(file),
  );
  const files = Object.fromEntries(names.map((file) => [file, readFileSync(path.join(folder, file), "utf8")]));
  const manifest = JSON.parse(files["package.json"] as string) as { version: string };
  return { name, version: manifest.version, manifest, files };
}

function bundle(files: Files, dependencies: Files = {}, by = bundler): Promise<Bundled> {
  const main = Object.keys(files)[0] as string;
  return by.bundle({ files, main, packageJson: { dependencies } }, new AbortController().signal);
}

async function codeOf(files: Files, dependencies?: Files): Promise<string> {
  const bundled = await bundle(files, dependencies);
  if ("fault" in bundled) throw new Error(bundled.fault);
  return bundled.modules["processor.js"] as string;
}

async function run(files: Files, dependencies?: Files): Promise<unknown> {
  const file = path.join(mkdtempSync(path.join(directory, "module-")), "processor.mjs");
  // Without its map, which would have the test runner look for the files.
  writeFileSync(file, (await codeOf(files, dependencies)).replace(/\n\/\/# sourceMappingURL=.*\n$/, ""));
  return ((await import(pathToFileURL(file).href)) as { default: unknown }).default;
}

async function faultOf(files: Files, dependencies?: Files, by = bundler): Promise<string> {
  const bundled = await bundle(files, dependencies, by);
  if ("modules" in bundled) throw new Error("It was bundled.");
  return bundled.fault;
}

test("files, two packages and what they depend on become one module", async () => {
  registry.put(
    {
      name: "greet",
      version: "1.2.0",
      manifest: { main: "lib", dependencies: { "@deep/words": "^2.0.0" } },
      files: { "lib/index.js": 'const { hello } = require("@deep/words"); exports.greet = (n) => hello + " " + n;' },
    },
    { name: "greet", version: "0.9.0" },
    { name: "@deep/words", version: "2.3.4", files: { "index.js": 'exports.hello = "hello";' } },
    {
      name: "modern",
      manifest: { exports: { ".": { node: "./node.js", worker: "./worker.mjs" }, "./part": "./lib/part.js" } },
      files: {
        "node.js": "throw 1;",
        "worker.mjs": 'export default "worker";',
        "lib/part.js": 'export const part = "part";',
      },
    },
  );
  const files = {
    "processor.ts": `
      import { greet } from "greet"; import modern from "modern"; import { part } from "modern/part";
      import { own } from "./lib/own"; import { Buffer } from "node:buffer";
      export default [greet("Ada"), modern, part, own satisfies string, typeof Buffer];`,
    "lib/own.ts": 'export const own: string = "own";',
  };
  expect(await run(files, { greet: "^1.0.0", modern: "latest" })).toEqual([
    "hello Ada",
    "worker",
    "part",
    "own",
    "function",
  ]);
});

test("two versions of a package stand beside each other, and one is enough where it fits", async () => {
  registry.put(
    { name: "both", version: "1.0.0", files: { "index.js": "exports.version = 1;" } },
    { name: "both", version: "2.0.0", files: { "index.js": "exports.version = 2;" } },
    {
      name: "old",
      manifest: { dependencies: { both: "^1.0.0" } },
      files: { "index.js": 'module.exports = require("both");' },
    },
    {
      name: "any",
      manifest: { dependencies: { both: ">=1" } },
      files: { "index.js": 'module.exports = require("both");' },
    },
    {
      name: "peer",
      manifest: { peerDependencies: { both: "^1.0.0" } },
      files: { "index.js": 'module.exports = require("both");' },
    },
  );
  const files = {
    "a.js":
      'import old from "old"; import any from "any"; import both from "both"; import peer from "peer"; export default [old.version, any.version, both.version, peer.version];',
  };
  expect(await run(files, { old: "1", any: "1", both: "2", peer: "1" })).toEqual([1, 2, 2, 2]);
});

test("what a package has for browsers is taken, its own imports are found, and an alias is another package", async () => {
  registry.put({
    name: "fields",
    manifest: {
      browser: { "./lib/node.js": "./lib/web.js", "native-thing": false },
      imports: { "#inner": { workerd: "./lib/inner.js", default: "./lib/other.js" } },
      main: "main.js",
    },
    files: {
      "main.js":
        'module.exports = [require("./lib/node"), require("#inner"), Object.keys(require("native-thing")).length, process.env.NODE_ENV];',
      "lib/node.js": 'module.exports = "node";',
      "lib/web.js": 'module.exports = "web";',
      "lib/inner.js": 'module.exports = "inner";',
      "lib/other.js": 'module.exports = "other";',
    },
  });
  const files = { "a.js": 'import all from "renamed"; export default all;' };
  expect(await run(files, { renamed: "npm:fields@^1" })).toEqual(["web", "inner", 0, "production"]);
});

test("the source map leads to the author's lines, and to those of packages by name and version", async () => {
  registry.put({
    name: "mapped",
    files: {
      "index.js": 'exports.fail = () => { throw new Error("x"); };\n//# sourceMappingURL=../../../../etc/passwd',
    },
  });
  const code = await codeOf({ "lib/a.ts": 'import { fail } from "mapped";\nexport default fail;' }, { mapped: "1" });
  const map = /base64,(.*)\n$/.exec(code)?.[1] ?? "";
  expect(JSON.parse(Buffer.from(map, "base64").toString()).sources).toEqual([
    "node_modules/mapped@1.0.0/index.js",
    "lib/a.ts",
  ]);
});

test("packages as they are published are bundled: those that this project itself uses", async () => {
  for (const name of ["zod", "hono", "standardwebhooks", "valibot", "croner", "semver"]) registry.put(installed(name));
  const { dependencies = {} } = installed("standardwebhooks").manifest as { dependencies?: Files };
  for (const name of Object.keys(dependencies)) registry.put(installed(name));
  const files = {
    "a.ts": `
      import { z } from "zod"; import { Hono } from "hono"; import { cors } from "hono/cors"; import * as v from "valibot";
      import { Webhook } from "standardwebhooks"; import { Cron } from "croner"; import semver from "semver";
      export default [
        z.object({ a: z.string() }).parse({ a: "b" }), typeof new Hono().use(cors()).fetch, v.parse(v.number(), 7),
        new Webhook("c2VjcmV0").sign("id", new Date(0), "text"), new Cron("0 0 29 2 *").getPattern(), semver.major("3.2.1"),
      ];`,
  };
  const wanted = { zod: "*", hono: "*", standardwebhooks: "*", valibot: "*", croner: "*", semver: "*" };
  expect(await run(files, wanted)).toEqual([{ a: "b" }, "function", 7, expect.stringMatching(/^v1,/), "0 0 29 2 *", 3]);
});

test("a package of which nothing is imported is not fetched", async () => {
  registry.put({ name: "unused" });
  await codeOf({ "a.js": "export default 1;" }, { unused: "1" });
  expect(registry.asked).toEqual(["unused"]);
});

test.each<[string, Files, Files, RegExp]>([
  ["a syntax error", { "a.ts": "export default {\n  slug: ,\n};" }, {}, /^a\.ts:2:9: Unexpected ","\n {4}slug: ,$/],
  ["a missing file", { "a.ts": 'import "./b";' }, {}, /^a\.ts:1:8: "\.\/b" is none of the modules \(a\.ts\)\./],
  [
    "a package that nobody asked for",
    { "a.ts": "\nimport 'zod';" },
    {},
    /^a\.ts:2:8: The package "zod" is not among the dependencies of packageJson\./,
  ],
  ["two of them", { "a.ts": "import 'one'; import 'two';" }, {}, /"one".*\n.*"two"/s],
  [
    "an unknown package",
    { "a.ts": "" },
    { "no-such": "1" },
    /^There is no such thing as the package "no-such" in the registry http:/,
  ],
  [
    "a version that does not exist",
    { "a.ts": "" },
    { exists: "^7.0.0" },
    /no version "\^7\.0\.0" of the package "exists"; latest is 1\.1\.0, the highest are 1\.1\.0, 1\.0\.0\./,
  ],
  [
    "a path that is not exported",
    { "a.ts": 'import "exists/hidden";' },
    { exists: "1" },
    /^a\.ts:1:8: The package exists@1\.1\.0 exports no "\.\/hidden" for import\./,
  ],
  [
    "a package from elsewhere",
    { "a.ts": "" },
    { x: "git+ssh://git@example.com/x" },
    /only versions in the registry are installed/,
  ],
  ["a file on this machine", { "a.ts": "" }, { x: "file:../../etc" }, /only versions in the registry are installed/],
  ["a name that is none", { "a.ts": "" }, { "../x": "1" }, /"\.\.\/x" is not the name of a package/],
  [
    "an absolute file",
    { "a.ts": 'import a from "/etc/passwd" with { type: "text" }; export default a;' },
    {},
    /"\/etc\/passwd" is none of the modules/,
  ],
  ["a URL", { "a.ts": 'import "https://example.com/a.js";' }, {}, /neither a file nor a package/],
  [
    "a transitive package that is not there",
    { "a.ts": "" },
    { broken: "1" },
    /"gone".*\(A dependency of broken@1\.0\.0\.\)/,
  ],
])("%s is said so that it can be repaired", async (_what, files, dependencies, message) => {
  registry.put(
    { name: "exists", version: "1.0.0" },
    {
      name: "exists",
      version: "1.1.0",
      manifest: { exports: { ".": "./index.js" } },
      files: { "index.js": "", "hidden.js": "" },
    },
    { name: "broken", manifest: { dependencies: { gone: "1" } } },
  );
  expect(await faultOf(files, dependencies)).toMatch(message);
});

test("problems come with their places", async () => {
  expect(await bundle({ "a.ts": "const a = ;" })).toMatchObject({
    problems: [{ file: "a.ts", line: 1, column: 11, text: expect.stringContaining("Unexpected") }],
  });
});

test("without a registry files alone are bundled", async () => {
  const alone = createBundler();
  const bundled = await bundle(
    { "a.ts": 'import { b } from "./b"; export default b;', "b.ts": "export const b = 1;" },
    {},
    alone,
  );
  expect(Object.keys("modules" in bundled ? bundled.modules : {})).toEqual(["processor.js"]);
  const fault = await faultOf({ "a.ts": "" }, { zod: "4", nanoid: "5" }, alone);
  expect(fault).toContain('This server installs no packages, so "zod", "nanoid" cannot be had');
  await alone.close();
});

test("only names that the operator allows are installed, also as dependencies of others", async () => {
  const careful = createBundler({ npmRegistry: registry.url, npmAllow: ["allowed", "@ours/*"] });
  registry.put(
    { name: "allowed", manifest: { dependencies: { "@ours/a": "1", sly: "1" } } },
    { name: "@ours/a" },
    { name: "sly" },
  );
  expect(await faultOf({ "a.ts": "" }, { allowed: "1" }, careful)).toBe(
    'The package "sly" is not among those that this server may install. (A dependency of allowed@1.0.0.)',
  );
  expect(registry.asked).not.toContain("sly");
  await careful.close();
});
