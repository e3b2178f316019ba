/**
 * Schemathesis reads the OpenAPI document and sends what it allows, what it forbids, and calls that follow from each
 * other: it finds nothing. What it has to be told beside the document stands in `schemathesis/`, with the reasons.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startServer } from "../processes/server-process.ts";

const directory = fileURLToPath(new URL("./schemathesis", import.meta.url));
const environment = fileURLToPath(new URL("../../node_modules/.cache/schemathesis", import.meta.url));
const program = `${environment}/bin/schemathesis`;
const isThere = existsSync(program);
const examples = process.env.MILLRACE_LONG === "1" ? 300 : 30;

test("Schemathesis is there where it has to be", () => {
  if (!isThere) console.log("left out: Schemathesis over the OpenAPI document; node scripts/schemathesis.mjs says why");
  expect(isThere || process.env.CI !== "true").toBe(true);
});

test.skipIf(!isThere)(
  "Schemathesis finds nothing",
  async () => {
    const server = await startServer({ data: ":memory:" });
    // Where no generated deletion comes.
    const headers = { "x-project-slug": "cursors" };
    await fetch(`${server.url}/kept`, { method: "POST", headers, body: '{"type":"a"}' });
    try {
      const { code, output } = await schemathesis(`${server.url}/openapi.json`);
      expect(code, output).toBe(0);
      // No warnings either: a tool whose calls are mostly refused finds nothing for another reason.
      expect(output).toContain("No issues found");
      expect(output).toMatch(/Tested: +27\n/);
      for (const phase of ["Examples", "Coverage", "Fuzzing", "Stateful"]) expect(output).toContain(`✅ ${phase}`);
      const { stderr } = await server.stop("SIGTERM");
      expect(stderr).toBe("");
    } finally {
      await server.kill();
    }
  },
  900_000,
);

async function schemathesis(document: string): Promise<{ code: number | null; output: string }> {
  const generation = ["--seed", "1", "--max-examples", String(examples), "--generation-database", "none"];
  const args = ["--config-file", `${directory}/schemathesis.toml`, "run", document, "--no-color", ...generation];
  const env = { ...process.env, PYTHONPATH: directory, PYTHONDONTWRITEBYTECODE: "1", PYTHONUTF8: "1" };
  const child = spawn(program, args, { cwd: environment, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}
