/** Packages and registries that mean harm, or are broken: said as a fault or tried again, and nothing of theirs ever runs. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import type { Bundled, Bundler } from "@millrace/engine";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createBundler } from "../dist/bundler/bundler.js";
import { type MadePackage, type NpmRegistry, startRegistry, tarballOf } from "./npm-registry.ts";

let registry: NpmRegistry;
let bundler: Bundler;
const directory = mkdtempSync(path.join(tmpdir(), "millrace-hostile-"));
const mark = path.join(directory, "it-ran");

beforeAll(async () => {
  registry = await startRegistry();
  bundler = bundlerOf({});
});

beforeEach(() => {
  registry.intercept = () => false;
});

afterAll(async () => {
  await bundler.close();
  await registry.close();
  rmSync(directory, { recursive: true });
});

function bundlerOf(limits: Parameters<typeof createBundler>[1]): Bundler {
  return createBundler({ npmRegistry: registry.url }, limits);
}

function using(name: string, by = bundler, signal = new AbortController().signal): Promise<Bundled> {
  const files = { "a.js": `import all from "${name}"; export default all;` };
  return by.bundle({ files, main: "a.js", packageJson: { dependencies: { [name]: "*" } } }, signal);
}

async function faultOf(made: MadePackage, by = bundler): Promise<string> {
  registry.put(made);
  const bundled = await using(made.name, by);
  return "fault" in bundled ? bundled.fault : "It was bundled.";
}

const index = { "package/index.js": "module.exports = 1;" };

test.each<[string, MadePackage, RegExp]>([
  [
    "climbs out of itself",
    { name: "climbs", tarball: tarballOf({ ...index, [`package/../../..${mark}`]: "x" }) },
    /has a file outside of itself/,
  ],
  [
    "names an absolute file",
    { name: "absolute", tarball: tarballOf({ ...index, [mark]: "x" }) },
    /has a file outside of itself/,
  ],
  [
    "is not what the registry says",
    { name: "swapped", dist: { integrity: `sha512-${"A".repeat(86)}==` } },
    /its SHA-512 is another one/,
  ],
  ["has no SHA-512", { name: "unsigned", dist: { integrity: "sha1-AAAA" } }, /gives no SHA-512/],
  [
    "lies on another host",
    { name: "away", dist: { tarball: "http://169.254.169.254/latest" } },
    /lies outside of the registry/,
  ],
  [
    "lies on another port",
    { name: "port", dist: { tarball: "http://127.0.0.1:1/a.tgz" } },
    /lies outside of the registry/,
  ],
  ["is no tarball", { name: "noise", tarball: Buffer.from("noise") }, /cannot be unpacked/],
  ["is cut", { name: "cut", tarball: tarballOf(index).subarray(0, 40) }, /cannot be unpacked/],
  [
    "is machine code",
    { name: "native", manifest: { main: "a.node" }, files: { "a.node": "x" } },
    /is machine code, which is not bundled/,
  ],
  [
    "leads in a circle",
    {
      name: "circle",
      manifest: { imports: { "#a": "circle" }, exports: "./i.js", browser: { "./i.js": "circle" } },
      files: { "i.js": "" },
    },
    /leads in a circle/,
  ],
])("a package that %s is a fault", async (_what, made, message) => {
  expect(await faultOf(made)).toMatch(message);
  expect(existsSync(mark)).toBe(false);
});

test("a link in a tarball is left out, wherever it leads", async () => {
  const name = "links";
  const tarball = tarballOf(
    { ...index, "package/index.json": "/etc/passwd" },
    { "package/index.json": "SymbolicLink" },
  );
  registry.put({ name, tarball });
  const bundled = await using(name);
  expect(JSON.stringify(bundled)).not.toContain("root:");
  expect(bundled).toHaveProperty("modules");
});

test("scripts of packages and of packageJson are not run, nor is any of their code", async () => {
  const run = `require("node:fs").writeFileSync(${JSON.stringify(mark)}, "")`;
  const script = `node -e '${run}'`;
  const scripts = { preinstall: script, install: script, postinstall: script, prepare: script };
  registry.put({
    name: "eager",
    manifest: { scripts, bin: "index.js", gypfile: true },
    files: { "index.js": run, "binding.gyp": "{}" },
  });
  const files = { "a.js": 'import "eager";' };
  const packageJson = { dependencies: { eager: "1" }, scripts };
  expect(await bundler.bundle({ files, main: "a.js", packageJson }, new AbortController().signal)).toHaveProperty(
    "modules",
  );
  expect(readdirSync(directory)).toEqual([]);
});

test("what unpacks to more than is allowed is refused before it is unpacked, and the largest are named", async () => {
  const small = bundlerOf({ unpackedBytes: 1_000_000 });
  const bomb = gzipSync(Buffer.alloc(200_000_000));
  registry.put({ name: "ballast", files: { "index.js": `module.exports = "${"x".repeat(600_000)}";` } });
  registry.put({ name: "bomb", tarball: bomb });
  const files = { "a.js": 'import "./b.js"; import one from "ballast"; export default one;', "b.js": 'import "bomb";' };
  const packageJson = { dependencies: { ballast: "*", bomb: "*" } };
  const bundled = await small.bundle({ files, main: "a.js", packageJson }, new AbortController().signal);
  expect("fault" in bundled ? bundled.fault : "").toMatch(/^b\.js:1:8: The package bomb@1\.0\.0 is too large/);
  await small.close();
});

test("a bundle of more than 4 MiB is refused, with the packages that it is made of", async () => {
  registry.put({ name: "heavy", files: { "index.js": `module.exports = "${"x".repeat(5_000_000)}";` } });
  const bundled = await using("heavy");
  expect("fault" in bundled ? bundled.fault : "").toMatch(
    /more than 4\.0 MiB\. The largest in it are heavy@1\.0\.0 \(4\.8 MiB\), the files \(1 KiB\)/,
  );
});

test("a registry is not asked for more names than there may be packages", async () => {
  const dependencies = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`nobody-${i}`, "1"]));
  const input = { files: { "a.js": "" }, main: "a.js", packageJson: { dependencies } };
  const bundled = await bundler.bundle(input, new AbortController().signal);
  expect("fault" in bundled ? bundled.fault : "").toBe("More than 200 packages are needed, which is the most.");
  expect(registry.asked.filter((path) => path.startsWith("nobody-"))).toEqual([]);
});

test.each([
  ["too many packages", { packages: 3 }, /More than 3 packages are needed/],
  ["too deep", { depth: 2 }, /lie more than 2 deep/],
  ["metadata that is too large", { metadataBytes: 100 }, /larger than 1 KiB/],
  ["a tarball that is too large", { tarballBytes: 50 }, /larger than 1 KiB/],
  ["too many files", { filesPerPackage: 1 }, /more than 1 files/],
])("%s is a fault", async (_what, limits, message) => {
  const small = bundlerOf(limits);
  for (let i = 0; i < 5; i++) {
    const dependencies = i < 4 ? { [`chain-${i + 1}`]: "1" } : {};
    const next = i < 4 ? `require("chain-${i + 1}")` : "1";
    registry.put({
      name: `chain-${i}`,
      manifest: { dependencies },
      files: { "index.js": `module.exports = ${next};` },
    });
  }
  const bundled = await using("chain-0", small);
  expect("fault" in bundled ? bundled.fault : "").toMatch(message);
  await small.close();
});

test.each<[string, NpmRegistry["intercept"], RegExp]>([
  ["hangs", () => true, /could not be asked for the package "chain-0": it did not answer in time/],
  ["sends half of an answer", (_, response) => response.write("{") && true, /did not answer in time/],
  ["closes the connection", (request) => request.destroy() !== undefined, /could not be asked/],
  ["is busy", (_, response) => response.writeHead(503).end() !== undefined, /answered 503 for the package "chain-0"/],
  [
    "leads elsewhere",
    (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end() !== undefined,
    /answered 302/,
  ],
  ["answers in HTML", (_, response) => response.end("<html>") !== undefined, /did not answer in JSON/],
])("a registry that %s is asked again: it says nothing about the source", async (_what, intercept, message) => {
  const hurried = bundlerOf(/in time/.test(message.source) ? { requestMs: 300 } : {});
  registry.intercept = intercept;
  await expect(using("chain-0", hurried)).rejects.toThrow(message);
  registry.intercept = () => false;
  expect(await using("chain-0")).toHaveProperty("modules");
  await hurried.close();
});

test("while a registry hangs, sources without packages are bundled", async () => {
  const own = bundlerOf({});
  registry.intercept = () => true;
  const hanging = [1, 2, 3].map(() => using("chain-0", own).catch((error: unknown) => error));
  const files = { "a.js": "export default 1;" };
  const alone = await own.bundle({ files, main: "a.js", packageJson: {} }, new AbortController().signal);
  expect(alone).toHaveProperty("modules");
  await own.close();
  for (const each of hanging) expect(await each).toMatchObject({ code: "unavailable" });
});

test("what strangers choose is shortened before it is said", async () => {
  const files = { "a.js": "" };
  const dependencies = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`p${i}`, `no-${"x".repeat(10_000)}`]));
  for (const name of Object.keys(dependencies)) registry.put({ name });
  const bundled = await bundler.bundle(
    { files, main: "a.js", packageJson: { dependencies } },
    new AbortController().signal,
  );
  const { fault, problems = [] } = bundled as Extract<Bundled, { fault: string }>;
  expect(fault.length).toBeLessThan(11_000);
  expect(fault).toMatch(/and 20 more$/);
  expect(JSON.stringify(problems).length).toBeLessThan(25_000);
});

test("a bundle that nobody waits for any more is ended, and so is all at the end of the server", async () => {
  const own = bundlerOf({});
  registry.intercept = () => true;
  const aborter = new AbortController();
  const aborted = using("chain-0", own, aborter.signal);
  const closed = using("chain-0", own);
  aborter.abort();
  await expect(aborted).rejects.toMatchObject({ code: "unavailable" });
  await own.close();
  await expect(closed).rejects.toMatchObject({ code: "unavailable" });
});
