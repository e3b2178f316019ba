/** A finite read: which events, in which order, in which format, byte for byte. */
import type { StreamEvent } from "@millrace/protocol";
import { loadAll } from "js-yaml";
import { expect, test } from "vitest";
import { append, builtin, freshPath, json, post, readAll, readJson, refused } from "./calls.ts";
import { describeEach, type TestServer } from "./servers.ts";

/** A stream of `count` events behind its birth: types n1, n2 ... at offsets 2, 3 ... */
async function filled(server: TestServer, count: number, path = freshPath()): Promise<string> {
  await append(
    server,
    path,
    Array.from({ length: count }, (_, index) => ({ type: `n${index + 1}`, payload: { n: index + 1 } })),
  );
  return path;
}

const offsetsOf = (events: StreamEvent[]) => events.map(({ offset }) => offset);

describeEach("formats", (server) => {
  async function raw(path: string, query: string, headers: Record<string, string> = {}) {
    const response = await server().send(`/api/streams${path}${query}`, { headers });
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-cache");
    return { type: response.headers.get("content-type"), text: await response.text() };
  }

  /** The stored events as the lines that the append answered with. */
  async function withLines(): Promise<{ path: string; lines: string[] }> {
    const path = freshPath();
    const lines: string[] = [];
    for (const body of ['{"type":"ü \\u2028\\n","payload":"a\\r\\nb"}', '{"type":"b","metadata":{"m":1}}']) {
      const text = await (await post(server(), path, body, { contentType: json })).text();
      lines.push(text.slice('{"event":'.length, -"}\n".length));
    }
    const { text } = await raw(path, "?format=ndjson&limit=1");
    return { path, lines: [text.slice(0, -1), ...lines] };
  }

  test("server-sent events, byte for byte", async () => {
    const { path, lines } = await withLines();
    const frames = lines.map((line, index) => `id: ${index + 1}\nevent: message\ndata: ${line}\n\n`);
    const expected = { type: "text/event-stream", text: `:\nretry: 1000\n\n${frames.join("")}` };
    expect(await raw(path, "")).toEqual(expected);
    expect(await raw(path, "", { accept: "*/*" })).toEqual(expected);
    expect(await raw(path, "", { accept: "text/event-stream" })).toEqual(expected);
    expect(await raw(path, "?format=sse", { accept: "application/json" })).toEqual(expected);
    expect(await raw(path, "?live=false")).toEqual(expected);
    const rest = `:\nretry: 1000\n\n${frames.slice(1).join("")}`;
    expect((await raw(path, "", { "last-event-id": "1" })).text).toBe(rest);
    expect((await raw(path, "?afterOffset=2", { "last-event-id": "1" })).text).toBe(rest);
    expect((await raw(path, "", { "last-event-id": "" })).text).toBe(expected.text);
  });

  test("NDJSON, byte for byte", async () => {
    const { path, lines } = await withLines();
    const expected = { type: "application/x-ndjson", text: lines.map((line) => `${line}\n`).join("") };
    expect(await raw(path, "?format=ndjson")).toEqual(expected);
    expect(await raw(path, "", { accept: "application/x-ndjson" })).toEqual(expected);
    expect(await raw(path, "", { accept: "application/ndjson;q=0.9, */*" })).toEqual(expected);
  });

  test("one JSON page, byte for byte", async () => {
    const { path, lines } = await withLines();
    const expected = { type: "application/json", text: `{"events":[${lines.join(",")}],"next":null}\n` };
    expect(await raw(path, "?format=json")).toEqual(expected);
    expect(await raw(path, "", { accept: "application/json" })).toEqual(expected);
  });

  test("YAML: a document for each event", async () => {
    const { path, lines } = await withLines();
    for (const [query, accept] of [
      ["?format=yaml", "*/*"],
      ["", "application/yaml"],
      ["", "text/yaml"],
    ] as const) {
      const { type, text } = await raw(path, query, { accept });
      expect(type).toBe("application/yaml; charset=utf-8");
      expect(text.startsWith(`---\nstreamPath: ${path}\noffset: 1\n`)).toBe(true);
      const documents = loadAll(text);
      expect(documents).toEqual(lines.map((line) => JSON.parse(line)));
    }
  });

  test.each(["xml", "JSON", "html", ""])("format=%s is refused", async (format) => {
    expect(await refused(await server().send(`/x?format=${format}`), "invalid_request")).toMatchObject({
      field: "format",
    });
  });

  test("each names the life that is read, or says that there is none; a subtree has many", async () => {
    const path = freshPath();
    const lifeOf = async (query: string, method = "GET") => {
      const answer = await server().send(`${path}?${query}`, { method });
      await answer.body?.cancel();
      return answer.headers.get("millrace-stream-id");
    };
    const queries = ["", "format=json", "format=ndjson", "format=yaml", "live=true", "type=none", "order=desc"];
    const lives: string[] = [];
    for (let life = 0; life < 2; life++) {
      for (const query of queries) expect(await lifeOf(query), query).toBe("none");
      await append(server(), path, { type: "a" });
      const { streamId } = await readJson(server(), `/api/state${path}`);
      for (const query of queries) expect(await lifeOf(query), query).toBe(streamId);
      expect(await lifeOf("", "HEAD")).toBe(streamId);
      expect(await lifeOf("includeChildren=true")).toBe(null);
      lives.push(streamId);
      await server().send(`/api/streams${path}`, { method: "DELETE" });
    }
    expect(lives[0]).not.toBe(lives[1]);
  });

  test("a stream that is not there is empty, and reading it makes nothing", async () => {
    const path = freshPath("unknown");
    expect((await raw(path, "")).text).toBe(":\nretry: 1000\n\n");
    expect((await raw(path, "?format=json")).text).toBe('{"events":[],"next":null}\n');
    expect((await raw(path, "?format=ndjson")).text).toBe("");
    expect((await raw(path, "?format=yaml")).text).toBe("");
    expect((await raw(path, "?format=ndjson&afterOffset=end")).text).toBe("");
    expect((await raw(path, "?format=ndjson&order=desc")).text).toBe("");
    const { streams } = await readJson(server(), `/api/streams?prefix=${path}`);
    expect(streams).toEqual([]);
    await refused(await server().send(`/api/state${path}`), "not_found");
    expect((await append(server(), path, { type: "a" }))[0]?.offset).toBe(2);
  });
});

