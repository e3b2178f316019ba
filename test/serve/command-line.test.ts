/** The command line: what it says where, what it refuses, and how it ends. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { append, getJson, postJson, readAll } from "../processes/http.ts";
import {
  type Exit,
  runCommand,
  type ServerProcess,
  spawnCommand,
  startServer,
  temporaryDirectory,
  whenListening,
} from "../processes/server-process.ts";
import { exchange } from "./sockets.ts";

const servers: ServerProcess[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

function dataDirectory(): string {
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  return path.join(directory, "data");
}

async function start(args: string[] = [], data = dataDirectory()): Promise<ServerProcess> {
  const server = await startServer({ data, args });
  servers.push(server);
  return server;
}

async function startWith(args: string[], env: Record<string, string>): Promise<ServerProcess> {
  const server = await whenListening(spawnCommand(["serve", ...args], env));
  servers.push(server);
  return server;
}

describe("what it says", () => {
  test("one line on stdout when it is ready, everything else on stderr", async () => {
    const server = await start(["--log-level", "info"]);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    // It answers once that is known how deployed code is shut in, which is told then.
    const { sandbox } = (await getJson(server.url, "/readyz")) as { sandbox: { holds: string } };
    await append(server.url, "/a", { type: "a" });
    await postJson(server.url, "/a", "hogwash");
    const { code, stdout, stderr } = await server.stop("SIGTERM");
    expect(code).toBe(0);
    expect(stdout).toBe(`listening on ${server.url}\n`);
    const lines = stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { msg: string; sandbox?: string });
    const messages = lines.map(({ msg }) => msg);
    expect(messages[0]).toBe("ready");
    expect(lines.find(({ msg }) => msg === "deployed code is shut in")?.sandbox).toBe(sandbox.holds);
    expect(messages.at(-1)).toBe("stopped");
  });

  test("nothing at all on stderr with --log-level silent", async () => {
    const server = await start(["--log-level", "silent"]);
    await append(server.url, "/a", { type: "a" });
    expect(await server.stop("SIGTERM")).toMatchObject({ code: 0, stderr: "" });
  });

  test("nothing about ordinary use with --log-level warn", async () => {
    const server = await start();
    await append(server.url, "/a/b", { type: "a" });
    await postJson(server.url, "/a", "hogwash");
    await fetch(`${server.url}/a?nonsense=1`);
    expect(await server.stop("SIGTERM")).toMatchObject({ code: 0, stderr: "" });
  });

  test.each([["--help"], ["-h"], ["serve", "--help"], ["serve", "-h"], ["serve", "--host", "0.0.0.0", "--help"]])(
    "help: %s %s",
    async (...args) => {
      const { code, stdout, stderr } = await runCommand(args);
      expect(code).toBe(0);
      expect(stderr).toBe("");
      expect(stdout).toMatch(/^Usage: millrace /);
    },
  );

  test("the help names every flag and its environment variable", async () => {
    const { stdout } = await runCommand(["serve", "--help"]);
    const flags = [
      "port",
      "host",
      "data",
      "token-file",
      "insecure",
      "public-url",
      "allow-host",
      "cors-origin",
      "allow-forms-from",
      "allow-private-destinations",
      "egress-allow",
      "npm-registry",
      "npm-allow",
      "log-level",
      "help",
    ];
    for (const flag of flags) expect(stdout).toContain(`  --${flag}`);
    for (const name of ["MILLRACE_PORT", "MILLRACE_HOST", "MILLRACE_DATA"]) expect(stdout).toContain(name);
    const named = [...stdout.matchAll(/^ {2}--([\w-]+)/gm)].map(([, name]) => name);
    expect(named.sort()).toEqual([...flags].sort());
  });
});

describe("wrong usage ends with 2, says what is wrong on stderr, and starts nothing", () => {
  const usage = (args: string[], words: string): [string[], string] => [args, words];

  test.each([
    usage([], "Usage: millrace"),
    usage(["nonsense"], 'There is no command "nonsense"'),
    usage(["serve", "--prot", "1"], "--prot"),
    usage(["serve", "extra"], "extra"),
    usage(["serve", "--port"], "--port"),
    usage(["serve", "--port", "abc"], '--port is a number from 0 to 65535; got "abc"'),
    usage(["serve", "--port", "65536"], "--port"),
    usage(["serve", "--port", "-1"], "--port"),
    usage(["serve", "--log-level", "loud"], '--log-level is trace, debug, info, warn, error or silent; got "loud"'),
    usage(["serve", "--public-url", "streams.example.org"], "--public-url is a URL"),
    usage(["serve", "--token-file", "/nowhere/token"], "--token-file /nowhere/token cannot be read"),
    usage(["serve", "--host", "0.0.0.0"], "--token-file"),
    usage(["serve", "--egress-allow", "api.example.com/v1"], "--egress-allow: expected a host"),
    usage(["serve", "--egress-allow", "demo="], "--egress-allow is HOST[,HOST], PROJECT=HOST[,HOST] or none"),
    usage(["serve", "--npm-registry", "npm"], "The npm registry is a URL such as"),
    usage(["serve", "--npm-allow", "zod"], "--npm-allow needs --npm-registry"),
    usage(["serve", "--host", "::"], "--insecure"),
    usage(["serve", "--host", "192.0.2.1"], "can be reached by others"),
  ])("%j", async (args, words) => {
    const data = dataDirectory();
    const { code, stdout, stderr } = await runCommand(args, { MILLRACE_DATA: data, MILLRACE_PORT: "0" });
    expect(code).toBe(2);
    expect(stdout + stderr).toContain(words);
    if (args.length > 0) expect(stdout).toBe("");
    expect(stderr).not.toContain("    at ");
    expect(existsSync(data)).toBe(false);
  });

  test("a token that is too short to be one", async () => {
    const { directory, remove } = temporaryDirectory();
    onTestFinished(remove);
    const file = path.join(directory, "token");
    writeFileSync(file, "short\n");
    const { code, stderr } = await runCommand(["serve", "--port", "0", "--data", ":memory:", "--token-file", file]);
    expect(code).toBe(2);
    expect(stderr).toContain("5 characters");
    expect(stderr).not.toContain("short");
  });

  test("an environment variable that is wrong", async () => {
    const { code, stderr } = await runCommand(["serve", "--data", ":memory:"], { MILLRACE_PORT: "many" });
    expect(code).toBe(2);
    expect(stderr).toContain('"many"');
    const host = await runCommand(["serve", "--data", ":memory:"], { MILLRACE_HOST: "0.0.0.0", MILLRACE_PORT: "0" });
    expect(host.code).toBe(2);
  });
});

describe("flags and environment", () => {
  test("variables are used, and flags win over them", async () => {
    const fromVariable = dataDirectory();
    const env = { MILLRACE_PORT: "0", MILLRACE_HOST: "localhost", MILLRACE_DATA: fromVariable };
    const first = await startWith([], env);
    expect(first.url).toMatch(/^http:\/\/localhost:\d+$/);
    await append(first.url, "/a", { type: "a" });
    expect(readdirSync(fromVariable).length).toBeGreaterThan(0);
    const fromFlag = dataDirectory();
    const second = await startWith(["--host", "127.0.0.2", "--data", fromFlag, "--port", "0"], {
      ...env,
      MILLRACE_PORT: "1",
    });
    expect(second.url).toMatch(/^http:\/\/127\.0\.0\.2:\d+$/);
    await append(second.url, "/a", { type: "a" });
    expect(readdirSync(fromFlag).length).toBeGreaterThan(0);
  });

  test("--data :memory: keeps nothing", async () => {
    const server = await start([], ":memory:");
    await append(server.url, "/a", { type: "a" });
    expect(await readAll(server.url, "/a")).toHaveLength(2);
    expect(existsSync(":memory:")).toBe(false);
  });

  test("--token-file asks for the token in the file", async () => {
    const data = dataDirectory();
    const file = `${data}-token`;
    writeFileSync(file, "correct-horse-battery-staple\n");
    const server = await start(["--token-file", file], data);
    expect((await fetch(`${server.url}/a`)).status).toBe(401);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    const headers = { authorization: "Bearer correct-horse-battery-staple" };
    await append(server.url, "/a", { type: "a" }, headers);
    expect((await fetch(`${server.url}/a?token=correct-horse-battery-staple`)).status).toBe(200);
    const { stdout, stderr } = await server.stop("SIGTERM");
    expect(stdout + stderr).not.toContain("correct-horse");
  });

  test("--allow-host, --public-url, --cors-origin and --allow-forms-from", async () => {
    const server = await start([
      ...["--allow-host", "One.example", "--allow-host", "two.example"],
      ...["--public-url", "https://three.example:8443/x", "--cors-origin", "https://app.example"],
      ...["--cors-origin", "https://other.example", "--allow-forms-from", "https://forms.example"],
    ]);
    const status = async (headers: Record<string, string>, method = "GET", body?: string) =>
      (await fetch(`${server.url}/a`, { headers, method, ...(body === undefined ? {} : { body }) })).status;
    for (const host of ["one.example", "two.example", "three.example"]) {
      const response = await getByHost(server.port, host);
      expect(response).toContain("HTTP/1.1 200 OK");
    }
    expect(await getByHost(server.port, "four.example")).toContain("HTTP/1.1 403 Forbidden");
    expect(await status({ origin: "https://app.example" })).toBe(200);
    expect(await status({ origin: "https://other.example" })).toBe(200);
    expect(await status({ origin: "https://evil.example" })).toBe(403);
    const formHeaders = { origin: "https://forms.example", "content-type": "application/x-www-form-urlencoded" };
    expect(await status(formHeaders, "POST", "a=1")).toBe(200);
  });
});

describe("what it cannot use ends with 1 and one clear message", () => {
  function expectRefusal({ code, stdout, stderr }: Exit, ...words: string[]): void {
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr.trim().split("\n")).toHaveLength(1);
    for (const word of words) expect(stderr).toContain(word);
  }

  test("a port in use; the data is free again afterwards", async () => {
    const first = await start();
    const data = dataDirectory();
    const port = String(first.port);
    const second = await runCommand(["serve", "--port", port, "--data", data]);
    expectRefusal(second, `Port ${port} on 127.0.0.1 is in use`, "--port 0");
    await start([], data);
  });

  test("an address that this machine has not", async () => {
    const args = ["serve", "--port", "0", "--host", "192.0.2.1", "--insecure", "--data", ":memory:"];
    expectRefusal(await runCommand(args), "192.0.2.1", "--host");
  });

  test("data that another server has", async () => {
    const data = dataDirectory();
    const first = await start([], data);
    const second = await runCommand(["serve", "--port", "0", "--data", data]);
    expectRefusal(second, "is in use", `process id ${first.pid}`, first.url, "--data");
    await append(first.url, "/a", { type: "a" });
    await first.stop("SIGKILL");
    const third = await start([], data);
    expect(await readAll(third.url, "/a")).toHaveLength(2);
    expect(await getJson(third.url, "/readyz")).toMatchObject({ status: "ready" });
  });

  test("data that is a file", async () => {
    const { directory, remove } = temporaryDirectory();
    onTestFinished(remove);
    const file = path.join(directory, "file");
    writeFileSync(file, "not a directory");
    expectRefusal(await runCommand(["serve", "--port", "0", "--data", file]), file);
  });
});

function getByHost(port: number, host: string): Promise<string> {
  return exchange(port, `GET /a HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
}
