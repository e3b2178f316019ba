/** What disks do while a server runs. Whatever it is: nothing that was acknowledged is lost, and nobody is lied to. */
import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { append, breakerOff, follow, getJson, postJson, readAll } from "../../../test/processes/http.ts";
import { type ServerProcess, startServer, temporaryDirectory } from "../../../test/processes/server-process.ts";
import { createDisk, noDisks, noTraces, trace } from "./disks.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startOn(data: string): Promise<ServerProcess> {
  const server = await startServer({ data });
  cleanups.push(() => server.stop());
  return server;
}

async function startOnTemporary(): Promise<{ server: ServerProcess; data: string }> {
  const { directory, remove } = temporaryDirectory();
  cleanups.push(remove);
  return { server: await startOn(directory), data: directory };
}

/** Sends numbered, keyed events to one stream, and remembers which of them were acknowledged. */
class Sender {
  readonly path: string;
  readonly acknowledged: Map<number, string> = new Map();
  sent = 0;

  constructor(streamPath: string) {
    this.path = streamPath;
  }

  /** The status of the answer; 0 when there was none. */
  async send(url: string, bytes: number, number: number = ++this.sent): Promise<number> {
    const event = { type: "numbered", payload: { number, filling: "x".repeat(bytes) }, idempotencyKey: `${number}` };
    try {
      const response = await postJson(url, this.path, event);
      const text = await response.text();
      if (response.status === 200) this.acknowledged.set(number, text);
      if (response.status === 503) {
        expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
        expect(JSON.parse(text)).toMatchObject({ code: "unavailable", status: 503 });
      }
      return response.status;
    } catch {
      return 0;
    }
  }

  /** Everything acknowledged is there once, where the answer said, and offsets have no gaps. */
  async verify(url: string): Promise<void> {
    const events = await readAll(url, this.path);
    expect(events.map(({ offset }) => offset)).toEqual(events.map((_, i) => i + 1));
    const numbers = events
      .filter(({ type }) => type === "numbered")
      .map(({ idempotencyKey }) => Number(idempotencyKey));
    expect(new Set(numbers).size, "no event twice").toBe(numbers.length);
    const stored = new Map(events.map((event) => [Number(event.idempotencyKey), `${JSON.stringify({ event })}\n`]));
    for (const [number, answer] of this.acknowledged) {
      expect(stored.get(number)?.slice(0, 300), `event ${number}`).toBe(answer.slice(0, 300));
    }
  }

  /** What was not acknowledged is sent again until it is. */
  async retry(url: string, bytes: number): Promise<void> {
    for (let number = 1; number <= this.sent; number++) {
      if (!this.acknowledged.has(number)) expect(await this.send(url, bytes, number)).toBe(200);
    }
  }
}

describe("a disk that is full", () => {
  test("refuses appends with 503 while reads go on, and takes them again when there is room", async ({ skip }) => {
    if (noDisks !== undefined) return skip(noDisks);
    const disk = createDisk("3m");
    cleanups.push(() => disk.remove());
    const data = path.join(disk.directory, "data");
    const server = await startOn(data);
    const { url } = server;
    const sender = new Sender("/full/a");
    await append(url, sender.path, breakerOff);
    const live = follow(url, sender.path, "", ({ idempotencyKey }) => idempotencyKey === "after");

    while ((await sender.send(url, 50_000)) === 200) expect(sender.sent).toBeLessThan(200);
    expect(sender.acknowledged.size).toBeGreaterThan(10);
    expect(await sender.send(url, 50_000), "and it stays so").toBe(503);
    await sender.verify(url);
    expect(await getJson(url, "/api/state/full/a")).toMatchObject({ head: sender.acknowledged.size + 2 });
    expect((await getJson(url, "/api/streams?prefix=/full/a")).streams).toHaveLength(1);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);

    disk.grow("50m");
    expect(await sender.send(url, 50_000), "the first append after it").toBe(200);
    await sender.retry(url, 50_000);
    await append(url, sender.path, { type: "after", idempotencyKey: "after" });
    await live;
    await sender.verify(url);
    expect((await append(url, "/full/other", { type: "t" }))[0]?.offset).toBe(2);

    await server.stop("SIGKILL");
    const next = await startOn(data);
    expect(sender.acknowledged.size).toBe(sender.sent);
    await sender.verify(next.url);
  });

  test("fails the deletion of a stream too, and a later one succeeds", async ({ skip }) => {
    if (noDisks !== undefined) return skip(noDisks);
    const disk = createDisk("3m");
    cleanups.push(() => disk.remove());
    const { url } = await startOn(path.join(disk.directory, "data"));
    const sender = new Sender("/a");
    await append(url, sender.path, breakerOff);
    while ((await sender.send(url, 100_000)) === 200);
    while ((await sender.send(url, 10)) === 200);
    const remove = () => fetch(`${url}/api/streams/a`, { method: "DELETE" });
    const refused = await remove();
    expect([200, 503]).toContain(refused.status);
    disk.grow("50m");
    await remove();
    expect(await readAll(url, "/a")).toEqual([]);
    expect((await append(url, "/a", { type: "t" }))[0]?.offset).toBeGreaterThan(sender.acknowledged.size);
  });
});

