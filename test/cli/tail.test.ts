/** `millrace tail`: what is new, from several streams, over restarts, and how it ends. */
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { append } from "../processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { lines, start, until } from "./run.ts";

let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ data: ":memory:" });
});
afterAll(async () => {
  await server.stop("SIGTERM");
});

function tail(...args: string[]) {
  const running = start(["tail", ...args, "--json", "--url", server.url]);
  onTestFinished(() => void running.child.kill("SIGKILL"));
  const types = () => lines(running.stdout()).map((event) => (event as { type: string }).type);
  return { ...running, types };
}

const seen = (running: { stdout(): string }, count: number) => until(() => running.stdout().split("\n").length > count);

test("several paths, history first, until --limit", async () => {
  await append(server.url, "/one", { type: "a" });
  await append(server.url, "/two", { type: "b" });
  const running = tail("/one", "/two", "--from", "start", "--type", "a", "--type", "b*", "--limit", "3");
  await seen(running, 2);
  await append(server.url, "/two", [{ type: "bb" }, { type: "bbb" }]);
  expect((await running.exited).code).toBe(0);
  expect(running.types().sort()).toEqual(["a", "b", "bb"]);
});

test("behind an offset; Ctrl-C ends it with 130", async () => {
  await append(server.url, "/three", [{ type: "a" }, { type: "b" }, { type: "c" }]);
  const running = tail("/three", "--from", "3");
  await seen(running, 1);
  running.child.kill("SIGINT");
  expect(await running.exited).toMatchObject({ code: 130, stderr: "" });
  expect(running.types()).toEqual(["c"]);
});

test("a subtree, with streams that are born later", async () => {
  await append(server.url, "/tree/a", { type: "a" });
  const running = tail("/tree", "--children", "--from", "start", "--type", "a", "--type", "b");
  await seen(running, 1);
  await append(server.url, "/tree/b", { type: "b" });
  await seen(running, 2);
  expect(running.types()).toEqual(["a", "b"]);
});

test("ends when the stream is deleted, and says so", async () => {
  await append(server.url, "/gone", { type: "a" });
  const running = tail("/gone", "--from", "start");
  await seen(running, 2);
  await fetch(`${server.url}/api/streams/gone`, { method: "DELETE" });
  expect(await running.exited).toMatchObject({ code: 0, stderr: "millrace: /gone was deleted\n" });
});

test("goes on over a restart of the server, without gap or duplicate", async () => {
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  let durable = await startServer({ data: directory });
  onTestFinished(async () => void (await durable.stop("SIGTERM")));
  const running = start(["tail", "/durable", "--json", "--from", "start", "--url", durable.url]);
  onTestFinished(() => void running.child.kill("SIGKILL"));
  await append(durable.url, "/durable", [{ type: "a" }, { type: "b" }]);
  await seen(running, 3);
  await durable.stop("SIGKILL");
  durable = await startServer({ data: directory, port: durable.port });
  await append(durable.url, "/durable", { type: "c" });
  await seen(running, 4);
  running.child.kill("SIGINT");
  const { code, stderr, stdout } = await running.exited;
  expect(code).toBe(130);
  expect(lines(stdout).map((event) => (event as { offset: number }).offset)).toEqual([1, 2, 3, 4]);
  expect(stderr).toContain("the connection was lost");
  expect(stderr).toContain("connected again");
});
