/** An agent's URL is its path: which URLs are one stream, which are none, which belong to the server. */
import { expect, test } from "vitest";
import { append, freshPath, json, post, readAll, readJson, refused } from "./calls.ts";
import { describeEach } from "./servers.ts";

const a255 = "a".repeat(255);
const longest = `/${a255}/${a255}/${a255}/${"a".repeat(254)}`;

describeEach("paths", (server, { sendsTargetsAsTheyAre }) => {
  const send = (target: string) =>
    server().send(target, { method: "POST", body: '{"type":"a"}', headers: { "content-type": json } });
  const pathOf = async (target: string) => (await (await send(target)).json()).event?.streamPath;

  test.each<[targets: string[], path: string]>([
    [
      [
        "/api/streams/team/inbox",
        "/api/streams/team/inbox/",
        "/api/streams//team/inbox",
        "/api/streams/team%2Finbox",
        "/api/streams/team%2finbox",
        "/api/streams/%2Fteam%2Finbox",
        "/api/streams/%2Fteam%2Finbox/",
        "/api/streams/%2Fteam%2Finbox%2F",
        "/api/streams/t%65am/inbox",
        "/team/inbox",
        "/team/inbox/",
        "/team%2Finbox",
      ],
      "/team/inbox",
    ],
    [["/api/streams/", "/api/streams/%2F", "/api/streams/%2f", "/"], "/"],
    [["/Team/Inbox", "/api/streams/Team/Inbox"], "/Team/Inbox"],
    [["/api/streams/me@example.com", "/me%40example.com"], "/me@example.com"],
    [["/a.b_c~d@e:f+g=h-1"], "/a.b_c~d@e:f+g=h-1"],
    [["/..."], "/..."],
    [["/api/streams/api/streams/x"], "/api/streams/x"],
    [["/__proto__"], "/__proto__"],
    [[longest, `/api/streams${longest}/`], longest],
    [["/events/stream/no-such-type", "/api/streams/events/stream/no-such-type"], "/events/stream/no-such-type"],
    [["/events/stream"], "/events/stream"],
  ])("%j", async (targets, path) => {
    for (const target of targets) expect(await pathOf(target), target).toBe(path);
    const read = await server().send(`/api/streams${path}?format=ndjson`);
    expect((await read.text()).split("\n").filter((line) => line.includes('"type":"a"'))).toHaveLength(targets.length);
  });

  test.each<[target: string, words: string]>([
    ["/api/streams/team//inbox", "empty segment"],
    ["/api/streams/team/inbox//", "empty segment"],
    ["/api/streams///team", "empty segment"],
    ["//team", "empty segment"],
    ["//", "empty segment"],
    ["/%2Fteam", "empty segment"],
    ["/team%2F%2Finbox", "empty segment"],
    ["/api/streams/team%20inbox", 'the character " "'],
    ["/api/streams/caf%C3%A9", 'the character "é"'],
    ["/api/streams/a%00b", "the character"],
    ["/api/streams/a%25b", 'the character "%"'],
    ["/api/streams/a*b", 'the character "*"'],
    ["/api/streams/a%5Cb", "the character"],
    ["/api/streams/%ff", "percent-encoding"],
    ["/api/streams/a%zz", "percent-encoding"],
    ["/%", "percent-encoding"],
    [`/${"a".repeat(256)}`, "at most 255 characters"],
    [`${longest}b`, "at most 1023 characters"],
    ["/api/streams/a/..%2fb", 'the segment ".."'],
    ["/api/streams/%2e%2fb", 'the segment "."'],
  ])("%s is refused", async (target, words) => {
    for (const method of ["POST", "GET"]) {
      const response = await server().send(target, { method, ...(method === "POST" ? { body: '{"type":"a"}' } : {}) });
      const problem = await refused(response, "invalid_request");
      expect(problem.field).toBe("path");
      expect(problem.detail).toContain(words);
    }
  });

  test
    .runIf(sendsTargetsAsTheyAre)
    .each([
      "/api/streams/a/../b",
      "/api/streams/a/./b",
      "/api/streams/..",
      "/a/..",
      "/api/streams/a/%2e%2e/b",
      "/%2E%2E/b",
    ])("%s is refused, whatever the method", async (target) => {
    await append(server(), "/b", { type: "a" });
    for (const method of ["POST", "GET", "DELETE"]) {
      if (method === "DELETE" && !target.startsWith("/api/")) continue;
      await refused(await server().send(target, { method }), "invalid_request");
    }
    expect((await server().send(target, { method: "HEAD" })).status).toBe(400);
    const below = target.replace("/api/streams", "");
    for (const route of ["/api/state", "/api/children", "/api/streams/__state"]) {
      await refused(await server().send(route + below), "invalid_request");
    }
    expect((await readAll(server(), "/b")).length).toBeGreaterThan(0);
  });

  test.each([
    "api",
    "apidocs",
    "openapi.json",
    "healthz",
    "readyz",
    "metrics",
    "v1",
    "_millrace",
    ".well-known",
    "favicon.ico",
    "robots.txt",
  ])("/%s belongs to the server, but for /api/streams/", async (segment) => {
    for (const target of [
      `/${segment}/x`,
      `/${segment}/`,
      `/${segment}%2Fx`,
      `/%${hex(segment)}${segment.slice(1)}/x`,
    ]) {
      const response = await send(target);
      expect([404, 405], `${target}: ${response.status}`).toContain(response.status);
    }
    expect([404, 405]).toContain((await send(`/${segment}`)).status);
    expect(await pathOf(`/api/streams/${segment}/x`)).toBe(`/${segment}/x`);
    expect(await pathOf(`/${segment}x/y`)).toBe(`/${segment}x/y`);
    if (segment !== "v1" && segment !== "_millrace")
      expect(await pathOf(`/${segment.toUpperCase()}/x`)).toBe(`/${segment.toUpperCase()}/x`);
  });

  test("the page of a built-in type is at the path of its own URL, for reading only", async () => {
    const page = await readJson(server(), "/events/stream/paused");
    expect(page.type).toBe("https://events.iterate.com/events/stream/paused");
    expect(page.example.type).toBe(page.type);
    await readJson(server(), "/events/stream/subscription/configured");
    for (const method of ["POST", "DELETE", "PUT"]) {
      const response = await server().send("/events/stream/paused", { method });
      expect((await refused(response, "method_not_allowed")).allow).toBe(response.headers.get("allow"));
    }
    expect(await pathOf("/api/streams/events/stream/paused")).toBe("/events/stream/paused");
    await refused(await server().send("/api/0123456789paused"), "not_found");
  });
});

