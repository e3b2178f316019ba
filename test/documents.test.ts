/** What can drift is compared: codes, limits, event types and dependencies against the documents that list them. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { contracts, defaultLimits, errorStatus } from "@millrace/protocol";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (name: string) => readFileSync(path.join(root, name), "utf8");

test("every error code stands in PROTOCOL.md with its status", () => {
  const lines = read("PROTOCOL.md").split("\n");
  const missing = Object.entries(errorStatus).filter(
    ([code, status]) => !lines.some((line) => line.includes(`\`${code}\``) && line.includes(String(status))),
  );
  expect(missing).toEqual([]);
});

test("every limit stands in PROTOCOL.md by its name and value", () => {
  const text = read("PROTOCOL.md");
  const lines = text.split("\n");
  const missing = Object.entries(defaultLimits).filter(
    ([name, value]) =>
      !lines.some((line) => line.includes(`\`${name}\``) && shownAs(value).some((shown) => line.includes(shown))),
  );
  expect(missing).toEqual([]);
});

/** 1048576 is `1 MiB`, 10000 is `10,000`, 30000 may be `30 s`. */
function shownAs(value: number): string[] {
  const shown = [String(value), value.toLocaleString("en-US")];
  if (value % 1_048_576 === 0) shown.push(`${value / 1_048_576} MiB`);
  if (value % 1_024 === 0) shown.push(`${value / 1_024} KiB`);
  if (value % 1_000 === 0) shown.push(`${value / 1_000} s`);
  return shown;
}

test("every built-in event stands in PROTOCOL.md", () => {
  const text = read("PROTOCOL.md");
  expect(contracts.filter(({ name }) => !text.includes(name)).map(({ name }) => name)).toEqual([]);
});

test("every dependency has its reason in CONTRIBUTING.md", () => {
  const text = read("CONTRIBUTING.md");
  const manifests = [
    "package.json",
    "bench/package.json",
    ...readdirSync(path.join(root, "packages")).map((room) => `packages/${room}/package.json`),
  ];
  for (const manifest of manifests) {
    const { dependencies = {}, devDependencies = {} } = JSON.parse(read(manifest)) as Record<
      string,
      Record<string, string>
    >;
    for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
      if (!name.startsWith("@millrace/")) expect(text, `${name} of ${manifest}`).toContain(`\`${name}\``);
    }
  }
});

test("README stays short", () => {
  expect(read("README.md").split("\n").length).toBeLessThan(200);
});

test("running text keeps to a width of 120", () => {
  for (const name of ["README.md", "PROTOCOL.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]) {
    const lines = read(name)
      .replace(/^```.*?^```$/gms, "")
      .split("\n");
    expect(
      lines.filter((line) => line.length > 120 && !line.startsWith("|")),
      name,
    ).toEqual([]);
  }
});
