/** `/api/cursors/{slug}/{path}`: how far a remote processor has come, over HTTP. */
import type { RemoteCursorInput } from "@millrace/protocol";
import { describe, expect, onTestFinished, test } from "vitest";
import { startServer, temporaryDirectory } from "../processes/server-process.ts";
import { append, freshPath, readJson, refused } from "./calls.ts";
import { describeEach, type Sending, type TestServer } from "./servers.ts";

const at = (offset: number, replaces: number | null, more: Partial<RemoteCursorInput> = {}) => ({
  offset,
  epoch: "1",
  runtimeId: "one",
  replaces,
  ...more,
});
const byTwo = { runtimeId: "two" };
const sending = (body: unknown): Sending => ({
  method: "PUT",
  body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
});

async function streamOf(server: TestServer, head: number): Promise<string> {
  const path = freshPath("cursors");
  await append(server, path, Array(head - 1).fill({ type: "a" }));
  return path;
}

describeEach("cursors", (server) => {
  test("are put and read, and shown in the state", async () => {
    const path = await streamOf(server(), 5);
    const target = `/api/cursors/greeter${path}`;
    const kept = { interrupted: null, progress: { work: ["a"] } };
    const put = await readJson(server(), target, sending(at(3, null, kept)));
    const cursor = { slug: "greeter", path, offset: 3, epoch: "1", runtimeId: "one", ...kept };
    const live = { updatedAt: expect.stringMatching(/Z$/), silentMs: expect.any(Number) };
    expect(put).toEqual({ cursor: { ...cursor, ...live } });
    expect(await readJson(server(), target)).toEqual({
      cursor: { ...put.cursor, silentMs: expect.any(Number) },
    });
    expect((await server().send(target, { method: "HEAD" })).status).toBe(200);
    const { consumers } = await readJson(server(), `/api/state${path}`);
    expect(consumers.greeter).toEqual({ kind: "remote", cursor: 3, lag: 2 });
  });

  test("are given back, and deleted", async () => {
    const path = await streamOf(server(), 5);
    const target = `/api/cursors/a%2Fb${path}`;
    const { cursor } = await readJson(server(), target, sending(at(3, null, { release: true })));
    expect(cursor).toMatchObject({ offset: 3, runtimeId: "one", released: true });
    const refusal = await refused(await server().send(target, sending(at(4, 2, byTwo))), "cursor_conflict");
    expect(refusal.detail).toContain("gave it back");
    expect((await readJson(server(), target, sending(at(4, 3, byTwo)))).cursor.released).toBeUndefined();
    const gone = { deleted: true, slug: "a/b", path };
    expect(await readJson(server(), target, { method: "DELETE" })).toEqual(gone);
    await refused(await server().send(target, { method: "DELETE" }), "not_found");
    await refused(await server().send(`${target}?all=true`, { method: "DELETE" }), "invalid_request");
    expect((await refused(await server().send(target, sending(at(4, 4, byTwo))), "cursor_conflict")).holder).toBe(null);
  });

  test("have an address in which slug and path may be encoded", async () => {
    const path = await streamOf(server(), 3);
    await readJson(server(), `/api/cursors/a%2Fb${path}/`, sending(at(2, null)));
    for (const target of [`/api/cursors/a%2Fb/${encodeURIComponent(path)}`, `/api/cursors/%61%2Fb${path}`]) {
      expect((await readJson(server(), target)).cursor).toMatchObject({ slug: "a/b", path, offset: 2 });
    }
    await append(server(), "/", { type: "a" });
    await readJson(server(), "/api/cursors/top", sending(at(1, null)));
    for (const target of ["/api/cursors/top/", "/api/cursors/top/%2F"]) {
      expect((await readJson(server(), target)).cursor).toMatchObject({ slug: "top", path: "/", offset: 1 });
    }
  });

  test("are of a project", async () => {
    const path = await streamOf(server(), 3);
    await readJson(server(), `/api/cursors/p${path}`, sending(at(2, null)));
    await refused(await server().send(`/api/cursors/p${path}?project=other`), "not_found");
    const headers = { "x-project-slug": "other" };
    await refused(await server().send(`/api/cursors/p${path}`, { ...sending(at(2, null)), headers }), "not_found");
  });

  test("are held by one of two runtimes", async () => {
    const path = await streamOf(server(), 9);
    const target = `/api/cursors/raced${path}`;
    const answers = await Promise.all([
      server().send(target, sending(at(1, null))),
      server().send(target, sending(at(2, null, byTwo))),
    ]);
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, 409]);
    const winner = (await readJson(server(), target)).cursor;
    const loser = winner.runtimeId === "one" ? "two" : "one";
    const late = await server().send(target, sending(at(5, winner.offset, { runtimeId: loser })));
    const { holder, detail } = await refused(late, "cursor_conflict");
    expect(holder).toEqual({ runtimeId: winner.runtimeId, offset: winner.offset, silentMs: expect.any(Number) });
    expect(detail).toContain(winner.runtimeId);
    const { cursor } = await readJson(server(), target, sending(at(5, winner.offset, { runtimeId: winner.runtimeId })));
    expect(cursor.offset).toBe(5);
  });

  test("are not there for what is no stream, end with the stream, and begin anew with the next", async () => {
    const path = await streamOf(server(), 4);
    const target = `/api/cursors/greeter${path}`;
    await refused(await server().send(`/api/cursors/greeter${freshPath("nothing")}`), "not_found");
    await refused(
      await server().send(`/api/cursors/greeter${freshPath("nothing")}`, sending(at(0, null))),
      "not_found",
    );
    await refused(await server().send(target), "not_found");
    await readJson(server(), target, sending(at(4, null)));
    await readJson(server(), `/api/streams${path}`, { method: "DELETE" });
    await refused(await server().send(target, sending(at(4, 4))), "not_found");
    await append(server(), path, { type: "a" });
    expect((await refused(await server().send(target, sending(at(4, 4))), "cursor_conflict")).holder).toBe(null);
  });

  test("beyond the head are refused with the head", async () => {
    const path = await streamOf(server(), 4);
    const answer = await server().send(`/api/cursors/greeter${path}`, sending(at(5, null)));
    expect(await refused(answer, "offset_conflict")).toMatchObject({ head: 4, expected: 5 });
  });

  const wrong: [what: string, body: unknown, field: string | undefined][] = [
    ["nothing", "", undefined],
    ["no JSON", "{", undefined],
    ["no UTF-8", new Uint8Array([0x22, 0xff, 0x22]), undefined],
    ["a list", [], undefined],
    ["null", "null", undefined],
    ["an unknown key", at(1, null, { slug: "a" } as object), "slug"],
    ["no offset", { ...at(1, null), offset: undefined }, "offset"],
    ["a negative offset", at(-1, null), "offset"],
    ["half an offset", at(1.5, null), "offset"],
    ["an offset beyond 2^53", '{"offset":9007199254740993,"epoch":"1","runtimeId":"a","replaces":null}', "offset"],
    ["an offset that is a text", { ...at(1, null), offset: "1" }, "offset"],
    ["no epoch", { ...at(1, null), epoch: undefined }, "epoch"],
    ["an empty epoch", at(1, null, { epoch: "" }), "epoch"],
    ["an epoch that is too long", at(1, null, { epoch: "e".repeat(256) }), "epoch"],
    ["an epoch that is a number", { ...at(1, null), epoch: 1 }, "epoch"],
    ["no runtime", { ...at(1, null), runtimeId: undefined }, "runtimeId"],
    ["a runtime with a blank", at(1, null, { runtimeId: "a b" }), "runtimeId"],
    ["a runtime that is too long", at(1, null, { runtimeId: "r".repeat(65) }), "runtimeId"],
    ["nothing that is replaced", { ...at(1, null), replaces: undefined }, "replaces"],
    ["a negative offset that is replaced", at(1, -1), "replaces"],
    ["progress that is a list", { ...at(1, null), progress: [] }, "progress"],
    ["a release that is a word", { ...at(1, null), release: "yes" }, "release"],
    ["progress that is null", { ...at(1, null), progress: null }, "progress"],
    [
      "progress that is too deep",
      `{"offset":1,"epoch":"1","runtimeId":"a","replaces":null,"progress":{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}}`,
      "progress",
    ],
    [
      "what was interrupted, with a number that cannot be kept",
      '{"offset":1,"epoch":"1","runtimeId":"a","replaces":null,"interrupted":1e300}',
      "interrupted",
    ],
  ];

  test.each(wrong)("%s is no cursor", async (_, body, field) => {
    const path = await streamOf(server(), 3);
    const target = `/api/cursors/wrong${path}`;
    const { field: named } = await refused(await server().send(target, sending(body)), "invalid_request");
    expect(named).toBe(field);
    await refused(await server().send(target), "not_found");
  });

  test("are at addresses with a slug and a path that are some", async () => {
    const path = await streamOf(server(), 3);
    for (const [target, field] of [
      [`/api/cursors/${"x".repeat(256)}${path}`, "slug"],
      [`/api/cursors/%ff${path}`, "slug"],
      ["/api/cursors/", "slug"],
      ["/api/cursors", "slug"],
      ["/api/cursors/a/b//c", "path"],
      [`/api/cursors/a${path}?offset=1`, "offset"],
      [`/api/cursors/a${path}?project=no%20good`, "project"],
    ]) {
      expect((await refused(await server().send(target as string), "invalid_request")).field, target).toBe(field);
    }
  });

  test("and what is kept with them have a size", async () => {
    const path = await streamOf(server(), 3);
    const large = at(1, null, { progress: { a: "x".repeat(65_536) } });
    const answer = await server().send(`/api/cursors/large${path}`, sending(large));
    expect(await refused(answer, "too_large")).toMatchObject({ limit: 65_536, unit: "bytes" });
    const body = await server().send(`/api/cursors/large${path}`, sending(" ".repeat(1_048_577)));
    expect(await refused(body, "too_large")).toMatchObject({ limit: 1_048_576 });
  });

  test("know no other methods", async () => {
    const allow = "GET, HEAD, PUT, DELETE, OPTIONS";
    for (const method of ["POST", "PATCH"]) {
      const answer = await server().send("/api/cursors/a/b", { method });
      expect(answer.headers.get("allow")).toBe(allow);
      expect((await refused(answer, "method_not_allowed")).allow).toBe(allow);
    }
    const options = await server().send("/api/cursors/a/b", { method: "OPTIONS" });
    expect([options.status, options.headers.get("allow")]).toEqual([204, allow]);
  });
});

