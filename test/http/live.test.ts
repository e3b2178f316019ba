/** History, then what is new, on one connection: without a gap, without a duplicate, until somebody ends it. */
import { afterEach, expect, test } from "vitest";
import { append, builtin, freshPath, readJson, refused } from "./calls.ts";
import { type LiveReader, openLive } from "./live-reader.ts";
import { describeEach } from "./servers.ts";

const open: LiveReader[] = [];
afterEach(() => {
  for (const reader of open.splice(0)) reader.close();
});

describeEach("a live read", (server) => {
  async function live(target: string, headers: Record<string, string> = {}, separator?: string): Promise<LiveReader> {
    const reader = await openLive(server(), target, headers, separator);
    expect(reader.response.status).toBe(200);
    open.push(reader);
    return reader;
  }

  test("gives history, then what is new", async () => {
    const path = freshPath();
    await append(server(), path, [{ type: "a" }, { type: "b" }]);
    const reader = await live(`${path}?live=true`);
    expect(reader.response.headers.get("content-type")).toBe("text/event-stream");
    expect(await reader.frame()).toBe(":\nretry: 1000");
    for (const offset of [1, 2, 3]) expect(await reader.frame()).toContain(`id: ${offset}\nevent: message\ndata: {`);
    const [event] = await append(server(), path, { type: "c" });
    expect(await reader.frame()).toBe(`id: 4\nevent: message\ndata: ${JSON.stringify(event)}`);
    await append(server(), path, [{ type: "d" }, { type: "e" }]);
    expect((await reader.event()).type).toBe("d");
    expect((await reader.event()).type).toBe("e");
  });

  test.each(["live=1", "live=true&afterOffset=end", "live=true&afterOffset=3", "live=true&offset=end"])(
    "?%s tells the reader at once that it is let in",
    async (query) => {
      const path = freshPath();
      await append(server(), path, [{ type: "a" }, { type: "b" }]);
      const reader = await live(`${path}?${query}`);
      expect(await reader.frame()).toBe(":\nretry: 1000");
      if (query === "live=1") for (let n = 0; n < 3; n++) await reader.event();
      await append(server(), path, { type: "c" });
      expect((await reader.event()).offset).toBe(4);
    },
  );

  test("marks the end of the history when asked to", async () => {
    const path = freshPath();
    await append(server(), path, { type: "a" });
    const reader = await live(`${path}?live=true&markers=true&afterOffset=1`);
    await reader.frame();
    await reader.frame();
    expect(await reader.frame()).toBe('id: 2\nevent: caught-up\ndata: {"offset":2}');
    await append(server(), path, { type: "b" });
    expect((await reader.event()).type).toBe("b");
    const atTheHead = await live(`${path}?live=true&markers=true`, { "last-event-id": "3" });
    await atTheHead.frame();
    expect(await atTheHead.frame()).toBe('id: 3\nevent: caught-up\ndata: {"offset":3}');
  });

  test("of a stream that is not there waits, makes nothing, and then gets the birth", async () => {
    const path = freshPath("unborn");
    const reader = await live(`${path}?live=true&markers=true`);
    expect(await reader.frame()).toBe(":\nretry: 1000");
    expect(await reader.frame()).toBe('id: 0\nevent: caught-up\ndata: {"offset":0}');
    await refused(await server().send(`/api/state${path}`), "not_found");
    await append(server(), path, { type: "a" });
    expect(await reader.event()).toMatchObject({ offset: 1, type: builtin("initialized") });
    expect(await reader.event()).toMatchObject({ offset: 2, type: "a" });
  });

  test("ends with `deleted` when the stream does; a new one gives the next life", async () => {
    const path = freshPath();
    await append(server(), path, { type: "a" });
    const reader = await live(`${path}?live=true&afterOffset=end`);
    await reader.frame();
    await server().send(`/api/streams${path}`, { method: "DELETE" });
    expect(await reader.frame()).toBe(`event: deleted\ndata: {"streamPath":"${path}","head":2}`);
    expect(await reader.frame()).toBe(undefined);
    const next = await live(`${path}?live=true`, { "last-event-id": "2" });
    await next.frame();
    await append(server(), path, { type: "again" });
    expect(await next.event()).toMatchObject({ offset: 3, type: builtin("initialized") });
    expect(await next.event()).toMatchObject({ offset: 4, type: "again" });
  });

  test("resumes behind Last-Event-ID without gap or duplicate", async () => {
    const path = freshPath();
    await append(server(), path, [{ type: "a" }, { type: "b" }]);
    const first = await live(`${path}?live=true`);
    await first.event();
    const { offset } = await first.event();
    first.close();
    await append(server(), path, { type: "c" });
    const second = await live(`${path}?live=true`, { "last-event-id": String(offset) });
    await append(server(), path, { type: "d" });
    expect((await second.event()).type).toBe("b");
    expect((await second.event()).type).toBe("c");
    expect((await second.event()).type).toBe("d");
  });

  test("filters by type, and ends after a limit or before an offset", async () => {
    const path = freshPath();
    await append(server(), path, [{ type: "note/a" }, { type: "other" }]);
    const filtered = await live(`${path}?live=true&type=note/*&type=https://events.iterate.com/paused`);
    const limited = await live(`${path}?live=true&afterOffset=2&limit=2`);
    const bounded = await live(`${path}?live=true&afterOffset=2&beforeOffset=5`);
    await append(server(), path, [{ type: "other" }, { type: "note/b" }, { type: builtin("paused") }]);
    expect((await filtered.event()).offset).toBe(2);
    expect((await filtered.event()).offset).toBe(5);
    expect((await filtered.event()).offset).toBe(6);
    for (const reader of [limited, bounded]) {
      expect((await reader.event()).offset).toBe(3);
      expect((await reader.event()).offset).toBe(4);
      expect(await reader.frame()).toBe(undefined);
    }
  });

  test("tells a filtered reader how far it is, every 1,000 events that it does not want", async () => {
    const path = freshPath();
    const thousand = Array.from({ length: 1_000 }, () => ({ type: "noise" }));
    await append(server(), path, thousand);
    await append(server(), path, thousand);
    await append(server(), path, { type: "signal" });
    const reader = await live(`${path}?live=true&type=signal`);
    const ids: number[] = [];
    for (;;) {
      const frame = await reader.frame();
      const id = /^id: (\d+)$/m.exec(frame ?? "")?.[1];
      if (id !== undefined) ids.push(Number(id));
      if (frame?.includes("data:")) break;
      expect(frame).toMatch(/^(?::\nretry: 1000|id: \d+)$/);
    }
    expect(ids.at(-1)).toBe(2_002);
    expect(ids.length).toBeGreaterThanOrEqual(2);
    for (const [index, id] of ids.entries()) expect(id - (ids[index - 1] ?? 0)).toBeLessThanOrEqual(2_000);
  });

  test("NDJSON and YAML can be live too, and let the reader in at once", async () => {
    const path = freshPath();
    const lines = await live(`${path}?live=true&format=ndjson`, {}, "\n");
    const documents = await live(`${path}?live=true&format=yaml`, {}, "---\n");
    expect(lines.response.headers.get("content-type")).toBe("application/x-ndjson");
    await append(server(), path, [{ type: "a" }, { type: "b" }]);
    for (const type of [builtin("initialized"), "a", "b"]) expect((await lines.event()).type).toBe(type);
    expect(await documents.frame()).toBe("");
    expect(await documents.frame()).toContain("offset: 1\n");
    expect(await documents.frame()).toContain("type: a\n");
  });

  test("many readers and many writers: everybody sees the same, in the same order", async () => {
    const path = freshPath();
    await append(server(), path, {
      type: builtin("circuit-breaker-configured"),
      payload: { burstCapacity: 0, refillRatePerMinute: 1 },
    });
    const count = 200;
    const readers = await Promise.all(Array.from({ length: 10 }, () => live(`${path}?live=true`)));
    const write = async (writer: number) => {
      for (let n = 0; n < count / 10; n++) await append(server(), path, { type: "w", payload: { writer, n } });
    };
    const late = (async () => {
      await append(server(), path, { type: "w", payload: { writer: -1, n: 0 } });
      return live(`${path}?live=true`);
    })();
    await Promise.all(Array.from({ length: 10 }, (_, writer) => write(writer)));
    const head = 2 + count + 1;
    for (const reader of [...readers, await late]) {
      for (let offset = 1; offset <= head; offset++) expect((await reader.event()).offset).toBe(offset);
    }
  });

  test("gives its place back when it leaves", async () => {
    const path = freshPath();
    await append(server(), path, [{ type: "a" }, { type: "b" }]);
    const readers = async () => (await readJson(server(), "/readyz")).readers as number;
    const before = await readers();
    const reader = await live(`${path}?live=true`);
    await reader.event();
    expect(await readers()).toBe(before + 1);
    reader.close();
    for (const query of ["", "?live=true", "?format=json", "?format=ndjson"]) {
      expect((await server().send(`${path}${query}`, { method: "HEAD" })).status).toBe(200);
    }
    await readJson(server(), `${path}?format=json&limit=1`);
    for (let patience = 200; (await readers()) !== before && patience > 0; patience--) await settle();
    expect(await readers()).toBe(before);
  });
});

describeEach(
  "limits on readers",
  (server) => {
    test("a stream has so many live readers, a server so many readers, and then it says so", async () => {
      await append(server(), "/one", { type: "a" });
      const targets = ["/one?live=true", "/one?live=true", "/two?live=true"];
      for (const target of targets) open.push(await openLive(server(), target));
      const third = await refused(await server().send("/two?live=true"), "rate_limited");
      expect(third).toMatchObject({ limit: 3 });
      open.pop()?.close();
      for (let patience = 200; (await readJson(server(), "/readyz")).readers > 2 && patience > 0; patience--)
        await settle();
      const ofStream = await refused(await server().send("/one?live=true"), "rate_limited");
      expect(ofStream).toMatchObject({ limit: 2, unit: "live readers of this stream" });
      expect((await server().send("/one?format=ndjson")).status).toBe(200);
    });
  },
  { limits: { readersPerStream: 2, readersPerProcess: 3 } },
);

/** The server hears of a broken connection from its operating system, which has no event to wait for here. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
