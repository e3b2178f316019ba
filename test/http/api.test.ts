/** The routes beside append and read: state, list, children, projects, delete, health; methods, pages for people. */
import type { StreamEvent } from "@millrace/protocol";
import { expect, test } from "vitest";
import { append, builtin, freshPath, json, post, readAll, readJson, refused } from "./calls.ts";
import { openLive } from "./live-reader.ts";
import { describeEach, type TestServer } from "./servers.ts";

const pathsOf = (streams: { path: string }[]) => streams.map(({ path }) => path);

/** Waits for the announcements of these births at an ancestor. */
async function announced(server: TestServer, ancestor: string, children: string[]): Promise<void> {
  const reader = await openLive(server, `/api/streams${ancestor}?live=true&type=${builtin("child-stream-*")}`);
  const missing = new Set(children);
  while (missing.size > 0) missing.delete(((await reader.event()).payload as { childPath: string }).childPath);
  reader.close();
}

describeEach("state", (server) => {
  test("says what a stream is, always of what is stored", async () => {
    const path = freshPath();
    const [event] = await append(server(), path, { type: "a" });
    const [birth] = await readAll(server(), path);
    await announced(server(), "/", [path]);
    const state = await readJson(server(), `/api/state${path}`);
    expect(state).toEqual({
      projectSlug: "public",
      path,
      streamId: (birth as StreamEvent<{ streamId: string }>).payload.streamId,
      head: 2,
      createdAt: birth?.createdAt,
      lastEventAt: event?.createdAt,
      paused: false,
      metadata: {},
      consumers: { tree: expect.objectContaining({ kind: "builtin" }) },
    });
  });

  test("is at every address that the talk's scripts know", async () => {
    const path = freshPath("state/deep");
    await append(server(), path, { type: "a" });
    // The tree may still be at work between two of these.
    const stateAt = async (target: string) => ({ ...(await readJson(server(), target)), consumers: {} });
    const state = await stateAt(`/api/state${path}`);
    for (const target of [
      `/api/state/${encodeURIComponent(path)}`,
      `/api/state${path}/`,
      `/api/__state${path}`,
      `/api/streams/__state${path}`,
      `/api/state${path}?project=public&token=t`,
    ]) {
      expect(await stateAt(target), target).toEqual(state);
    }
    await append(server(), "/", { type: "a" });
    expect((await readJson(server(), "/api/state/")).path).toBe("/");
  });

  test("of a built-in processor, now and at an offset", async () => {
    const path = freshPath();
    await append(server(), path, [
      { type: builtin("metadata-updated"), payload: { metadata: { v: 1 } } },
      { type: builtin("metadata-updated"), payload: { metadata: { v: 2 } } },
    ]);
    const at = (query: string) => readJson(server(), `/api/state${path}?processor=lifecycle${query}`);
    expect(await at("")).toEqual({ state: { metadata: { v: 2 } }, offset: 3, version: expect.any(String) });
    expect(await at("&at=3")).toEqual(await at(""));
    expect(await at("&at=2")).toMatchObject({ state: { metadata: { v: 1 } }, offset: 2 });
    expect(await at("&at=1")).toMatchObject({ state: { metadata: {} }, offset: 1 });
    expect(await at("&at=0")).toMatchObject({ state: { metadata: {} }, offset: 0 });
    for (const slug of ["pause", "circuit-breaker"]) await readJson(server(), `/api/state${path}?processor=${slug}`);
    const target = `/api/state${path}?processor=lifecycle&at=`;
    expect(await refused(await server().send(`${target}4`), "offset_conflict")).toMatchObject({ head: 3 });
    await refused(await server().send(`${target}abc`), "invalid_request");
    await refused(await server().send(`/api/state${path}?processor=nobody`), "not_found");
    await refused(await server().send(`/api/state${path}?proc=pause`), "invalid_request");
  });

  test("of a stream that is not there is 404, and so is that of a deleted one", async () => {
    const path = freshPath();
    await refused(await server().send(`/api/state${path}`), "not_found");
    await append(server(), path, { type: "a" });
    await server().send(`/api/streams${path}`, { method: "DELETE" });
    await refused(await server().send(`/api/state${path}`), "not_found");
  });
});