const page = "https://app.example";
describeEach(
  "cursors of a server with rules of access",
  (server) => {
    test("ask for the token, and let named pages put", async () => {
      await refused(await server().send("/api/cursors/a/b"), "unauthorized");
      const authorization = "Bearer a-token-of-sixteen";
      await refused(await server().send("/api/cursors/a/b", { headers: { authorization } }), "not_found");
      const foreign = { authorization, origin: "https://evil.example" };
      await refused(
        await server().send("/api/cursors/a/b", { ...sending(at(1, null)), headers: foreign }),
        "forbidden_origin",
      );
      const preflight = await server().send("/api/cursors/a/b", { method: "OPTIONS", headers: { origin: page } });
      expect(preflight.headers.get("access-control-allow-methods")?.split(", ")).toContain("PUT");
    });
  },
  { access: { token: "a-token-of-sixteen", corsOrigins: [page] } },
);

describe("a server that is killed", () => {
  test("has lost no cursor that it answered, and holds it for who held it", async () => {
    const { directory, remove } = temporaryDirectory();
    onTestFinished(remove);
    const put = (url: string, body: unknown) => fetch(`${url}/api/cursors/greeter/me`, sending(body) as RequestInit);
    const first = await startServer({ data: directory });
    await fetch(`${first.url}/me`, { method: "POST", body: JSON.stringify(Array(500).fill({ type: "a" })) });
    let answered = 0;
    const moving = (async () => {
      for (let offset = 1; offset <= 500; offset++) {
        const progress = { work: [offset], filler: "x".repeat(1_000) };
        if ((await put(first.url, at(offset, offset === 1 ? null : offset - 1, { progress }))).status !== 200) return;
        answered = offset;
        if (offset === 40) void first.kill();
      }
    })().catch(() => {});
    await moving;
    await first.exited;
    expect(answered).toBeGreaterThanOrEqual(40);
    expect(answered).toBeLessThan(500);
    const second = await startServer({ data: directory });
    const { cursor } = (await (await fetch(`${second.url}/api/cursors/greeter/me`)).json()) as {
      cursor: RemoteCursorInput & { silentMs: number };
    };
    // The last one may be on disk though nobody heard so.
    expect([answered, answered + 1]).toContain(cursor.offset);
    expect(cursor.progress).toEqual({ work: [cursor.offset], filler: "x".repeat(1_000) });
    expect((await put(second.url, at(500, cursor.offset, byTwo))).status).toBe(409);
    expect((await put(second.url, at(500, cursor.offset))).status).toBe(200);
    expect((await second.stop("SIGTERM")).stderr).toBe("");
  });
});
