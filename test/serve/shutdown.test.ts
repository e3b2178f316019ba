/** SIGTERM: what was acknowledged is there, readers end, and it is over quickly. */
import path from "node:path";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { append, breakerOff, builtin, postJson, readAll } from "../processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../processes/server-process.ts";
import { open } from "./sockets.ts";

const servers: ServerProcess[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function start(data = newData()): Promise<ServerProcess> {
  const server = await startServer({ data });
  servers.push(server);
  return server;
}

function newData(): string {
  const { directory, remove } = temporaryDirectory();
  onTestFinished(remove);
  return path.join(directory, "data");
}

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s in the middle of appends loses nothing that was acknowledged",
  async (signal) => {
    const data = newData();
    const server = await start(data);
    const paths = Array.from({ length: 8 }, (_, n) => `/writer/${n}`);
    for (const streamPath of paths) await append(server.url, streamPath, breakerOff);
    const acknowledged = new Map<string, number[]>(paths.map((streamPath) => [streamPath, []]));
    const refusals: number[] = [];
    let stopping = false;
    const write = async (streamPath: string) => {
      for (let n = 0; ; n++) {
        let response: Response;
        try {
          response = await postJson(server.url, streamPath, { type: "n", payload: n });
        } catch {
          return; // the connection was closed
        }
        if (response.status !== 200) {
          refusals.push(response.status);
          return;
        }
        acknowledged.get(streamPath)?.push(((await response.json()) as { event: { offset: number } }).event.offset);
        if (!stopping && n === 20) {
          stopping = true;
          void server.stop(signal);
        }
      }
    };
    await Promise.all(paths.map(write));
    const { code } = await server.exited;
    expect(code).toBe(0);
    for (const status of refusals) expect(status).toBe(503);

    const again = await start(data);
    for (const [streamPath, offsets] of acknowledged) {
      const events = await readAll(again.url, streamPath);
      expect(events.map(({ offset }) => offset)).toEqual(events.map((_, index) => index + 1));
      expect(events.length).toBeGreaterThanOrEqual(offsets.at(-1) as number);
      for (const [n, offset] of offsets.entries()) expect(events[offset - 1]).toMatchObject({ type: "n", payload: n });
    }
  },
);

test("live readers of all formats end, and so does the server, at once", async () => {
  const server = await start();
  await append(server.url, "/a", { type: "a" });
  const targets = ["/a?live=true", "/a?live=true&format=ndjson", "/a?live=true&format=yaml", "/unborn?live=true"];
  const answers = await Promise.all(targets.map((target) => fetch(server.url + target)));
  const texts = answers.map((answer) => answer.text());
  const started = performance.now();
  const { code, stderr } = await server.stop("SIGTERM");
  expect(performance.now() - started).toBeLessThan(3_000);
  expect(code).toBe(0);
  expect(stderr).toBe("");
  const [frames, lines] = await Promise.all(texts);
  expect(frames).toContain("id: 2\nevent: message");
  expect(lines?.trim().split("\n")).toHaveLength(2);
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
});

test("connections that are idle, and a body that never ends, do not hold it up for long", async () => {
  const server = await start();
  const idle = await open(server.port);
  const used = await open(server.port);
  used.socket.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await used.until((text) => text.includes('"ok"'));
  const half = await open(server.port);
  half.socket.write('POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"type":');
  const reading = await open(server.port);
  reading.socket.write("GET /a?live=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await reading.until((text) => text.includes("retry"));
  const started = performance.now();
  const { code } = await server.stop("SIGTERM");
  expect(code).toBe(0);
  expect(performance.now() - started).toBeLessThan(13_000);
  for (const connection of [idle, used, half, reading]) connection.socket.destroy();
});

test("a second signal ends it at once", async () => {
  const server = await start();
  const half = await open(server.port);
  half.socket.write('POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"type":');
  const other = await open(server.port);
  other.socket.write("GET /a?live=true HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await other.until((text) => text.includes("retry"));
  const first = server.stop("SIGTERM");
  await other.closed; // it is stopping
  const started = performance.now();
  await server.stop("SIGTERM");
  expect((await first).code).toBe(1);
  expect(performance.now() - started).toBeLessThan(2_000);
  half.socket.destroy();
});

test("what was announced is not announced again, and what was not is, after a restart", async () => {
  const data = newData();
  const first = await start(data);
  const children = Array.from({ length: 300 }, (_, n) => `/parent/child-${n}`);
  await Promise.all(children.map((child) => append(first.url, child, { type: "a" })));
  await first.stop("SIGTERM");
  const second = await start(data);
  const births = () => readAll(second.url, "/parent", "public", `&type=${builtin("child-stream-created")}`);
  const deadline = performance.now() + 20_000;
  while ((await births()).length < children.length && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const announced = (await births()).map(({ payload }) => (payload as { childPath: string }).childPath);
  expect(announced.sort()).toEqual([...children].sort());
});