describeEach("lists", (server) => {
  const project = "?project=lists";
  const headers = { "x-project-slug": "lists" };
  const all = ["/", "/a", "/a/b", "/a/b/c", "/a/d", "/a-b", "/a0", "/ab", "/b/c/d", "/b"];

  async function filled(): Promise<void> {
    for (const path of all) await append(server(), path, { type: "x", idempotencyKey: "k" }, headers);
  }

  test("by prefix, by segment, in the order of their paths", async () => {
    await filled();
    const list = async (query: string) => pathsOf((await readJson(server(), `/api/streams${project}${query}`)).streams);
    const sorted = [...all, "/b/c"].sort();
    // The list knows at once; an announcement may have brought /b/c into being meanwhile.
    for (const query of ["", "&prefix=/"]) {
      expect((await list(query)).filter((path) => path !== "/b/c")).toEqual(sorted.filter((path) => path !== "/b/c"));
    }
    expect(await list("&prefix=/a")).toEqual(["/a", "/a/b", "/a/b/c", "/a/d"]);
    expect(await list("&prefix=a%2Fb/")).toEqual(["/a/b", "/a/b/c"]);
    expect(await list("&prefix=/a/b/c")).toEqual(["/a/b/c"]);
    expect(await list("&prefix=/nobody")).toEqual([]);
    await refused(await server().send(`/api/streams${project}&prefix=//`), "invalid_request");
  });

  test("in pages", async () => {
    await filled();
    const found: string[] = [];
    let cursor = "";
    for (;;) {
      const page = await readJson(server(), `/api/streams${project}&prefix=/a&limit=3${cursor}`);
      found.push(...pathsOf(page.streams));
      expect(page.streams.length).toBeLessThanOrEqual(3);
      if (page.next === null) break;
      cursor = `&cursor=${encodeURIComponent(page.next)}`;
    }
    expect(found).toEqual(["/a", "/a/b", "/a/b/c", "/a/d"]);
  });

  test("with a summary of each stream", async () => {
    const path = freshPath("summary");
    const [, last] = await append(server(), path, [{ type: "a" }, { type: builtin("paused") }]);
    const { streams } = await readJson(server(), `/api/streams?prefix=${path}`);
    const [birth] = await readAll(server(), path);
    expect(streams).toEqual([
      { path, head: 3, createdAt: birth?.createdAt, lastEventAt: last?.createdAt, paused: true },
    ]);
    await append(server(), path, { type: builtin("resumed") });
    expect((await readJson(server(), `/api/streams?prefix=${path}`)).streams[0]).toMatchObject({
      head: 4,
      paused: false,
    });
  });

  test("children, and deep all that lies below", async () => {
    await filled();
    const children = async (target: string) => {
      const { children: found, next } = await readJson(server(), target);
      expect(next).toBe(null);
      return pathsOf(found);
    };
    expect(await children(`/api/children/a${project}`)).toEqual(["/a/b", "/a/d"]);
    expect(await children(`/api/children/a${project}&deep=true`)).toEqual(["/a/b", "/a/b/c", "/a/d"]);
    expect(await children(`/api/streams/__children/a${project}&deep=1`)).toEqual(["/a/b", "/a/b/c", "/a/d"]);
    expect(await children(`/api/children/${project}`)).toEqual(["/a", "/a-b", "/a0", "/ab", "/b"]);
    expect(await children(`/api/children/a/d${project}`)).toEqual([]);
    expect(await children(`/api/children/nobody${project}`)).toEqual([]);
    const first = await readJson(server(), `/api/children/${project}&limit=2`);
    expect(pathsOf(first.children)).toEqual(["/a", "/a-b"]);
    const second = await readJson(
      server(),
      `/api/children/${project}&limit=2&cursor=${encodeURIComponent(first.next)}`,
    );
    expect(pathsOf(second.children)).toEqual(["/a0", "/ab"]);
  });

  test.each<[target: string, field: string]>([
    ["/api/streams?limit=0", "limit"],
    ["/api/streams?limit=1001", "limit"],
    ["/api/streams?limit=abc", "limit"],
    ["/api/streams?prefx=/a", "prefx"],
    ["/api/children/a?deep=yes", "deep"],
    ["/api/children/a?prefix=/a", "prefix"],
    ["/api/projects?prefix=/a", "prefix"],
    ["/api/projects?limit=-1", "limit"],
  ])("%s is refused, naming %s", async (target, field) => {
    expect(await refused(await server().send(target), "invalid_request")).toMatchObject({ field });
  });
});

