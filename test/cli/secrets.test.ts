/** `millrace secrets`, and how `millrace serve` ends where key and secrets do not fit. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { runCommand, type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { lines, main, run } from "./run.ts";

let server: ServerProcess;
let env: Record<string, string>;
const { directory, remove } = temporaryDirectory();
const data = path.join(directory, "data");
const host = ["--host", "api.example.com"];

beforeAll(async () => {
  server = await startServer({ data });
  env = { MILLRACE_URL: server.url, MILLRACE_PROJECT: "cli" };
});
afterAll(async () => {
  await server.stop("SIGTERM");
  remove();
});

/** Who was given a value knows its length; nobody is shown it, so this asks how long the sealed one is. */
function valueBytes(name: string): number {
  const { secrets } = JSON.parse(readFileSync(path.join(data, "secrets.json"), "utf8")) as {
    secrets: { name: string; sealed: string }[];
  };
  const sealed = secrets.find((secret) => secret.name === name)?.sealed ?? "";
  return Buffer.from(sealed, "base64").length - 12 - 16;
}

describe("set", () => {
  test.each([
    ["as it is", "hunter2", 7],
    ["less one line break", "hunter2\n", 7],
    ["less one line break of Windows", "hunter2\r\n", 7],
    ["less one of several", "hunter2\n\n", 8],
    ["with those inside", "-----BEGIN\nhunter2\n-----END\n", 27],
    ["of several bytes for a character", "ä🔑", 6],
  ])("takes what is piped in: %s", async (_, input, bytes) => {
    const ran = await run(["secrets", "set", "PIPED", ...host, "--json"], env, input);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(lines(ran.stdout)).toMatchObject([{ name: "PIPED", hosts: ["api.example.com"] }]);
    expect(ran.stdout).not.toContain("hunter2");
    expect(valueBytes("PIPED")).toBe(bytes);
  });

  test("takes a file, several hosts and a description", async () => {
    const file = path.join(directory, "value");
    writeFileSync(file, "from-a-file\n");
    const more = ["--host", "*.example.org:8443", "--description", "for tests", "--from-file", file];
    const { code, stdout } = await run(["secrets", "set", "FILED", ...host, ...more], env);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^name: FILED\nhosts:\n\s+- api.example.com\n\s+- ["']?\*.example.org:8443["']?\ndescription: for tests\n/,
    );
    expect(valueBytes("FILED")).toBe(11);
  });

  test.each<[string, string[], string | Buffer, number, string]>([
    ["a value as an argument", ["A", "hunter2", ...host], "", 2, "A value is no argument"],
    ["a value as an option", ["A", "--value=hunter2", ...host], "", 2, "Unknown option '--value'"],
    ["an empty value", ["A", ...host], "\n", 2, "stdin is empty"],
    ["bytes that are no text", ["A", ...host], Buffer.from([0x68, 0xff]), 2, "stdin is not UTF-8"],
    ["a bad host", ["A", "--host", "https://a.example/x"], "hunter2", 1, "expected a host, such as api.example.com"],
    ["name and value in the wrong places", ["hunter2/", ...host], "A", 1, "name is 1 to 255 characters"],
    ["too large a value", ["A", ...host], "hunter2".repeat(10_000), 1, "at most 65536 bytes"],
  ])("refuses %s, and does not repeat it", async (_, args, input, code, says) => {
    const ran = await run(["secrets", "set", ...args], env, input as string);
    expect(ran).toMatchObject({ code, stdout: "" });
    expect(ran.stderr).toContain(says);
    expect(ran.stderr).not.toContain("hunter2");
  });
});

describe("list and rm", () => {
  test("a table for people, lines for programs, a word where there is nothing", async () => {
    const project = { ...env, MILLRACE_PROJECT: "listed" };
    const none = await run(["secrets", "list"], project);
    expect(none).toEqual({ code: 0, stdout: "", stderr: "millrace: there is no secret in project listed\n" });
    await run(["secrets", "set", "B", ...host, "--host", "*.example.org"], project, "hunter2");
    await run(["secrets", "set", "A", ...host, "--description", "with \u001b[31mcolour"], project, "hunter2");
    const { stdout } = await run(["secrets", "list"], project);
    expect(stdout.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "TIME")).toBe(
      `NAME  HOSTS                           SET                  DESCRIPTION
A     api.example.com                 TIME  with \\u001b[31mcolour
B     api.example.com, *.example.org  TIME
`,
    );
    const listed = await run(["secrets", "list", "--json"], project);
    expect(lines(listed.stdout)).toMatchObject([{ name: "A" }, { name: "B" }]);
    const removed = await run(["secrets", "rm", "A", "--json"], project);
    expect(removed).toEqual({ code: 0, stdout: '{"deleted":true,"name":"A"}\n', stderr: "" });
    const again = await run(["secrets", "rm", "A"], project);
    expect(again).toMatchObject({ code: 1, stdout: "" });
    expect(again.stderr).toContain('There is no secret "A" in project listed.');
  });

  test("a server that is not there is exit code 3", async () => {
    const ran = await run(["secrets", "list", "--url", "http://127.0.0.1:1"]);
    expect(ran.code).toBe(3);
  });
});