describeEach("ranges", (server) => {
  test.each<[query: string, offsets: number[]]>([
    ["", [1, 2, 3, 4, 5, 6]],
    ["afterOffset=start", [1, 2, 3, 4, 5, 6]],
    ["afterOffset=0", [1, 2, 3, 4, 5, 6]],
    ["afterOffset=4", [5, 6]],
    ["afterOffset=6", []],
    ["afterOffset=end", []],
    ["offset=4", [5, 6]],
    ["offset=end", []],
    ["offset=start", [1, 2, 3, 4, 5, 6]],
    ["beforeOffset=3", [1, 2]],
    ["beforeOffset=1", []],
    ["beforeOffset=0", []],
    ["beforeOffset=start", []],
    ["beforeOffset=end", [1, 2, 3, 4, 5, 6]],
    ["beforeOffset=100", [1, 2, 3, 4, 5, 6]],
    ["afterOffset=1&beforeOffset=4", [2, 3]],
    ["afterOffset=4&beforeOffset=2", []],
    ["limit=2", [1, 2]],
    ["limit=100000", [1, 2, 3, 4, 5, 6]],
    ["afterOffset=3&limit=1", [4]],
    ["order=asc&limit=1", [1]],
    ["order=desc", [6, 5, 4, 3, 2, 1]],
    ["order=desc&limit=2", [6, 5]],
    ["order=desc&afterOffset=4", [6, 5]],
    ["order=desc&beforeOffset=3", [2, 1]],
    ["order=desc&beforeOffset=5&afterOffset=1&limit=2", [4, 3]],
    ["type=n2", [3]],
    ["type=n2&type=n4", [3, 5]],
    ["type=n*", [2, 3, 4, 5, 6]],
    ["type=*", [1, 2, 3, 4, 5, 6]],
    ["type=*2", [3]],
    ["type=n*3&type=n1", [2, 4]],
    ["type=n", []],
    ["type=N2", []],
    ["type=n.", []],
    ["type=n**2", [3]],
    ["type=", []],
    ["type=n*&limit=2", [2, 3]],
    ["type=n*&limit=2&order=desc", [6, 5]],
    ["type=n2&order=desc", [3]],
    [`type=${builtin("initialized")}`, [1]],
    ["type=https://events.iterate.com/initialized", [1]],
    ["type=https://events.iterate.com/stream-initialized", [1]],
    ["type=https://events.iterate.com/*", [1]],
    ["markers=true", [1, 2, 3, 4, 5, 6]],
    ["project=public&token=anything", [1, 2, 3, 4, 5, 6]],
  ])("?%s gives %j", async (query, offsets) => {
    const path = await filled(server(), 5);
    expect(offsetsOf(await readAll(server(), path, query === "" ? "" : `&${query}`))).toEqual(offsets);
    const page = await readJson(
      server(),
      `/api/streams${path}?format=json&${query.replace("limit=100000", "limit=1000")}`,
    );
    expect(offsetsOf(page.events)).toEqual(offsets);
  });

  test.each<[query: string, field: string]>([
    ["afterOffset=abc", "afterOffset"],
    ["afterOffset=-1", "afterOffset"],
    ["afterOffset=1.5", "afterOffset"],
    ["afterOffset=", "afterOffset"],
    ["afterOffset=9007199254740993", "afterOffset"],
    ["afterOffset=1e3", "afterOffset"],
    ["offset=abc", "offset"],
    ["beforeOffset=abc", "beforeOffset"],
    ["after=abc", "after"],
    ["limit=0", "limit"],
    ["limit=-1", "limit"],
    ["limit=abc", "limit"],
    ["limit=1001&format=json", "limit"],
    ["order=up", "order"],
    ["live=yes", "live"],
    ["markers=yes", "markers"],
    ["live=true&order=desc", "order"],
    ["live=true&format=json", "format"],
    ["includeChild=true", "includeChild"],
    ["aferOffset=1", "aferOffset"],
    ["__proto__=1", "__proto__"],
  ])("?%s is refused, naming it", async (query, field) => {
    const path = await filled(server(), 1);
    const problem = await refused(await server().send(`/api/streams${path}?${query}`), "invalid_request");
    expect(problem.field).toBe(field);
    if (field !== "format") expect(problem.detail).toContain(field);
  });

  test("a Last-Event-ID that is no offset is refused", async () => {
    const response = await server().send("/x", { headers: { "last-event-id": "abc" } });
    expect((await refused(response, "invalid_request")).field).toBe("Last-Event-ID");
  });

  test("an offset beyond the head is 412 with the head, in every format", async () => {
    const path = await filled(server(), 1);
    for (const query of ["", "&format=json", "&format=ndjson", "&format=yaml", "&live=true", "&order=desc"]) {
      const problem = await refused(await server().send(`${path}?afterOffset=3${query}`), "offset_conflict");
      expect(problem).toMatchObject({ head: 2, expected: 3 });
    }
    await refused(await server().send(path, { headers: { "last-event-id": "3" } }), "offset_conflict");
    expect(await refused(await server().send(`${freshPath()}?afterOffset=1`), "offset_conflict")).toMatchObject({
      head: 0,
    });
  });

  test("what an earlier life of the path held is passed over", async () => {
    const path = await filled(server(), 3);
    await server().send(`/api/streams${path}`, { method: "DELETE" });
    expect(await readAll(server(), path)).toEqual([]);
    expect(await readAll(server(), path, "&afterOffset=2")).toEqual([]);
    await append(server(), path, { type: "again" });
    expect(offsetsOf(await readAll(server(), path))).toEqual([5, 6]);
    expect(offsetsOf(await readAll(server(), path, "&afterOffset=2"))).toEqual([5, 6]);
    expect(offsetsOf(await readAll(server(), path, "&order=desc"))).toEqual([6, 5]);
    expect((await readJson(server(), `/api/streams${path}?format=json&limit=1`)).next).not.toBe(null);
  });

  test("a glob with many stars takes no longer than one with few", async () => {
    const path = freshPath();
    await append(server(), path, [{ type: "a".repeat(2_000) }, { type: `${"a".repeat(2_000)}b` }]);
    const glob = `${"*a".repeat(50)}*b`;
    const started = performance.now();
    expect(offsetsOf(await readAll(server(), path, `&type=${glob}`))).toEqual([3]);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describeEach("pages", (server) => {
  async function pages(path: string, query: string): Promise<number[][]> {
    const found: number[][] = [];
    let next: string | null = null;
    do {
      const after: string = next === null ? "" : `&after=${encodeURIComponent(next)}`;
      const page = await readJson(server(), `/api/streams${path}?format=json&${query}${after}`);
      found.push(offsetsOf(page.events));
      next = page.next;
      expect(next === null || typeof next === "string").toBe(true);
    } while (next !== null && found.length < 20);
    return found;
  }

  test.each<[query: string, pages: number[][]]>([
    [
      "limit=4",
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
    ],
    [
      "limit=3",
      [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8],
      ],
    ],
    ["limit=8", [[1, 2, 3, 4, 5, 6, 7, 8]]],
    [
      "limit=3&order=desc",
      [
        [8, 7, 6],
        [5, 4, 3],
        [2, 1],
      ],
    ],
    ["limit=2&type=n*", [[2, 3], [4, 5], [6, 7], [8]]],
    ["limit=2&type=n*&order=desc", [[8, 7], [6, 5], [4, 3], [2]]],
    ["limit=1&type=n3", [[4]]],
    ["limit=1&type=n3&order=desc", [[4]]],
    [
      "limit=3&beforeOffset=6",
      [
        [1, 2, 3],
        [4, 5],
      ],
    ],
    [
      "limit=3&afterOffset=2",
      [
        [3, 4, 5],
        [6, 7, 8],
      ],
    ],
    [
      "limit=3&afterOffset=2&order=desc",
      [
        [8, 7, 6],
        [5, 4, 3],
      ],
    ],
  ])("?%s gives %j", async (query, expected) => {
    expect(await pages(await filled(server(), 7), query)).toEqual(expected);
  });

  test("a page has at most 1,000 events", async () => {
    const path = await filled(server(), 1_000);
    await filled(server(), 500, path);
    const found = await pages(path, "");
    expect(found.map(({ length }) => length)).toEqual([1_000, 501]);
    expect(found.flat()).toEqual(Array.from({ length: 1_501 }, (_, index) => index + 1));
    expect((await pages(path, "order=desc")).flat()).toEqual(found.flat().reverse());
  });

  test("a page has at most 8 MiB, and a whole range in the other formats has more", async () => {
    const path = freshPath();
    const batch = Array.from({ length: 7 }, () => ({ type: "large", payload: "x".repeat(1_000_000) }));
    await append(server(), path, batch);
    await append(server(), path, batch);
    const first = await server().send(`/api/streams${path}?format=json`);
    expect((await first.text()).length).toBeLessThanOrEqual(8 * 1_048_576 + 100);
    expect((await pages(path, "")).flat()).toEqual(Array.from({ length: 15 }, (_, index) => index + 1));
    expect(await readAll(server(), path)).toHaveLength(15);
  });
});