describeEach("births and deletions", (server) => {
  test("are announced to every ancestor", async () => {
    const top = freshPath("tree");
    const path = `${top}/b/c`;
    await append(server(), path, { type: "a" });
    for (const ancestor of [`${top}/b`, top, "/"]) await announced(server(), ancestor, [path]);
    await announced(server(), "/", [path, `${top}/b`, top]);
    const [birth, announcement] = await readAll(server(), `${top}/b`);
    expect(birth?.type).toBe(builtin("initialized"));
    expect(announcement).toMatchObject({
      type: builtin("child-stream-created"),
      payload: { childPath: path },
      source: { kind: "server", slug: "tree", cause: { streamPath: path, offset: 1 }, depth: 1 },
    });
    const deleted = await readJson(server(), `/api/streams${path}`, { method: "DELETE" });
    expect(deleted).toEqual({ deleted: [{ path, head: 2 }], count: 1 });
    const reader = await openLive(server(), `${top}?live=true&type=${builtin("child-stream-deleted")}`);
    expect((await reader.event()).payload).toEqual({ childPath: path, head: 2 });
    reader.close();
  });

  test("a deletion empties a path, and an offset is never used again", async () => {
    const path = freshPath();
    await append(server(), path, [{ type: "a" }, { type: "b" }]);
    const first = await readJson(server(), `/api/state${path}`);
    const answer = await readJson(server(), `/api/streams${path}`, { method: "DELETE" });
    expect(answer).toEqual({ deleted: [{ path, head: 3 }], count: 1 });
    expect(await readAll(server(), path)).toEqual([]);
    expect((await readJson(server(), `/api/streams?prefix=${path}`)).streams).toEqual([]);
    expect(await readJson(server(), `/api/streams${path}`, { method: "DELETE" })).toEqual({ deleted: [], count: 0 });
    const refusal = await post(server(), path, '{"type":"c","offset":3}', { contentType: json });
    expect(await refused(refusal, "offset_conflict")).toMatchObject({ head: 3 });
    const [event] = await append(server(), path, { type: "c" });
    expect(event?.offset).toBe(5);
    const second = await readJson(server(), `/api/state${path}`);
    expect(second.streamId).not.toBe(first.streamId);
    expect(second).toMatchObject({ head: 5, paused: false, metadata: {} });
    expect(second.createdAt >= first.lastEventAt).toBe(true);
  });

  test("a deletion can take what lies below with it", async () => {
    const headers = { "x-project-slug": "deletions" };
    for (const alias of ["children=true", "destroyChildren=true", "children=1"]) {
      const top = freshPath("gone");
      const own = [top, `${top}/a`, `${top}/a/b`, `${top}/c`];
      // Each below the one before, so that no announcement brings one into being by itself.
      for (const path of [...own, `${top}x`]) await append(server(), path, { type: "a" }, headers);
      const target = `/api/streams${top}?${alias}&project=deletions`;
      const { deleted, count } = await readJson(server(), target, { method: "DELETE" });
      expect(pathsOf(deleted).sort()).toEqual([...own].sort());
      expect(count).toBe(4);
      const { streams } = await readJson(server(), `/api/streams?prefix=${top}x&project=deletions`);
      expect(pathsOf(streams)).toEqual([`${top}x`]);
    }
    const response = await server().send("/api/streams/a?childrn=true", { method: "DELETE" });
    expect(await refused(response, "invalid_request")).toMatchObject({ field: "childrn" });
    await refused(await server().send("/api/streams/a?children=perhaps", { method: "DELETE" }), "invalid_request");
  });
});

