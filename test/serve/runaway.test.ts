/** The circuit breaker as it ships: a runaway is stopped, a busy day is not, and a thousand births are no runaway. */
import type { StreamEvent } from "@millrace/protocol";
import { expect, test } from "vitest";
import { append, builtin, follow, getJson, readAll } from "../processes/http.ts";
import { sharedServer } from "../processes/shared-server.ts";
import { open, statuses } from "./sockets.ts";

const server = sharedServer();

const invalid = builtin("invalid-event-appended");

test.each<[what: string, body: unknown, type: string]>([
  ["events", { type: "loop" }, "loop"],
  ["events that are none", { hogwash: true }, invalid],
])("140 %s in parallel trip it, and `paused` says why and how to go on", async (_, body, type) => {
  const path = `/parallel/${type === invalid ? "invalid" : "valid"}`;
  const answers = await postAtOnce(path, JSON.stringify(body), 140);
  const stored = answers.filter(([status]) => status === 200);
  const refused = answers.filter(([status]) => status === 423);
  expect(stored.length + refused.length).toBe(140);
  // 100 in the bucket, the one too many, and what was refilled meanwhile.
  expect(stored.length).toBeGreaterThanOrEqual(101);
  expect(stored.length).toBeLessThan(135);

  const events = await readAll(server.url, path);
  expect(events.map((event) => event.type)).toEqual([
    builtin("initialized"),
    ...Array.from({ length: stored.length }, () => type),
    builtin("paused"),
  ]);
  const pause = events.at(-1) as StreamEvent<{ reason: string; cause: object }>;
  const trigger = { streamPath: path, offset: pause.offset - 1 };
  expect(pause.payload.cause).toEqual({ kind: "rate", limit: 100, observed: 101, chain: [trigger] });
  expect(pause.payload.reason).toContain("resumed");
  expect(pause.payload.reason).toContain("circuit-breaker-configured");
  for (const [, problem] of refused) {
    expect(problem).toMatchObject({ code: "stream_paused", reason: pause.payload.reason, since: pause.createdAt });
    expect(problem.howToResume).toContain(builtin("resumed"));
  }
  expect(await getJson(server.url, `/api/state${path}`)).toMatchObject({ paused: true, head: pause.offset });

  await append(server.url, path, { type: builtin("resumed") });
  await append(server.url, path, { type: "going on" });
  expect(await getJson(server.url, `/api/state${path}`)).toMatchObject({ paused: false });
});

/** All connections stand before the first byte is sent, so that a slow test machine does not give the bucket time. */
async function postAtOnce(path: string, body: string, count: number): Promise<[status: number, answer: Problem][]> {
  const request = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const connections = await Promise.all(Array.from({ length: count }, () => open(server.port)));
  for (const { socket } of connections) socket.write(request);
  const texts = await Promise.all(connections.map(({ closed }) => closed));
  return texts.map((text) => [statuses(text)[0] as number, JSON.parse(text.slice(text.indexOf("\r\n\r\n")))]);
}

interface Problem {
  howToResume: string;
}

test("105 events with 20 ms between them do not trip it", async () => {
  const path = "/steady";
  for (let n = 0; n < 105; n++) {
    await append(server.url, path, { type: "n" });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect((await readAll(server.url, path)).filter(({ type }) => type === "n")).toHaveLength(105);
  expect(await getJson(server.url, `/api/state${path}`)).toMatchObject({ paused: false, head: 106 });
});

test("burstCapacity 0 switches it off", async () => {
  const path = "/off";
  await append(server.url, path, {
    type: builtin("circuit-breaker-configured"),
    payload: { burstCapacity: 0, refillRatePerMinute: 1 },
  });
  const all = await Promise.all(Array.from({ length: 500 }, () => append(server.url, path, { type: "n" })));
  expect(new Set(all.map(([event]) => event?.offset)).size).toBe(500);
});

test("a batch counts as one", async () => {
  const batch = Array.from({ length: 1_000 }, () => ({ type: "n" }));
  for (let n = 0; n < 20; n++) await append(server.url, "/batches", batch);
  expect(await getJson(server.url, "/api/state/batches")).toMatchObject({ paused: false, head: 20_001 });
});

test("a thousand new streams in a second leave every ancestor complete and unpaused", async () => {
  const children = Array.from({ length: 1_000 }, (_, n) => `/crowd/${n % 10}/agent-${n}`);
  const started = performance.now();
  await Promise.all(children.map((child) => append(server.url, child, { type: "hello" })));
  const bornIn = performance.now() - started;
  const between = Array.from({ length: 10 }, (_, n) => `/crowd/${n}`);
  const expected = new Map([
    ["/", [...children, ...between, "/crowd"]],
    ["/crowd", [...children, ...between]],
    ...between.map((path): [string, string[]] => [path, children.filter((child) => child.startsWith(`${path}/`))]),
  ]);
  const query = `&type=${builtin("child-stream-created")}`;
  for (const [ancestor, paths] of expected) {
    const missing = new Set(paths);
    await follow(server.url, ancestor, query, ({ payload }) => {
      missing.delete((payload as { childPath: string }).childPath);
      return missing.size === 0;
    });
  }
  for (const [ancestor, paths] of expected) {
    const events = await readAll(server.url, ancestor);
    expect(await getJson(server.url, `/api/state${ancestor}`)).toMatchObject({ paused: false, head: events.length });
    const born = events.filter(({ type }) => type === builtin("child-stream-created"));
    const announced = born.map(({ payload }) => (payload as { childPath: string }).childPath);
    const own = announced.filter((path) => path.startsWith("/crowd"));
    expect(own.sort()).toEqual([...paths].sort());
  }
  const { streams } = await getJson(server.url, "/api/streams?prefix=/crowd/3&limit=1000");
  expect(streams).toHaveLength(101);
  // The machine may be busy with other tests; alone it takes well under a second.
  expect(bornIn).toBeLessThan(10_000);
});
