/** The bundled workers are kept, and made again once what they were made of has changed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { keptOrMade } from "../../dist/sandbox/worker-modules.js";

const directory = mkdtempSync(join(tmpdir(), "millrace-workers-"));
const file = join(directory, "bundled.json");
afterAll(() => rmSync(directory, { recursive: true }));

function change(what: (kept: { runner: string; madeFrom: Record<string, string> }) => void): void {
  const kept = JSON.parse(readFileSync(file, "utf8"));
  what(kept);
  writeFileSync(file, JSON.stringify(kept));
}

test("what was made is kept, and taken as it is", async () => {
  const { runner, harness } = await keptOrMade(file);
  expect(runner).toContain("x-millrace-isolate");
  expect(harness).toContain("processor.js");
  change((kept) => {
    kept.runner = "kept";
  });
  expect((await keptOrMade(file)).runner).toBe("kept");
});

test.each([
  [
    "a file that it was made of has changed",
    (kept: { madeFrom: Record<string, string> }) => (kept.madeFrom["runner.js"] = "another"),
  ],
  [
    "a file that it was made of is gone",
    (kept: { madeFrom: Record<string, string> }) => (kept.madeFrom["gone.js"] = "hash"),
  ],
])("it is made again when %s", async (_, damage) => {
  change((kept) => {
    kept.runner = "kept";
    damage(kept);
  });
  const { runner } = await keptOrMade(file);
  expect(runner).toContain("x-millrace-isolate");
  expect(JSON.parse(readFileSync(file, "utf8")).runner).toBe(runner);
});

test("it is made again when half of it was written", async () => {
  writeFileSync(file, '{"runner":');
  expect((await keptOrMade(file)).runner).toContain("x-millrace-isolate");
});

test("where nothing can be kept, they are made all the same", async () => {
  expect((await keptOrMade(join(directory, "none", "bundled.json"))).runner).toContain("x-millrace-isolate");
});
