/** The client as a web page loads it: one file, small, with nothing of Node and nothing of the server's libraries. */
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

const bytesMax = 10_000;

test("is under 10 kB of gzip, made of its own files and the parser alone", async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL("../../packages/sdk/dist/index.js", import.meta.url))],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  expect(gzipSync(outputFiles[0]?.contents as Uint8Array).length).toBeLessThan(bytesMax);
  const foreign = Object.keys(metafile.inputs).filter((file) => !file.includes("packages/sdk/dist/"));
  expect(foreign).toEqual([expect.stringContaining("node_modules/eventsource-parser/")]);
});
