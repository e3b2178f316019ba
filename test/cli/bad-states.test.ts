/** What can be wrong between a person and a server: for each a clear line, whole as it is printed, and an exit code. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { append, breakerOff } from "../processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { startCuttingProxy } from "../sdk/cutting-proxy.ts";
import { lines, main, type Ran, run, start, until } from "./run.ts";

const states = [
  "server down",
  "wrong token",
  "wrong project",
  "a stream deleted under a reader",
  "a token of another database",
  "a proxy that buffers",
  "a terminal of 40 columns",
  "a broken pipe",
] as const;
const covered = new Set<string>();
const token = "correct-horse-battery-staple";

let server: ServerProcess;
let guarded: ServerProcess;
const { directory, remove } = temporaryDirectory();

beforeAll(async () => {
  writeFileSync(path.join(directory, "token"), token);
  const args = ["--token-file", path.join(directory, "token")];
  [server, guarded] = await Promise.all([startServer({ data: ":memory:" }), startServer({ data: ":memory:", args })]);
  await append(server.url, "/me/hello", { type: "a" });
});
afterAll(async () => {
  await Promise.all([server?.stop("SIGTERM"), guarded?.stop("SIGTERM")]);
  remove();
});

interface Case {
  args: string[];
  env?: Record<string, string>;
  /** All of stderr; `<url>` is that of the server that was asked, `<n>` a number that depends on time. */
  says: string;
  code: number;
  stdout?: RegExp;
}

/** Commands that are typed and end by themselves. */
function cases(state: (typeof states)[number], url: () => string, table: Case[]): void {
  describe(state, () => {
    test.each(table)("$args: exit code $code", async ({ args, env, says, code, stdout = /^$/ }) => {
      const ran = await run([...args, "--url", url()], env);
      expect(ran.stderr.replaceAll(url(), "<url>").replace(/(?<=the last one is )\d+/, "<n>")).toBe(says);
      expect(ran.code).toBe(code);
      expect(ran.stdout).toMatch(stdout);
      covered.add(state);
    });
  });
}

const nobody = "http://127.0.0.1:1";
const down = (target: string): string =>
  `millrace: No answer from <url>${target}: connect ECONNREFUSED 127.0.0.1:1.
Start a server with "millrace serve", or say where it is with --url (MILLRACE_URL); tried <url>.
`;

cases("server down", () => nobody, [
  { args: ["append", "/a", "x"], says: down("/api/streams/a"), code: 3 },
  { args: ["read", "/a"], says: down("/api/streams/a"), code: 3 },
  {
    args: ["tail", "/a"],
    says: down("/api/streams/a"),
    code: 3,
  },
  { args: ["state", "/a"], says: down("/api/state/a"), code: 3 },
  { args: ["streams"], says: down("/api/streams"), code: 3 },
  { args: ["delete", "/a", "--yes"], says: down("/api/streams/a"), code: 3 },
]);

const asks =
  "millrace: This server asks for a token: send it as `Authorization: Bearer <token>`, or as ?token=<token> where headers cannot be set.\n";
const another = `${asks}Here: that of --token (MILLRACE_TOKEN) is another one.\n`;

cases("wrong token", () => guarded.url, [
  { args: ["append", "/a", "x"], says: `${asks}Here: --token TOKEN, or MILLRACE_TOKEN.\n`, code: 1 },
  { args: ["append", "/a", "x"], env: { MILLRACE_TOKEN: `${token}r` }, says: another, code: 1 },
  { args: ["tail", "/a", "--token", "x"], says: another, code: 1 },
  { args: ["export", "/a", "--token", "x"], says: another, code: 1 },
]);

cases("wrong project", () => server.url, [
  {
    args: ["append", "/a", "x", "--project", "no good"],
    says: 'millrace: A project slug is 1 to 255 characters of A-Z a-z 0-9 . _ ~ @ : + = -; got "no good".\n',
    code: 1,
  },
  {
    args: ["state", "/me/hello", "--project", "demmo"],
    says: `millrace: There is no stream at /me/hello. It comes into being with its first append.
Here: in project demmo, of --project (MILLRACE_PROJECT).
`,
    code: 1,
  },
  // To read what is not there is no error; but it is said.
  {
    args: ["read", "/me/hello"],
    env: { MILLRACE_PROJECT: "demmo" },
    says: "millrace: there is nothing of that at /me/hello in project demmo\n",
    code: 0,
  },
  {
    args: ["streams", "/me", "--project", "demmo"],
    says: "millrace: there is no stream at /me or below in project demmo\n",
    code: 0,
  },
]);

