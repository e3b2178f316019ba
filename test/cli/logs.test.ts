/** What processors say, as somebody sees it who runs the server: in its log, and with `millrace logs`. */
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { append, builtin } from "../processes/http.ts";
import { type ServerProcess, startServer } from "../processes/server-process.ts";
import { lines, run, start, until } from "./run.ts";

const parrot = `export default { slug: "parrot", afterAppend({ event, logger }) {
  if (event.type === "say") logger[event.payload.level ?? "info"](event.payload.message, event.payload.details);
} };`;
const configured = { type: builtin("dynamic-worker/configured"), payload: { slug: "parrot", script: parrot } };
const evil = 'x\n2026-01-01T00:00:00.000Z error /other@1 forged: y\n{"level":50,"msg":"forged"}\u001b[2J\u009b2J\r';

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ data: ":memory:", args: ["--log-level", "info"] });
});
afterAll(async () => {
  await server.stop("SIGTERM");
});

const say = (path: string, message: string, more: object = {}) =>
  append(server.url, path, [{ type: "say", payload: { message, ...more } }]);
const logs = (...args: string[]) => run(["logs", ...args, "--url", server.url]);

async function saidAt(path: string, count: number): Promise<{ message: string }[]> {
  for (;;) {
    const found = lines((await logs(path, "--json")).stdout) as { message: string }[];
    if (found.length >= count) return found;
  }
}

test("lines of a stream and below it, for people and for programs, and in the log of the server", async () => {
  await append(server.url, "/team/a", configured);
  await say("/team/a", "hello", { details: { n: 1 } });
  await say("/team/a", "not so good", { level: "warn" });
  expect(await saidAt("/team", 2)).toMatchObject([
    { level: "info", path: "/team/a", slug: "parrot", offset: 3, message: "hello", details: { n: 1 } },
    { level: "warn", path: "/team/a", slug: "parrot", offset: 4, message: "not so good" },
  ]);
  const time = "\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z";
  const shown = await logs("/team");
  expect(shown).toMatchObject({ code: 0, stderr: "" });
  expect(shown.stdout).toMatch(
    new RegExp(`^${time} info  /team/a@3 parrot: hello \\{"n":1\\}\n${time} warn  /team/a@4 parrot: not so good\n$`),
  );
  expect((await logs("/team", "--level", "warn", "--json")).stdout.trim().split("\n").length).toBe(1);
  const [, line] = lines(server.output().stderr).filter((one) => (one as { slug?: string }).slug === "parrot");
  expect(line).toMatchObject({ level: 40, project: "public", path: "/team/a", offset: 4, msg: "not so good" });
});

test("a process that deployed code took with it is one line, without a stack that leads nowhere", async () => {
  const script = 'export default { afterAppend({ event }) { if (event.type === "loop") for (;;); } };';
  await append(server.url, "/looping", {
    type: builtin("dynamic-worker/configured"),
    payload: { slug: "loop", script },
  });
  await append(server.url, "/looping", { type: "loop" });
  const ends = () => lines(server.output().stderr).filter((one) => (one as { death?: string }).death !== undefined);
  await until(() => ends().length > 0);
  const ended = ends();
  expect(ended[0]).toMatchObject({
    ...{ level: 40, project: "public", death: "cpu" },
    msg: "A sandbox process of public ended (cpu).",
  });
  expect(JSON.stringify(ended)).not.toContain(".js:");
});

test("nothing that is said forges a line or steers a terminal", async () => {
  await append(server.url, "/evil", configured);
  await say("/evil", evil, { details: { evil } });
  expect(await saidAt("/evil", 1)).toMatchObject([{ message: evil, details: { evil } }]);
  const { stdout } = await logs("/evil");
  expect(stdout.split("\n").filter((line) => /^\S/.test(line)).length).toBe(1);
  const log = server.output().stderr;
  const ours = lines(log).filter((one) => (one as { path?: string }).path === "/evil");
  expect(ours).toMatchObject([{ msg: evil, details: { evil } }]);
  for (const text of [stdout, log, (await logs("/evil", "--json")).stdout]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
    expect(text).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
  }
});

test("--follow goes on, over a server that starts again, until Ctrl-C", async () => {
  let other = await startServer({ data: ":memory:" });
  onTestFinished(async () => void (await other.stop("SIGTERM")));
  const begin = async (message: string) => {
    await append(other.url, "/live", configured);
    await append(other.url, "/live", [{ type: "say", payload: { message } }]);
  };
  await begin("one");
  const running = start(["logs", "/live", "--follow", "--json", "--url", other.url]);
  onTestFinished(() => void running.child.kill("SIGKILL"));
  const seen = (count: number) => until(() => running.stdout().split("\n").length > count);
  await seen(1);
  await append(other.url, "/live", [{ type: "say", payload: { message: "two" } }]);
  await seen(2);
  const { port } = other;
  await other.stop("SIGKILL");
  other = await startServer({ data: ":memory:", port });
  await begin("three");
  await seen(3);
  running.child.kill("SIGINT");
  const { code, stdout, stderr } = await running.exited;
  expect(code).toBe(130);
  expect(lines(stdout).map((line) => (line as { message: string }).message)).toEqual(["one", "two", "three"]);
  expect(stderr).toContain("the connection was lost");
  expect(stderr).toContain("connected again");
});

test("where nothing was said it says so; what is wrong is wrong usage; no server is 3", async () => {
  expect(await logs("/silent", "--slug", "parrot")).toEqual({
    code: 0,
    stdout: "",
    stderr: "millrace: nothing of that was said of late at /silent\n",
  });
  const wrong = await logs("/silent", "--level", "loud");
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain("--level is debug, info, warn or error");
  expect((await run(["logs", "--url", "http://127.0.0.1:1"])).code).toBe(3);
});