describe("a disk that cannot be written", () => {
  test.for(["EROFS", "EIO"])(
    "(%s) refuses appends while reads go on, until it can be again",
    async (error, { skip }) => {
      if (noTraces !== undefined) return skip(noTraces);
      const { server, data } = await startOnTemporary();
      const sender = new Sender("/a");
      for (let i = 0; i < 10; i++) expect(await sender.send(server.url, 100)).toBe(200);
      const broken = await trace(server.pid, "pwrite64,pwritev,ftruncate,fallocate", `error=${error}`);
      for (let i = 0; i < 10; i++) expect(await sender.send(server.url, 100)).toBe(503);
      expect((await postJson(server.url, "/new", { type: "t" })).status).toBe(503);
      await sender.verify(server.url);
      expect((await readAll(server.url, "/new")).length).toBe(0);
      await broken.stop();
      await sender.retry(server.url, 100);
      await server.stop("SIGKILL");
      const next = await startOn(data);
      await sender.verify(next.url);
      expect(sender.acknowledged.size).toBe(20);
    },
  );
});

describe("a disk that cannot be read", () => {
  test("answers 503 for what is not in memory, and goes on when it can be", async ({ skip }) => {
    if (noTraces !== undefined) return skip(noTraces);
    const { server: first, data } = await startOnTemporary();
    const filling = "x".repeat(20_000);
    for (let n = 0; n < 5; n++) {
      const events = Array.from({ length: 50 }, () => ({ type: "t", payload: filling }));
      await append(first.url, `/s${n}`, events);
    }
    await first.stop("SIGTERM");
    const { url, pid } = await startOn(data);
    await append(url, "/s0", { type: "t" });
    const broken = await trace(pid, "pread64,preadv", "error=EIO");
    for (let n = 1; n < 5; n++) {
      const statuses = await Promise.all([
        fetch(`${url}/api/state/s${n}`).then(({ status }) => status),
        fetch(`${url}/api/streams/s${n}?format=json`).then(({ status }) => status),
        postJson(url, `/s${n}`, { type: "t" }).then(({ status }) => status),
      ]);
      expect(statuses).toEqual([503, 503, 503]);
    }
    // To a stream in memory an append may succeed; that it does not end the server is what counts.
    const sender = new Sender("/s0");
    for (let i = 0; i < 10; i++) expect([200, 503]).toContain(await sender.send(url, 10_000));
    await broken.stop();
    await sender.retry(url, 10_000);
    await sender.verify(url);
    for (let n = 1; n < 5; n++) {
      expect((await readAll(url, `/s${n}`)).length).toBe(51);
      expect((await append(url, `/s${n}`, { type: "t" }))[0]?.offset).toBe(52);
    }
  });
});

describe("a sync that fails", () => {
  test("ends the process with one message and code 1; nothing more is acknowledged and nothing is lost", async ({
    skip,
  }) => {
    if (noTraces !== undefined) return skip(noTraces);
    const { server, data } = await startOnTemporary();
    const senders = Array.from({ length: 10 }, (_, n) => new Sender(`/s${n}`));
    for (const sender of senders) {
      for (let i = 0; i < 5; i++) expect(await sender.send(server.url, 100)).toBe(200);
    }
    await trace(server.pid, "fdatasync,fsync", "error=EIO");
    const statuses = await Promise.all(senders.flatMap((sender) => [1, 2].map(() => sender.send(server.url, 100))));
    expect(statuses.filter((status) => status === 200)).toEqual([]);
    const { code, stderr } = await server.exited;
    expect(code).toBe(1);
    const messages = stderr.split("\n").filter((line) => line.startsWith("millrace: "));
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatch(
      /^millrace: The disk failed to sync .*millrace\.db .*Nothing that was acknowledged is lost/,
    );
    const next = await startOn(data);
    for (const sender of senders) {
      await sender.verify(next.url);
      await sender.retry(next.url, 100);
      await sender.verify(next.url);
      expect(sender.acknowledged.size).toBe(7);
    }
  });

  test("ends the process also when it happens in what the server does by itself", async ({ skip }) => {
    if (noTraces !== undefined) return skip(noTraces);
    const { server, data } = await startOnTemporary();
    for (let i = 0; i < 5; i++) await append(server.url, "/", { type: "t" });
    // The deletion itself is on disk, and of the root's nobody is told; what fails is the emptying of it.
    await trace(server.pid, "fdatasync,fsync", "error=EIO:when=2+");
    const response = await fetch(`${server.url}/api/streams/`, { method: "DELETE" });
    expect(response.status).toBe(200);
    const { code, stderr } = await server.exited;
    expect([code, stderr.match(/^millrace: The disk failed to sync/gm)?.length]).toEqual([1, 1]);
    const next = await startOn(data);
    expect(await readAll(next.url, "/")).toEqual([]);
    expect((await append(next.url, "/", { type: "t" }))[0]?.offset).toBe(8);
  });
});

describe("an acknowledgement", () => {
  test("is sent after the sync, every time", async ({ skip }) => {
    if (noTraces !== undefined) return skip(noTraces);
    const { server } = await startOnTemporary();
    await append(server.url, "/a", breakerOff);
    const tracer = await trace(server.pid, "fdatasync,fsync,write,writev,sendto,sendmsg");
    const count = 50;
    for (let i = 0; i < count; i++) await append(server.url, i % 3 === 0 ? `/new-${i}` : "/a", { type: "t" });
    const calls = await tracer.stop();
    let synced = 0;
    let answers = 0;
    for (const call of calls) {
      if (/(?:fdatasync|fsync)(?:\(\d+\)| resumed>\)) += 0$/.test(call)) synced++;
      if (!call.includes('"HTTP/1.1 200 OK')) continue;
      expect(synced, `syncs before answer ${answers + 1}`).toBeGreaterThan(0);
      synced = 0;
      answers++;
    }
    expect(answers, "answers seen").toBe(count);
  });
});