test("wrong project: who waits for a stream is told that there is none", async () => {
  const tail = start(["tail", "/me/hello", "--project", "demmo", "--url", server.url]);
  await until(() => tail.stderr() !== "");
  tail.child.kill("SIGINT");
  expect(await tail.exited).toEqual({
    code: 130,
    stdout: "",
    stderr: "millrace: there is nothing at /me/hello in project demmo yet, waiting for it\n",
  });
});

cases("a token of another database", () => server.url, [
  {
    args: ["tail", "/me", "--children", "--from", "999999"],
    says: "millrace: There is no commit 999999: the last one is <n>. The token is of another database; read from the start.\n",
    code: 1,
  },
  { args: ["tail", "/me/hello", "--from", "7"], says: "millrace: There is no event 7: the head is 2.\n", code: 1 },
  { args: ["read", "/me/hello", "--after", "7"], says: "millrace: There is no event 7: the head is 2.\n", code: 1 },
  {
    args: ["read", "/me", "--children", "--after", "not-one"],
    says: 'millrace: after is the next of a page or the id of an event of the subtree; got "not-one".\n',
    code: 1,
  },
]);

describe("a stream deleted under a reader", () => {
  const deletion = (name: string) => fetch(`${server.url}/api/streams${name}`, { method: "DELETE" });

  async function many(name: string): Promise<void> {
    await append(server.url, name, breakerOff);
    for (let batch = 0; batch < 2; batch++) {
      await append(server.url, name, Array(1_000).fill({ type: "a", payload: "x".repeat(1_000) }));
    }
  }

  test("a tail ends, and says so", async () => {
    await append(server.url, "/gone", { type: "a" });
    const tail = start(["tail", "/gone", "--from", "start", "--url", server.url]);
    await until(() => tail.stdout().includes("type: a"));
    await deletion("/gone");
    expect(await tail.exited).toMatchObject({ code: 0, stderr: "millrace: /gone was deleted\n" });
  });

  test("also a tail that had no connection at that moment, though another stream is there since", async () => {
    await append(server.url, "/meanwhile", { type: "a" });
    const proxy = await startCuttingProxy(server.url);
    onTestFinished(() => proxy.close());
    const tail = start(["tail", "/meanwhile", "--from", "start", "--json", "--url", proxy.url]);
    await until(() => tail.stdout().split("\n").length === 3);
    proxy.leadTo(nobody);
    proxy.cut();
    await until(() => tail.stderr() !== "");
    await deletion("/meanwhile");
    await append(server.url, "/meanwhile", { type: "b" });
    proxy.leadTo(server.url);
    const { code, stdout, stderr } = await tail.exited;
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: "millrace: /meanwhile: the connection was lost, trying again\nmillrace: /meanwhile was deleted\n",
    });
    expect(lines(stdout)).toHaveLength(2);
  });

  test.each(["read", "export"])("%s of a history that is no longer whole fails", async (command) => {
    const name = `/cut-${command}`;
    await many(name);
    const reading = start([command, name, "--url", server.url]);
    // A reader that does not read: the command waits in the middle of the first page.
    await once(reading.child.stdout as NonNullable<typeof reading.child.stdout>, "data");
    reading.child.stdout?.pause();
    await deletion(name);
    reading.child.stdout?.resume();
    const { code, stderr } = await reading.exited;
    expect({ code, stderr: stderr.replace(/^millrace: .* events, now in .*\n/gm, "") }).toEqual({
      code: 1,
      stderr: `millrace: ${name} was deleted while it was read; what was read is not all there was.\n`,
    });
    covered.add("a stream deleted under a reader");
  });
});

