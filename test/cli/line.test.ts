/** The line itself: help, completion, wrong usage, servers that are not there or say no, readers that leave. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { startServer, temporaryDirectory } from "../processes/server-process.ts";
import { run } from "./run.ts";

const names = [
  ...["serve", "append", "tail", "read", "state", "streams", "delete", "pause", "resume"],
  ...["schedule", "schedules", "cancel", "subscribe", "subscriptions", "unsubscribe", "redeliver"],
  ...["transform", "transformers", "untransform", "why", "run"],
  ...["deploy", "undeploy", "processors", "logs", "replay", "cursors", "secrets", "export", "import", "completion"],
];

const flagsIn = (help: string) => [...help.matchAll(/^ {2}(--[\w-]+)/gm)].map(([, flag]) => flag as string);

describe("help", () => {
  test("names every command, and the exit codes", async () => {
    const { stdout, code } = await run(["--help"]);
    expect(code).toBe(0);
    expect([...stdout.matchAll(/^ {2}(\w+) {2,}\S/gm)].map(([, name]) => name)).toEqual(names);
    expect(stdout).toContain("3 server not reached");
  });

  test.each(names)("%s: usage, flags, an example", async (name) => {
    const { stdout, code, stderr } = await run([name, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^Usage: millrace ${name}`));
    expect(stdout).toMatch(/\nExamples?:\n {2}\S/);
    if (name !== "serve" && name !== "completion") {
      for (const text of ["MILLRACE_URL", "MILLRACE_PROJECT", "MILLRACE_TOKEN"]) expect(stdout).toContain(text);
    }
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });

  test("the version is the package's", async () => {
    const manifest = readFileSync(new URL("../../packages/millrace/package.json", import.meta.url), "utf8");
    const { version } = JSON.parse(manifest) as { version: string };
    expect((await run(["--version"])).stdout).toBe(`millrace ${version}\n`);
  });
});

test("what npm links as `millrace` is there before anything is built, and is the same", async () => {
  const room = new URL("../../packages/millrace/", import.meta.url);
  const { bin } = JSON.parse(readFileSync(new URL("package.json", room), "utf8")) as { bin: { millrace: string } };
  expect(bin.millrace).not.toContain("dist");
  const launcher = fileURLToPath(new URL(bin.millrace, room));
  const linked = execFileSync(launcher, ["--version"]).toString();
  expect(linked).toBe((await run(["--version"])).stdout);
});

describe("completion", () => {
  test.each(["bash", "zsh", "fish"])("%s: every command and every flag", async (shell) => {
    const { stdout } = await run(["completion", shell]);
    for (const name of names) expect(stdout).toContain(name);
    const flags = flagsIn((await run(["import", "--help"])).stdout);
    expect(flags).toContain("--control");
    for (const flag of flags) expect(stdout).toContain(shell === "fish" ? `-l ${flag.slice(2)}` : flag);
  });

  test("bash understands it", async () => {
    const { stdout } = await run(["completion", "bash"]);
    const complete = (...words: string[]) =>
      execFileSync("bash", [
        "-c",
        `${stdout}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _millrace; echo "\${COMPREPLY[*]}"`,
        "bash",
        "millrace",
        ...words,
      ])
        .toString()
        .trim();
    expect(complete("del")).toBe("delete");
    expect(complete("import", "--co")).toBe("--control");
    expect(complete("completion", "z")).toBe("zsh");
    expect(complete("tail", "/me")).toBe("");
  });
});

describe("wrong usage ends with 2 and one that helps", () => {
  test.each<[string[], string]>([
    [["nonsense"], 'There is no command "nonsense"'],
    [["--url", "x", "read", "/a"], "Options stand behind the command"],
    [["append"], 'Something is missing behind "append"'],
    [["append", "/a"], "A type, an event as JSON, or - for stdin is expected"],
    [["append", "", "x"], "A path is expected"],
    [["append", "/a", "x", "y"], '"y" is one word too many'],
    [["append", "/a", "{x"], "is not JSON"],
    [["append", "/a", "x", "--payload", "{"], "--payload is not JSON"],
    [["append", "/a", "x", "--payload", "12345678901234567890"], "beyond 2^53"],
    [["append", "/a", "x", "--payload", "1e400"], "beyond 2^53"],
    [["append", "/a", "x", "--type", "y"], "not both"],
    [["append", "/a", "[]", "--offset", "1"], "for one event"],
    [["append", "/a", "x", "--offset", "0"], "--offset is a whole number from 1"],
    [["append", "/a", "--file", "/nowhere/file"], "/nowhere/file cannot be read"],
    [["append", "/a", "-"], "stdin is empty"],
    [["read", "/a", "--limit", "some"], '--limit is a whole number from 1; got "some"'],
    [["read", "/a", "--tpye", "x"], "--tpye"],
    [["tail"], 'Something is missing behind "tail"'],
    [["tail", "/a", "/b", "--from", "3"], "with several paths it is start or end"],
    [["state", "/a", "--at", "1"], "--at needs --processor"],
    [["schedule", "/a", "s", "x"], "One of --at, --in, --every and --cron says when; got none"],
    [["schedule", "/a", "s", "x", "--in", "5m", "--every", "5m"], "got several"],
    [["schedule", "/a", "s", "x", "--in", "soon"], '--in is a duration such as 30s, 5m, 2h or 1d; got "soon"'],
    [["schedule", "/a", "s", "x", "--in", "5m", "--timezone", "UTC"], "--timezone needs --cron"],
    [["schedule", "/a", "s", "--in", "5m"], "See millrace schedule --help"],
    [["schedule", "/a"], 'Something is missing behind "schedule"'],
    [["cancel", "/a"], 'Something is missing behind "cancel"'],
    [["resume", "/a", "--from", "head"], "--from needs --slug"],
    [["resume", "/a", "--kind", "processor"], "--kind needs --slug"],
    [["resume", "/a", "why", "--slug", "s"], 'no reason to give; got "why"'],
    [["resume", "/a", "--slug", "s", "--from", "start"], '--from is cursor, head or an offset; got "start"'],
    [["resume", "/a", "--slug", "s", "--kind", "builtin"], "--kind is subscription, transformer or processor"],
    [["subscribe", "/a", "--webhook", "http://x"], "--slug SLUG names the subscription"],
    [
      ["subscribe", "/a", "--slug", "s", "--url", "http://x"],
      "One of --webhook URL, --websocket URL and --to STREAM says where; got none",
    ],
    [["subscribe", "/a", "--slug", "s", "--webhook", "http://x", "--to", "/b"], "got both"],
    [["subscribe", "/a", "--slug", "s", "--to", ""], "A path is expected"],
    [["subscribe", "/a", "--slug", "s", "--to", "/b", "--timeout", "3"], "are for --webhook"],
    [
      ["subscribe", "/a", "--slug", "s", "--webhook", "http://x", "--timeout", "3s"],
      "--timeout is a number of seconds",
    ],
    [
      ["subscribe", "/a", "--slug", "s", "--webhook", "http://x", "--header", "x"],
      "--header is 'name: value'; got \"x\"",
    ],
    [
      ["subscribe", "/a", "--slug", "s", "--webhook", "http://x", "--header", "A: 1", "--header", "a: 2"],
      "is given twice",
    ],
    [["subscribe", "/a", "--slug", "s", "--webhook", "http://x", "--signing-secret", "whsec_abc"], "never its value"],
    [
      ["subscribe", "/a", "--slug", "s", "--to", "/b", "--start-from", "head"],
      "--start-from is start, end or an offset",
    ],
    [["subscribe", "/a", "--slug", "s", "--to", "/b", "--filter", "@/nowhere/file"], "/nowhere/file cannot be read"],
    [["subscribe", "/a", "--slug", "s", "--to", "/b", "--filter", " "], "--filter is JSONata, or @FILE"],
    [["subscribe", "/a", "--slug", "s", "--to", "/b", "--filter", "@-", "--transform", "@-"], "Only one expression"],
    [["subscriptions"], 'Something is missing behind "subscriptions"'],
    [["unsubscribe", "/a"], 'Something is missing behind "unsubscribe"'],
    [["redeliver", "/a", "s"], 'Something is missing behind "redeliver"'],
    [["redeliver", "/a", "s", "0"], 'a whole number from 1; got "0"'],
    [["transform", "/a", "--slug", "s", "--matcher", "true"], "--slug, --matcher and --transform are all needed"],
    [["transform", "/a", "--slug", "s", "--matcher", "@-", "--transform", "@-"], "Only one expression"],
    [["transformers", "/a", "/b"], '"/b" is one word too many'],
    [["untransform", "/a"], 'Something is missing behind "untransform"'],
    [["why", "/a"], "An event is written as <path>@<offset>"],
    [["why", "/a@0"], "An event is written as <path>@<offset>"],
    [["why", "/a@1", "--limit", "0"], "--limit is a whole number from 1"],
    [["run", "p.ts", "--path", "/a", "--cursor", "f", "--server-cursor"], "Progress is kept at one place"],
    [["cursors"], 'Something is missing behind "cursors"'],
    [["cursors", "list"], "A path is expected"],
    [["cursors", "list", "/a", "s"], "cursors goes on with list <path>, or rm <path> <slug>"],
    [["cursors", "rm", "/a"], "cursors goes on with list <path>, or rm <path> <slug>"],
    [["deploy"], 'Something is missing behind "deploy"'],
    [["deploy", "a.ts"], "--path is missing"],
    [["deploy", "/nowhere/a.ts", "--path", "/a"], "/nowhere/a.ts cannot be read"],
    [["deploy", "a.ts", "--path", "/a", "--start-from", "head"], "--start-from is start, end or an offset"],
    [["deploy", "a.ts", "--path", "/a", "--env", "=1"], "--env is NAME=VALUE"],
    [["undeploy", "a"], "--path is missing"],
    [["processors"], 'Something is missing behind "processors"'],
    [["secrets"], 'Something is missing behind "secrets"'],
    [["secrets", "get", "A"], "secrets goes on with set, list or rm"],
    [["secrets", "set"], "The name of a secret is expected"],
    [["secrets", "set", "A"], "--host says where the value may be sent"],
    [["secrets", "set", "A", "--host", "a.example"], "stdin is empty"],
    [["secrets", "set", "A", "--host", "a.example", "--from-file", "/nowhere/file"], "/nowhere/file cannot be read"],
    [["secrets", "set", "A", "hunter2", "--host", "a.example"], "A value is no argument"],
    [["secrets", "list", "A"], '"A" is one word too many'],
    [["secrets", "rm", "A", "--host", "a.example"], '--host is for "secrets set"'],
    [["import", "/a", "/nowhere/file"], "/nowhere/file cannot be read"],
    [["export", "/a", "--out", "/nowhere/file"], "--out /nowhere/file cannot be written"],
    [["completion", "tcsh"], "bash, zsh and fish"],
    [["read", "/a", "--url", "localhost:4040"], "--url (MILLRACE_URL) is a URL"],
  ])("%j", async (args, words) => {
    const { code, stdout, stderr } = await run(args, { MILLRACE_URL: "http://127.0.0.1:1" });
    expect(stderr).toContain(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).not.toContain("    at ");
  });
});

describe("a server that is not there ends with 3", () => {
  test.each([
    ["append", "/a", "x"],
    ["tail", "/a", "/b"],
    ["streams"],
    ["delete", "/a", "--yes"],
    ["subscribe", "/a", "--slug", "s", "--to", "/b"],
    ["subscriptions", "/a"],
    ["unsubscribe", "/a", "s"],
    ["redeliver", "/a", "s", "1"],
    ["transform", "/a", "--slug", "s", "--matcher", "true", "--transform", "{}"],
    ["transformers", "/a"],
    ["untransform", "/a", "s"],
    ["resume", "/a", "--slug", "s"],
    ["cursors", "list", "/a"],
  ])("%s %s", async (...args) => {
    const { code, stdout, stderr } = await run(args, { MILLRACE_URL: "http://127.0.0.1:1" });
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
    expect(stderr).toContain("http://127.0.0.1:1");
    expect(stderr).toContain("millrace serve");
    expect(stderr).toContain("--url");
    expect(stderr.trim().split("\n")).toHaveLength(2);
  });

  test("and so does one that is no Millrace", async () => {
    const other = createServer((_request, response) => response.end("<h1>\u001b[31mWelcome</h1>")).listen(
      0,
      "127.0.0.1",
    );
    await once(other, "listening");
    onTestFinished(() => void other.close());
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const { code, stderr } = await run(["state", "/a", "--url", url]);
    expect(code).toBe(3);
    expect(stderr).toContain("Welcome");
    expect(stderr).not.toContain("\u001b");
  });
});

test.each([
  { for: "people", args: [], libraries: ["eventsource-parser", "js-yaml"] },
  { for: "programs", args: ["--json"], libraries: ["eventsource-parser"] },
])("a client command for $for loads nothing of the server, and of libraries $libraries", async (example) => {
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  const server = await startServer({ data: ":memory:" });
  onTestFinished(async () => void (await server.stop("SIGTERM")));
  const env = { MILLRACE_URL: server.url, NODE_V8_COVERAGE: directory };
  expect((await run(["append", "/a", "x", ...example.args], env)).code).toBe(0);
  const loaded = readdirSync(directory)
    .map((name) => readFileSync(path.join(directory, name), "utf8"))
    .join();
  expect(loaded).toContain("append-command.js");
  const libraries = Array.from(loaded.matchAll(/node_modules\/([^"]*?)\//g), ([, name]) => name);
  expect(new Set(libraries)).toEqual(new Set(example.libraries));
  for (const name of ["/http/dist/", "/engine/dist/", "/protocol/dist/"]) expect(loaded).not.toContain(name);
});

test("tokens and projects: refused without, by flag or by variable", async () => {
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  const file = path.join(directory, "token");
  writeFileSync(file, "correct-horse-battery-staple\n");
  const server = await startServer({ data: ":memory:", args: ["--token-file", file] });
  onTestFinished(async () => void (await server.stop("SIGTERM")));
  const url = ["--url", server.url];
  const refused = await run(["append", "/a", "x", ...url]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("MILLRACE_TOKEN");
  const token = { MILLRACE_TOKEN: "correct-horse-battery-staple" };
  expect((await run(["append", "/a", "x", ...url, "--project", "demo"], token)).code).toBe(0);
  const flagWins = ["--token", "correct-horse-battery-staple", ...url];
  const env = { MILLRACE_TOKEN: "another", MILLRACE_PROJECT: "demo" };
  expect((await run(["streams", "--json", ...flagWins], env)).stdout).toContain('"/a"');
  expect((await run(["append", "/a", "x", "--project", "no good", ...url], token)).code).toBe(1);
  expect((await run(["append", "/a//b", "x", ...url], token)).stderr).toContain("empty segment");
});