function hex(text: string): string {
  return text.charCodeAt(0).toString(16);
}

describeEach("projects", (server) => {
  const inProject = (project: string) => ({ "x-project-slug": project });

  test("nothing is shared between two projects", async () => {
    const path = freshPath();
    await append(server(), path, { type: "public" });
    await append(server(), path, { type: "mine", idempotencyKey: "k" }, inProject("mine"));
    const [other] = await append(
      server(),
      path,
      { type: "other", idempotencyKey: "k" },
      { "x-iterate-project": "other" },
    );
    expect(other?.offset).toBe(2);
    const types = async (query: string) => (await readAll(server(), path, query)).map(({ type }) => type).slice(1);
    expect(await types("")).toEqual(["public"]);
    expect(await types("&project=public")).toEqual(["public"]);
    expect(await types("&project=mine")).toEqual(["mine"]);
    expect(await types("&project=other")).toEqual(["other"]);
    expect(await types("&project=MINE")).toEqual([]);
    await server().send(`/api/streams${path}`, { method: "DELETE", headers: inProject("mine") });
    expect(await types("&project=mine")).toEqual([]);
    expect(await types("&project=other")).toEqual(["other"]);
    const [birth] = await readAll(server(), path, "&project=other");
    expect(birth?.payload).toMatchObject({ projectSlug: "other", path });
  });

  test("headers, ?project=, and which of them counts", async () => {
    const path = freshPath();
    const query = "?project=by-query";
    await post(server(), path, '{"type":"q"}', { query });
    await post(server(), path, '{"type":"h"}', { query, headers: { "x-iterate-project": "by-talk" } });
    await post(server(), path, '{"type":"x"}', {
      query,
      headers: { "x-iterate-project": "by-talk", "x-project-slug": "by-header" },
    });
    for (const [project, type] of [
      ["by-query", "q"],
      ["by-talk", "h"],
      ["by-header", "x"],
    ]) {
      expect((await readAll(server(), path, `&project=${project}`)).map((event) => event.type).slice(1)).toEqual([
        type,
      ]);
    }
  });

  test("a project is listed once it has a stream", async () => {
    for (const slug of ["zeta", "alpha", "Alpha", "a.b~c@d:e+f=g-h_i", "0"]) {
      await append(server(), "/x", { type: "a" }, inProject(slug));
    }
    const { projects, next } = await readJson(server(), "/api/projects");
    const slugs = projects.map(({ slug }: { slug: string }) => slug);
    expect(slugs).toEqual([...slugs].sort());
    expect(slugs).toEqual(expect.arrayContaining(["zeta", "alpha", "Alpha", "a.b~c@d:e+f=g-h_i", "0"]));
    expect(next).toBe(null);
    const first = await readJson(server(), "/api/projects?limit=2");
    expect(first.projects.map(({ slug }: { slug: string }) => slug)).toEqual(slugs.slice(0, 2));
    const second = await readJson(server(), `/api/projects?limit=2&cursor=${encodeURIComponent(first.next)}`);
    expect(second.projects.map(({ slug }: { slug: string }) => slug)).toEqual(slugs.slice(2, 4));
  });

  test.each(["", "a/b", "..", ".", "a%20b", "caf%C3%A9", "p".repeat(256)])("the slug %j is refused", async (slug) => {
    for (const target of ["/x", "/api/streams", "/api/state/x", "/api/children/x"]) {
      await refused(await server().send(`${target}?project=${slug}`), "invalid_request");
    }
    if (/^[!-~]*$/.test(slug) && !slug.includes("%")) {
      await refused(await server().send("/x", { method: "POST", headers: inProject(slug) }), "invalid_request");
    }
  });

  test("a slug may be as long as a segment", async () => {
    await append(server(), "/x", { type: "a" }, inProject("p".repeat(255)));
    expect(await readAll(server(), "/x", `&project=${"p".repeat(255)}`)).toHaveLength(2);
  });
});
