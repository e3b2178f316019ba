/** What a request is called, in the answer that refuses it and in the log. */
import { createEngine, createMemoryDirectory } from "@millrace/engine";
import { createHandler } from "@millrace/http";
import { createManualClock, createSeededRandom, interceptDirectory } from "@millrace/testing";
import { expect, test } from "vitest";
import { freshPath, post, refused } from "../http/calls.ts";
import { describeEach } from "../http/servers.ts";
import { startServer } from "../processes/server-process.ts";

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describeEach("request ids", (server) => {
  test.each(["abc", "01J9/xyz=", "a.b:c+d@e~f-g", "x".repeat(128)])("%s is taken as it came", async (id) => {
    const response = await server().send("/a?nonsense=1&token=hidden", { headers: { "x-request-id": id } });
    expect(response.headers.get("x-request-id")).toBe(id);
    await refused(response, "invalid_request");
    expect(server().refusals.at(-1)).toEqual({ requestId: id, method: "GET", path: "/a" });
  });

  test.each(["", "two words", "{}", '"quoted"', "x".repeat(129), undefined])("%j is replaced", async (id) => {
    const headers: Record<string, string> = id === undefined ? {} : { "x-request-id": id };
    for (const target of ["/a?nonsense=1", "/api/nothing"]) {
      const made = (await server().send(target, { headers })).headers.get("x-request-id");
      expect(made).toMatch(uuid);
      expect(server().refusals.at(-1)?.requestId).toBe(made);
    }
  });

  test("an answer that is no refusal has none", async () => {
    const response = await post(server(), freshPath(), '{"type":"a"}', { headers: { "x-request-id": "abc" } });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-request-id")).toBe(null);
  });
});

test("a fault of the server is reported with the request's id", async () => {
  const directory = interceptDirectory(createMemoryDirectory(), async ({ operation }, proceed) => {
    if (operation === "list") throw new Error("disk I/O error");
    return proceed();
  });
  const engine = createEngine({ directory, clock: createManualClock(), random: createSeededRandom(1) });
  const faults: unknown[] = [];
  const handler = createHandler({ engine, onFault: (...report) => faults.push(report) });
  const headers = { "x-request-id": "abc" };
  const response = await handler.fetch(new Request("http://localhost/api/streams?limit=1", { headers }));
  expect(response.status).toBe(503);
  expect(response.headers.get("x-request-id")).toBe("abc");
  expect(faults).toEqual([[new Error("disk I/O error"), { requestId: "abc", method: "GET", path: "/api/streams" }]]);
});

test("the log names refusals at the level debug, and no token", async () => {
  const server = await startServer({ data: ":memory:", args: ["--log-level", "debug"] });
  const headers = { "x-request-id": "abc" };
  await fetch(`${server.url}/api/nothing?token=hidden`, { headers });
  const { stderr } = await server.stop("SIGTERM");
  const lines = stderr.split("\n").filter((line) => line.includes('"refused"'));
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ level: 20, code: "not_found", requestId: "abc", method: "GET", path: "/api/nothing" }),
  ]);
  expect(stderr).not.toContain("hidden");
});