test("a proxy that buffers: what is live does not come through, and it is said why; all else works", async () => {
  const proxy = await startBufferingProxy(server.url);
  onTestFinished(() => proxy.close());
  const via = ["--url", proxy.url];
  const [appended, read, tail] = await Promise.all([
    run(["append", "/buffered", "a", "--json", ...via]),
    run(["read", "/me/hello", "--json", ...via]),
    run(["tail", "/me/hello", "--from", "start", ...via]),
  ]);
  expect(appended).toMatchObject({ code: 0, stderr: "" });
  expect(lines(read.stdout)).toHaveLength(2);
  expect(tail).toEqual({
    code: 3,
    stdout: "",
    stderr: `millrace: No answer from ${proxy.url}/api/streams/me/hello: silent for 15 s; a proxy in between may hold back what is sent live.
Start a server with "millrace serve", or say where it is with --url (MILLRACE_URL); tried ${proxy.url}.
`,
  });
  covered.add("a proxy that buffers");
});

/** Passes an answer on when it has it whole. */
async function startBufferingProxy(target: string): Promise<{ url: string; close(): void }> {
  const proxy = createServer((request, response) => {
    const { method, headers } = request;
    const outgoing = httpRequest(target + request.url, { method, headers }, async (answer) => {
      const chunks = await answer.toArray().catch(() => []);
      response.writeHead(answer.statusCode as number, { "content-type": answer.headers["content-type"] ?? "" });
      response.end(Buffer.concat(chunks));
    });
    outgoing.on("error", () => response.destroy());
    response.on("close", () => outgoing.destroy());
    request.pipe(outgoing);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => void proxy.close() };
}

const terminal = "/usr/bin/script";
if (!existsSync(terminal)) console.warn("not installed: bsdutils (left out: the tests on a terminal of 40 columns)");

describe.skipIf(!existsSync(terminal))("a terminal of 40 columns", () => {
  /** On a terminal that a program makes for it: stdin, stdout and stderr are the same one. */
  async function onTerminal(command: string): Promise<Ran> {
    const env = { ...process.env, MILLRACE_URL: server.url, NO_COLOR: "1" };
    const typed = `stty cols 40 rows 24; node ${main} ${command}`;
    const child = spawn(terminal, ["-qec", typed, "/dev/null"], { env, stdio: ["ignore", "pipe", "pipe"] });
    const ended = once(child, "close");
    const stdout = (await child.stdout.setEncoding("utf8").toArray()).join("").replaceAll("\r\n", "\n");
    return { code: (await ended)[0] as number, stdout, stderr: "" };
  }

  test("a tree of streams keeps to it: the time goes first", async () => {
    await append(server.url, "/narrow/a-name-that-takes-its-room/x", { type: "a" });
    const { code, stdout } = await onTerminal("streams /narrow");
    expect(code).toBe(0);
    expect(stdout).toBe(
      "/narrow                        3\n└─ a-name-that-takes-its-room  2\n   └─ x                        2\n",
    );
    covered.add("a terminal of 40 columns");
  });

  test.each([
    ["state /nothing", 1, "millrace: There is no stream at /nothing. It comes into being with its first append.\n"],
    ["delete /me/hello --children --json --nonsense", 2, /^millrace: Unknown option '--nonsense'/],
  ])("millrace %s: the line is whole, and the terminal breaks it", async (command, code, says) => {
    const ran = await onTerminal(command);
    expect(ran.code).toBe(code);
    expect(ran.stdout).toMatch(says);
  });
});

describe("a broken pipe", () => {
  test.each([[["read", "/long"]], [["export", "/long"]], [["tail", "/long", "--from", "start", "--json"]]])(
    "%j: a reader that leaves ends it quietly",
    async (args) => {
      await append(server.url, "/long", Array(1_000).fill({ type: "a", payload: "x".repeat(1_000) }));
      const leaving = start([...args, "--url", server.url]);
      leaving.child.stdout?.once("data", () => leaving.child.stdout?.destroy());
      const { code, stderr } = await leaving.exited;
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      covered.add("a broken pipe");
    },
  );
});

test("each state was seen", () => {
  const seen = existsSync(terminal) ? states : states.filter((state) => !state.includes("terminal"));
  expect([...covered].sort()).toEqual([...seen].sort());
});
