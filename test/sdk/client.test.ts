/** What the client does on a real server: append, read, state, lists, deletion, refusals. */
import { isMillraceError, type MillraceError, type StreamEvent } from "@millrace/sdk";
import { expect, test } from "vitest";
import { freshPath } from "../http/calls.ts";
import { collect, describeClients } from "./clients.ts";

const types = (events: StreamEvent[]) => events.map(({ type }) => type);
const offsets = (events: StreamEvent[]) => events.map(({ offset }) => offset);
const refusal = (promise: Promise<unknown>): Promise<MillraceError> =>
  promise.then(
    () => Promise.reject(new Error("it was not refused")),
    (error) => error,
  );

describeClients("the client", (fixture) => {
  test("appends one event and a batch, and says what was a replay", async () => {
    const client = fixture().connect();
    const path = freshPath("sdk");
    const one = await client.append(path, { type: "a", payload: { n: 1 } }, { idempotencyKey: "k" });
    expect(one).toMatchObject({
      event: { streamPath: path, offset: 2, type: "a", payload: { n: 1 } },
      replayed: false,
    });
    const again = await client.append(path, { type: "a", payload: { n: 1 } }, { idempotencyKey: "k" });
    expect(again).toEqual({ event: one.event, replayed: true });
    const { events, replayed } = await client.append(path, [{ type: "b" }, { type: "c" }]);
    expect([offsets(events), replayed]).toEqual([[3, 4], false]);
  });

  test("keeps every path below its prefix", async () => {
    const top = freshPath("sdk");
    const client = fixture().connect({ pathPrefix: top });
    for (const path of ["x", "/x"]) await client.append(path, { type: "t" });
    await client.append({ type: "top" });
    const whole = fixture().connect();
    expect(types(await collect(whole.read(`${top}/x`))).slice(1)).toEqual(["t", "t"]);
    expect((await client.state("x")).path).toBe(`${top}/x`);
    expect((await client.state("")).path).toBe(top);
    expect((await collect(client.streams())).map(({ path }) => path)).toEqual([top, `${top}/x`]);
    expect((await collect(client.children("/"))).map(({ path }) => path)).toEqual([`${top}/x`]);
  });

  test("keeps projects apart, and lists them", async () => {
    const path = freshPath("sdk");
    await fixture().connect({ projectSlug: "other" }).append(path, { type: "t" });
    const error = await refusal(fixture().connect().state(path));
    expect(error).toMatchObject({ name: "MillraceError", code: "not_found", status: 404 });
    expect((await collect(fixture().connect().projects())).map(({ slug }) => slug)).toContain("other");
  });

  test("sets, lists and removes secrets of its project, whatever its prefix", async () => {
    const { secrets } = fixture().connect({ projectSlug: "sdk-secrets", pathPrefix: "/below" });
    const set = await secrets.set({ name: "A", value: "v", hosts: ["api.example.com"], description: "d" });
    expect(set).toMatchObject({ name: "A", hosts: ["api.example.com"], description: "d" });
    expect(await secrets.list()).toEqual([set]);
    expect(await fixture().connect().secrets.list()).toEqual([]);
    expect(await refusal(secrets.set({ name: "B", value: "v", hosts: [] }))).toMatchObject({
      code: "invalid_request",
      data: { field: "hosts" },
    });
    await secrets.remove("A");
    expect(await refusal(secrets.remove("A"))).toMatchObject({ code: "not_found" });
    expect(await secrets.list()).toEqual([]);
  });

  test("moves a cursor below its prefix, and is told who holds it", async () => {
    const top = freshPath("sdk");
    const { cursors, append } = fixture().connect({ pathPrefix: top });
    await append("x", [{ type: "a" }, { type: "b" }]);
    expect(await refusal(cursors.get("a/b", "x"))).toMatchObject({ code: "not_found" });
    const put = await cursors.put("a/b", "x", { offset: 2, epoch: "1", runtimeId: "one", replaces: null });
    expect(put).toMatchObject({ slug: "a/b", path: `${top}/x`, offset: 2, epoch: "1", runtimeId: "one" });
    const progress = { work: ["c"] };
    const moved = await cursors.put("a/b", "/x", { offset: 3, epoch: "1", runtimeId: "one", replaces: 2, progress });
    expect(await cursors.get("a/b", "x")).toEqual({ ...moved, progress, silentMs: expect.any(Number) });
    const late = await refusal(cursors.put("a/b", "x", { offset: 3, epoch: "1", runtimeId: "two", replaces: 3 }));
    expect(late).toMatchObject({ code: "cursor_conflict", data: { holder: { runtimeId: "one", offset: 3 } } });
    const given = { offset: 3, epoch: "1", runtimeId: "one", replaces: 3, release: true };
    expect(await cursors.put("a/b", "x", given)).toMatchObject({ released: true });
    await cursors.delete("a/b", "x");
    expect(await refusal(cursors.delete("a/b", "x"))).toMatchObject({ code: "not_found" });
  });

  test("reads history over several pages, in both directions, filtered and bounded", async () => {
    const client = fixture().connect();
    const path = freshPath("sdk");
    for (let i = 0; i < 3; i++) await client.append(path, Array(800).fill({ type: "t" }));
    expect(offsets(await collect(client.read(path)))).toEqual(Array.from({ length: 2_401 }, (_, i) => i + 1));
    expect(offsets(await collect(client.read(path, { order: "desc", limit: 1_500 })))).toEqual(
      Array.from({ length: 1_500 }, (_, i) => 2_401 - i),
    );
    expect(offsets(await collect(client.read(path, { after: 2, before: 5 })))).toEqual([3, 4]);
    expect(types(await collect(client.read(path, { types: ["*initialized"] })))).toHaveLength(1);
    expect(await collect(client.read(path, { after: "end" }))).toEqual([]);
    const part = client.read(path, { limit: 10 });
    await collect(part);
    expect(offsets(await collect(client.read(path, { after: part.cursor as string, limit: 2 })))).toEqual([11, 12]);
  });

  test("gives history, then says that it ended, then what is new", async () => {
    const client = fixture().connect();
    const path = freshPath("sdk");
    await client.append(path, { type: "old" });
    const told: string[] = [];
    const events = client.stream(path, { onCaughtUp: ({ after }) => told.push(`caught up at ${after}`) });
    for await (const { type, offset } of events) {
      told.push(`${type} ${events.cursor}`);
      if (offset === 2) setTimeout(() => client.append(path, { type: "new" }));
      if (offset === 3) break;
    }
    expect(told.slice(1)).toEqual(["old 2", "caught up at 2", "new 3"]);
  });

  test("tails from the end, given to a function one at a time, until the stream is deleted", async () => {
    const client = fixture().connect();
    const path = freshPath("sdk");
    await client.append(path, { type: "old" });
    const seen: string[] = [];
    let running = 0;
    const ended = client.tail(
      path,
      {
        async onCaughtUp() {
          await client.append(path, [{ type: "x" }, { type: "y" }]);
          await client.delete(path);
        },
      },
      async ({ type }) => {
        expect(running++).toBe(0);
        await Promise.resolve();
        running--;
        seen.push(type);
      },
    );
    await ended;
    expect(seen).toEqual(["x", "y"]);
  });

  test("reads a subtree, its history and live, and goes on from a cursor", async () => {
    const client = fixture().connect();
    const top = freshPath("sdk");
    for (const child of ["a", "b"]) await client.append(`${top}/${child}`, [{ type: "t" }, { type: "t" }]);
    const place = ({ streamPath, offset }: StreamEvent) => `${streamPath}@${offset}`;
    const options = { includeChildren: true, types: ["t"] };
    const whole = (await collect(client.read(top, options))).map(place);
    expect(whole).toEqual([`${top}/a@2`, `${top}/a@3`, `${top}/b@2`, `${top}/b@3`]);
    const live = client.stream(top, options);
    expect((await collect(live, 3)).map(place)).toEqual(whole.slice(0, 3));
    await client.append(`${top}/c`, { type: "t" });
    const rest = client.stream(top, { ...options, after: live.cursor as string });
    expect((await collect(rest, 2)).map(place)).toEqual([whole[3], `${top}/c@2`]);
    expect((await collect(client.stream(top, { ...options, live: false }))).map(place)).toHaveLength(5);
  });

  test("gives the state of a stream and of a processor, now and then", async () => {
    const client = fixture().connect();
    const path = freshPath("sdk");
    await client.append(path, { type: "https://events.iterate.com/stream-paused", payload: { reason: "lunch" } });
    expect(await client.state(path)).toMatchObject({ path, head: 2, paused: true, pause: { reason: "lunch" } });
    expect(await client.state(path, { processor: "lifecycle", at: 1 })).toMatchObject({ offset: 1, version: "1" });
  });

  test("deletes a stream, and what is below it", async () => {
    const client = fixture().connect();
    const path = freshPath("sdk");
    await client.append(`${path}/a/b`, { type: "t" });
    const { deleted, count } = await client.delete(`${path}/a`, { children: true });
    expect(count).toBe(deleted.length);
    expect(deleted).toContainEqual({ path: `${path}/a/b`, head: 2 });
    expect(await collect(client.children(`${path}/a`, { deep: true }))).toEqual([]);
    expect(await client.delete(freshPath("sdk"))).toEqual({ deleted: [], count: 0 });
  });

  test("throws refusals by code, with their data", async () => {
    const client = fixture().connect();
    const path = freshPath("sdk");
    await client.append(path, { type: "t" }, { idempotencyKey: "k" });
    const conflict = await refusal(client.append(path, { type: "t", offset: 9 }));
    if (!isMillraceError(conflict, "offset_conflict")) throw conflict;
    expect(conflict.data).toEqual({ head: 2, expected: 9 });
    expect(conflict.status).toBe(412);
    const other = await refusal(client.append(path, { type: "u" }, { idempotencyKey: "k" }));
    expect(other).toMatchObject({ code: "idempotency_conflict", data: { idempotencyKey: "k", offset: 2 } });
    await client.append(path, { type: "https://events.iterate.com/stream-paused" });
    expect(await refusal(client.append(path, { type: "t" }))).toMatchObject({ code: "stream_paused", status: 423 });
    expect(await refusal(client.append("a//b", { type: "t" }))).toMatchObject({ code: "invalid_request" });
    expect(await refusal(client.append("a/../b", { type: "t" }))).toMatchObject({ code: "invalid_request" });
    expect(await refusal(collect(client.stream(path, { after: 99 })))).toMatchObject({ code: "offset_conflict" });
    expect(await refusal(collect(client.read(path, { after: 99 })))).toMatchObject({ code: "offset_conflict" });
    const foreign = client.stream(path, { includeChildren: true, after: "999999" });
    expect(await refusal(collect(foreign))).toMatchObject({ code: "offset_conflict", data: { expected: 999_999 } });
    const lost = fixture().connect({ projectSlug: "no-such-project" });
    expect(await refusal(lost.state(path))).toMatchObject({ code: "not_found", status: 404 });
    expect(await refusal(fixture().connect({ projectSlug: "no good" }).state(path))).toMatchObject({
      code: "invalid_request",
      data: { field: "project" },
    });
    const stranger = fixture().connect({ token: "another token altogether" });
    expect(await refusal(stranger.append(path, { type: "t" }))).toMatchObject({ code: "unauthorized", status: 401 });
    expect(await refusal(collect(stranger.tail(path)))).toMatchObject({ code: "unauthorized" });
  });
});