const terminal = "/usr/bin/script";
if (!existsSync(terminal)) console.warn("not installed: bsdutils (left out: the tests that type a secret)");

describe.skipIf(!existsSync(terminal))("on a terminal", () => {
  /** Types as soon as it is asked, on a terminal that a program makes. */
  async function typed(keys: string): Promise<{ code: number; shown: string }> {
    const child = spawn(
      terminal,
      ["-qec", `node ${main} secrets set TYPED --host api.example.com --json`, "/dev/null"],
      {
        env: { ...process.env, ...env },
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    let shown = "";
    let isTyped = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      shown += text;
      if (isTyped || !shown.includes("not shown: ")) return;
      isTyped = true;
      child.stdin.write(keys);
    });
    const [code] = (await once(child, "close")) as [number];
    return { code, shown };
  }

  test("it asks, and shows nothing of what is typed", async () => {
    const { code, shown } = await typed("hunterX\u007f2\r");
    expect(code).toBe(0);
    expect(shown).toMatch(/^Value of TYPED, not shown: \r\n\{"name":"TYPED"/);
    expect(valueBytes("TYPED")).toBe(7);
  });

  test.each([
    ["Ctrl-C", "hunt\u0003", 130],
    ["Ctrl-D", "\u0004", 130],
    ["nothing", "\r", 2],
    ["several lines in one piece", "hunter2\rhunter3\r", 2],
  ])("%s sets nothing", async (_, keys, code) => {
    await run(["secrets", "rm", "TYPED"], env);
    const ran = await typed(keys);
    expect(ran.code).toBe(code);
    expect(ran.shown).not.toContain("hunt");
    expect(valueBytes("TYPED")).toBe(-28);
  });
});

describe("serve", () => {
  const key = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

  async function filled(keyEnv: Record<string, string> = {}): Promise<string> {
    const temporary = temporaryDirectory();
    onTestFinished(temporary.remove);
    const one = await startServer({ data: temporary.directory, env: keyEnv });
    await run(["secrets", "set", "A", ...host, "--url", one.url], {}, "hunter2");
    expect((await one.stop("SIGTERM")).stderr).toBe("");
    return temporary.directory;
  }

  test("seals with the key of the environment, makes no file, and no process that it starts inherits the key", async () => {
    const at = await filled({ MILLRACE_SECRETS_KEY: key });
    expect(existsSync(path.join(at, "secrets.key"))).toBe(false);
    const script =
      'process.on("exit", () => process.stderr.write("inherits: " + ("MILLRACE_SECRETS_KEY" in process.env)))';
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(script)}`;
    const again = await startServer({ data: at, env: { MILLRACE_SECRETS_KEY: key, NODE_OPTIONS } });
    expect((await run(["secrets", "list", "--json", "--url", again.url])).stdout).toContain('"name":"A"');
    expect((await again.stop("SIGTERM")).stderr).toBe("inherits: false");
  });

  test.each<[string, (at: string) => void, Record<string, string>, string]>([
    ["a missing key", (at) => rmSync(path.join(at, "secrets.key")), {}, "secrets.key is missing"],
    [
      "another key",
      () => {},
      { MILLRACE_SECRETS_KEY: key },
      "was sealed with another key than that of MILLRACE_SECRETS_KEY",
    ],
    ["a key that is none", () => {}, { MILLRACE_SECRETS_KEY: "hunter2" }, "MILLRACE_SECRETS_KEY is a key of 32 bytes"],
    ["an empty key", () => {}, { MILLRACE_SECRETS_KEY: "" }, "MILLRACE_SECRETS_KEY is a key of 32 bytes"],
    ["a key open to others", (at) => chmodSync(path.join(at, "secrets.key"), 0o640), {}, "chmod 600"],
    ["a damaged key", (at) => writeFileSync(path.join(at, "secrets.key"), "x"), {}, "secrets.key is damaged"],
    ["damaged secrets", (at) => writeFileSync(path.join(at, "secrets.json"), "{"), {}, "secrets.json is damaged"],
  ])("%s: one line, exit code 1, and another start is possible", async (_, spoil, withEnv, says) => {
    const at = await filled();
    spoil(at);
    const { code, stdout, stderr } = await runCommand(["serve", "--port", "0", "--data", at], withEnv);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(says);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr).not.toMatch(/hunter2|00112233/);
    for (const name of ["secrets.json", "secrets.key"]) rmSync(path.join(at, name), { force: true });
    await (await startServer({ data: at })).stop("SIGTERM");
  });
});