describeEach("methods and pages", (server) => {
  test("health", async () => {
    expect(await readJson(server(), "/healthz")).toEqual({ status: "ok" });
    expect(await readJson(server(), "/readyz")).toMatchObject({ status: "ready" });
  });

  test.each<[method: string, target: string, allow: string]>([
    ["PUT", "/a", "GET, HEAD, POST, OPTIONS"],
    ["PATCH", "/api/streams/a", "GET, HEAD, POST, DELETE, OPTIONS"],
    ["DELETE", "/a", "GET, HEAD, POST, OPTIONS"],
    ["POST", "/api/streams", "GET, HEAD, OPTIONS"],
    ["DELETE", "/api/streams", "GET, HEAD, OPTIONS"],
    ["POST", "/api/state/a", "GET, HEAD, OPTIONS"],
    ["DELETE", "/api/children/a", "GET, HEAD, OPTIONS"],
    ["PUT", "/api/projects", "GET, HEAD, OPTIONS"],
    ["POST", "/healthz", "GET, HEAD, OPTIONS"],
    ["POST", "/readyz", "GET, HEAD, OPTIONS"],
  ])("%s %s is 405, and Allow says what is not", async (method, target, allow) => {
    const response = await server().send(target, { method });
    expect(response.headers.get("allow")).toBe(allow);
    expect((await refused(response, "method_not_allowed")).allow).toBe(allow);
  });

  test.each<[target: string, allow: string]>([
    ["/a", "GET, HEAD, POST, OPTIONS"],
    ["/api/streams/a", "GET, HEAD, POST, DELETE, OPTIONS"],
    ["/api/streams", "GET, HEAD, OPTIONS"],
    ["/api/state/a", "GET, HEAD, OPTIONS"],
    ["/events/stream/paused", "GET, HEAD, OPTIONS"],
    ["/healthz", "GET, HEAD, OPTIONS"],
  ])("OPTIONS %s is 204 with Allow", async (target, allow) => {
    const response = await server().send(target, { method: "OPTIONS" });
    expect(response.status).toBe(204);
    expect(response.headers.get("allow")).toBe(allow);
    expect(response.headers.get("access-control-allow-origin")).toBe(null);
  });

  test("HEAD is GET without the body, and changes nothing", async () => {
    const path = freshPath();
    await append(server(), path, { type: "a" });
    for (const [target, status, type] of [
      [path, 200, "text/event-stream"],
      [`${path}?live=true`, 200, "text/event-stream"],
      [`${path}?format=json`, 200, "application/json"],
      [`/api/streams${path}?format=yaml`, 200, "application/yaml; charset=utf-8"],
      [`${path}?afterOffset=9`, 412, "application/problem+json"],
      [`${path}?nonsense=1`, 400, "application/problem+json"],
      [`/api/state${path}`, 200, "application/json"],
      ["/api/streams", 200, "application/json"],
      ["/healthz", 200, "application/json"],
      ["/api/nothing", 404, "application/problem+json"],
    ] as const) {
      const response = await server().send(target, { method: "HEAD" });
      expect(response.status, target).toBe(status);
      expect(response.headers.get("content-type"), target).toBe(type);
      expect(await response.text()).toBe("");
    }
    await server().send("/made-by-head", { method: "HEAD" });
    await refused(await server().send("/api/state/made-by-head"), "not_found");
  });

  test.each(["/api", "/api/", "/api/nothing", "/v1/stream/a", "/metrics/x", "/_millrace", "/robots.txt", "/healthz/x"])(
    "%s is not there",
    async (target) => {
      const problem = await refused(await server().send(target), "not_found");
      expect(problem.detail).toContain("/api/streams/{path}");
    },
  );

  test("a browser gets a page: path, head, three commands", async () => {
    const path = freshPath();
    await append(server(), path, [{ type: "a" }, { type: builtin("paused") }]);
    const accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (const target of [path, `/api/streams${path}`]) {
      const response = await server().send(target, { headers: { accept } });
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
      const page = await response.text();
      expect(page).toContain(`<h1>${path}</h1>`);
      expect(page).toContain("Head 3");
      expect(page).toContain("Paused");
      expect(page.match(/<pre>curl /g)).toHaveLength(3);
      expect(page).toContain(`http://localhost/api/streams${path}`);
    }
    const json = await server().send(`${path}?format=json`, { headers: { accept } });
    expect(json.headers.get("content-type")).toBe("application/json");
  });

  test("the page of a stream that is not there says so and makes nothing; a project stands in the commands", async () => {
    const path = freshPath("unseen");
    const headers = { accept: "text/html", "x-project-slug": "a.b" };
    const page = await (await server().send(path, { headers })).text();
    expect(page).toContain("No stream yet");
    expect(page).toContain("X-Project-Slug: a.b");
    await refused(await server().send(`/api/state${path}`, { headers: { "x-project-slug": "a.b" } }), "not_found");
  });

  test("what a request says of itself never becomes a page", async () => {
    const headers = { accept: "text/html", host: "localhost:1<script>alert(1)</script>" };
    const response = await server().send("/a", { headers });
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.status).toBe(403);
    const refusal = await server().send("/%3Cscript%3E", { headers: { accept: "text/html" } });
    expect(refusal.headers.get("content-type")).toBe("application/problem+json");
    expect(refusal.status).toBe(400);
  });

  test("nothing of all this was a fault of the server", () => {
    expect(server().faults).toEqual([]);
  });
});
