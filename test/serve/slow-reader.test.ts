/** A client that reads nothing costs a bounded piece of memory, holds up nobody, and misses nothing when it goes on. */
import { expect, test } from "vitest";
import { append, breakerOff, follow, readAll } from "../processes/http.ts";
import { residentBytes } from "../processes/server-process.ts";
import { sharedServer } from "../processes/shared-server.ts";
import { type Connection, open } from "./sockets.ts";

const mebibyte = 1024 * 1024;
const server = sharedServer();

const path = "/huge";
const batch = Array.from({ length: 1_000 }, () => ({ type: "n", payload: "x".repeat(6_000) }));

async function appendBatches(count: number): Promise<number> {
  let head = 0;
  for (let n = 0; n < count; n++) head = (await append(server.url, path, batch)).at(-1)?.offset as number;
  return head;
}

async function stalledReader(query: string): Promise<Connection> {
  const connection = await open(server.port);
  connection.socket.pause();
  connection.socket.write(`GET ${path}?${query} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return connection;
}

/** Reads on until this offset, and gives every offset that came. */
async function offsetsUntil({ socket }: Connection, last: number): Promise<number[]> {
  const offsets: number[] = [];
  let rest = "";
  const done = new Promise<void>((resolve) => {
    socket.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() as string;
      for (const line of lines) if (line.startsWith("id: ")) offsets.push(Number(line.slice(4)));
      if ((offsets.at(-1) ?? 0) >= last) resolve();
    });
  });
  socket.resume();
  await done;
  return offsets;
}

test("clients that read nothing of a large history, live", async () => {
  await append(server.url, path, breakerOff);
  await appendBatches(10);
  // Once, for what reading itself needs.
  expect(await readAll(server.url, path)).toHaveLength(10_002);
  const before = residentBytes(server.pid);

  const stalled = await Promise.all(
    Array.from({ length: 30 }, (_, n) => stalledReader(n % 2 === 0 ? "live=true" : "live=true&format=ndjson")),
  );
  const heard = follow(server.url, path, "&afterOffset=end", ({ type }) => type === "news");
  const head = await appendBatches(10);
  expect(head).toBe(20_002);
  await append(server.url, path, { type: "news" });
  await heard;
  expect(await readAll(server.url, path)).toHaveLength(20_003);

  // Each may hold a page on its way and what its socket takes; together they have not read 3,600 MiB.
  expect(residentBytes(server.pid) - before).toBeLessThan(512 * mebibyte);

  const offsets = await offsetsUntil(stalled[0] as Connection, head + 1);
  expect(offsets).toEqual(Array.from({ length: head + 1 }, (_, index) => index + 1));
  for (const { socket } of stalled) socket.destroy();
}, 60_000);
