/** PROTOCOL.md, typed from the top to the end against a fresh server: each command prints exactly what stands there. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { sharedServer } from "../processes/shared-server.ts";
import { alike, countCommands, patternOf, type Step, stepsIn } from "./commands.ts";
import { canType, type } from "./shell.ts";

const protocol = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
const steps = stepsIn(protocol);
const server = sharedServer();
let typed = 0;

describe.skipIf(!canType("the commands of PROTOCOL.md"))("in order", () => {
  test.each(steps.map((step): [string, Step] => [step.lines.join(), step]))("%s", async (line, { stated }) => {
    const pattern = stated === undefined ? /./ : patternOf(stated);
    const { output, code } = await type(line, server.url, (text) => pattern.test(alike(text)));
    expect(code).toBe(0);
    expect(alike(output)).toMatch(pattern);
    typed += countCommands(line);
  });

  test("that was every curl of the document", () => {
    expect(typed).toBe(countCommands(protocol));
    expect(typed).toBeGreaterThanOrEqual(10);
  });
});

test("no block of the document is a mere sample: each begins with what is typed, or is fenced as text", () => {
  const blocks = [...protocol.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, block]) => ({ language, block }));
  const others = blocks.filter(({ block }) => !block?.startsWith("$ "));
  expect(others.filter(({ language }) => language !== "text")).toEqual([]);
  expect(others.filter(({ block }) => countCommands(block as string) > 0)).toEqual([]);
});

test.each<[what: string, stated: string, output: string, agrees: boolean]>([
  ["the same", '{"a":1}\n', '{"a":1}\n', true],
  ["other text", '{"a":1}\n', '{"a":2}\n', false],
  ["more than is stated", '{"a":1}\n', '{"a":1}\nb\n', false],
  ["less than is stated", "a\nb\n", "a\n", false],
  ["other blanks", '{"a": 1}\n', '{"a":1}\n', false],
  ["another time", '"2026-11-21T04:28:34.282Z"', '"2027-01-01T00:00:00.000Z"', true],
  ["what is no time", '"2026-11-21T04:28:34.282Z"', '"2027-01-01"', false],
  ["something left out", "a ... c\n", "a b\nb c\n", true],
  ["something left out, and an error behind it", "a ... c\n", "a b d\n", false],
])("a comparison of %s", (_, stated, output, agrees) => {
  expect(patternOf(stated).test(alike(output))).toBe(agrees);
});
