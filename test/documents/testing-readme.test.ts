/** The examples of packages/testing/README.md, one program in plain Node without a test runner: they print what is said. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("the examples of @millrace/testing run, and print what stands behind them", async () => {
  const readme = await readFile(path.join(root, "packages/testing/README.md"), "utf8");
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1] as string);
  expect(blocks).toHaveLength(7);
  const stated = [...blocks.join("").matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1] as string);
  expect(stated).toHaveLength(4);
  expect(await output(blocks.join("\n"))).toEqual(stated);
});

test("every export of @millrace/testing that the README names is there", async () => {
  const readme = await readFile(path.join(root, "packages/testing/README.md"), "utf8");
  const adapters = readme.slice(readme.indexOf("## Adapters"));
  const names = [...adapters.matchAll(/`(\w+)`/g)].map((match) => match[1] as string);
  expect(names.length).toBeGreaterThan(5);
  expect(Object.keys(await import("@millrace/testing"))).toEqual(expect.arrayContaining(names));
});

async function output(program: string): Promise<string[]> {
  const directory = await mkdtemp(path.join(tmpdir(), "millrace-readme-"));
  try {
    await symlink(path.join(root, "node_modules"), path.join(directory, "node_modules"));
    const file = path.join(directory, "examples.mjs");
    const { code } = await transform(program, { loader: "ts", format: "esm" });
    await writeFile(file, code);
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 });
    expect(stderr).toBe("");
    return stdout.trimEnd().split("\n");
  } finally {
    await rm(directory, { recursive: true });
  }
}
