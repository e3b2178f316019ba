/** Progress that the server keeps: a restart goes on where it was, and a second runtime is told who is at work. */
import { createEventsClient, runProcessor, type StreamEvent, serverCursors } from "@millrace/sdk/processor";
import { type RunningServer, serve } from "millrace";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { eventsOf } from "./behaviour.ts";
import { builtin } from "./world.ts";

let server: RunningServer;
const patience = { timeout: 20_000, interval: 20 };

beforeAll(async () => {
  const onFatal = (message: string) => {
    throw new Error(message);
  };
  server = await serve({ port: 0, host: "127.0.0.1", data: ":memory:", onFatal });
});
afterAll(() => server.close());

const processor = (acted: number[], decided: unknown[]) => ({
  slug: "kept",
  initialState: { numbers: 0 },
  reduce: ({ state, event }: { state: { numbers: number }; event: StreamEvent }) =>
    event.type === "number" ? { numbers: state.numbers + 1 } : state,
  afterAppend({ event }: { event: StreamEvent }) {
    if (event.type === "number") acted.push(event.payload as number);
  },
  afterCatchUp({ state, missed }: { state: unknown; missed?: { after: number; through: number } }) {
    decided.push({ state, missed: missed !== undefined });
  },
});

test("a hundred inputs while nobody ran are folded, and decided on once", async () => {
  const client = createEventsClient({ baseUrl: server.url });
  const path = "/kept/one";
  await client.append(path, { type: "begun" });
  const acted: number[] = [];
  const decided: unknown[] = [];
  const first = serverCursors({ client, slug: "kept", runtimeId: "one" });
  const run = runProcessor({ client, processor: processor(acted, decided), path, cursors: first });
  await run.ready;
  await client.append(path, { type: "number", payload: 0 });
  await expect.poll(() => acted, patience).toEqual([0]);
  await run.stop();
  await client.append(
    path,
    Array.from({ length: 90 }, (_, i) => ({ type: "number", payload: i + 1 })),
  );
  const second = serverCursors({ client, slug: "kept", runtimeId: "one" });
  const again = runProcessor({ client, processor: processor(acted, decided), path, cursors: second });
  await again.ready;
  await expect.poll(() => decided.length, patience).toBe(2);
  expect(decided[1]).toEqual({ state: { numbers: 91 }, missed: true });
  await client.append(path, { type: "number", payload: 91 });
  await expect.poll(() => acted, patience).toEqual([0, 91]);
  expect((await client.state(path)).consumers.kept).toMatchObject({ kind: "remote" });
  await again.stop();
});

test("a second runtime with the same slug is refused, and told who holds the cursor", async () => {
  const client = createEventsClient({ baseUrl: server.url });
  const path = "/kept/two";
  await client.append(path, { type: "begun" });
  const cursors = serverCursors({ client, slug: "kept", runtimeId: "holder" });
  const run = runProcessor({ client, processor: processor([], []), path, cursors });
  await run.ready;
  await client.append(path, { type: "number", payload: 1 });
  await expect.poll(async () => (await client.state(path)).consumers.kept?.cursor, patience).toBe(3);
  // It would wait for a sign of life of the holder, which comes every ten seconds.
  const other = serverCursors({ client, slug: "kept", runtimeId: "other", waits: false });
  const second = runProcessor({ client, processor: processor([], []), path, cursors: other });
  await expect(second.done).rejects.toMatchObject({ code: "cursor_conflict", data: { holder: expect.anything() } });
  expect(await eventsOf(client, path, "number")).toHaveLength(1);
  await run.stop();
});

/** Runs it on a path of a project of its own, and notes what it did. */
function worldOf(project: string) {
  const client = createEventsClient({ baseUrl: server.url, projectSlug: project });
  const acted: number[] = [];
  const decided: unknown[] = [];
  const begin = (path: string, runtimeId: string, options: { waits?: boolean; from?: typeof client } = {}) => {
    const { waits = false, from = client } = options;
    const cursors = serverCursors({ client: from, slug: "kept", runtimeId, waits });
    return runProcessor({ client: from, processor: processor(acted, decided), path, cursors });
  };
  const cursorAt = async (path: string) => (await client.state(path)).consumers.kept?.cursor;
  return { client, acted, decided, begin, cursorAt };
}

test("a run that ends gives its cursors back: another runtime goes on at once", async () => {
  const { client, acted, begin } = worldOf("given-back");
  for (const path of ["/a", "/b"]) await client.append(path, { type: "number", payload: 0 });
  for (const runtimeId of ["one", "two", "three"]) {
    const run = begin("/**", runtimeId);
    await run.ready;
    for (const path of ["/a", "/b"]) await client.append(path, { type: "number", payload: acted.length });
    const expected = acted.length + 2;
    await expect.poll(() => acted.length, patience).toBe(expected);
    await run.stop();
    expect(await client.cursors.get("kept", "/a")).toMatchObject({ runtimeId, released: true });
  }
  expect(await eventsOf(client, "/a", builtin("error-occurred"))).toEqual([]);
});

test("a start that waits goes on as soon as the one before has ended", async () => {
  const { client, begin, cursorAt } = worldOf("replaced");
  await client.append("/s", { type: "number", payload: 0 });
  const first = begin("/s", "one");
  await first.ready;
  await expect.poll(() => cursorAt("/s"), patience).toBe(2);
  const second = begin("/s", "two", { waits: true });
  // Nobody was silent for long here: what it waits for is the end of the first.
  await first.stop();
  await second.ready;
  expect(await client.cursors.get("kept", "/s")).toMatchObject({ runtimeId: "two" });
  await second.stop();
});

test("a start that waits is stopped at once", async () => {
  const { client, begin, cursorAt } = worldOf("not-waiting");
  await client.append("/s", { type: "number", payload: 0 });
  const first = begin("/s", "one");
  await first.ready;
  await expect.poll(() => cursorAt("/s"), patience).toBe(2);
  const second = begin("/s", "two", { waits: true });
  const began = performance.now();
  await second.stop();
  expect(performance.now() - began).toBeLessThan(5_000);
  await first.stop();
});

test("whoever holds a cursor that is deleted ends, and does not put it again", async () => {
  const { client, begin, cursorAt } = worldOf("deleted");
  await client.append("/s", { type: "number", payload: 0 });
  const run = begin("/s", "one");
  await run.ready;
  await expect.poll(() => cursorAt("/s"), patience).toBe(2);
  await client.cursors.delete("kept", "/s");
  await client.append("/s", { type: "number", payload: 1 });
  await expect(run.done).rejects.toMatchObject({ code: "cursor_conflict", data: { holder: null } });
  await expect(client.cursors.get("kept", "/s")).rejects.toMatchObject({ code: "not_found" });
});

test("what was born while nobody ran is missed, whole; what was there at the first start is history", async () => {
  const { client, acted, decided, begin, cursorAt } = worldOf("born");
  await client.append("/a/old", { type: "number", payload: 0 });
  const first = begin("/a/*", "one");
  await first.ready;
  await client.append("/a/young", { type: "number", payload: 1 });
  await expect.poll(() => acted, patience).toEqual([1]);
  await expect.poll(() => cursorAt("/a/old"), patience).toBe(2);
  await first.stop();
  await client.append("/a/born", [
    { type: "number", payload: 2 },
    { type: "number", payload: 3 },
  ]);
  decided.length = 0;
  const second = begin("/a/*", "two");
  await second.ready;
  await expect.poll(() => decided, patience).toEqual([{ state: { numbers: 2 }, missed: true }]);
  expect(acted).toEqual([1]);
  await second.stop();
});

test("also after a first start that found no stream", async () => {
  const { client, acted, decided, begin, cursorAt } = worldOf("nothing-there");
  const first = begin("/a/*", "one");
  await first.ready;
  await client.append("/a/young", { type: "number", payload: 1 });
  await expect.poll(() => cursorAt("/a/young"), patience).toBe(2);
  expect(acted).toEqual([1]);
  await first.stop();
  await client.append("/a/born", { type: "number", payload: 2 });
  decided.length = 0;
  const second = begin("/a/*", "two");
  await second.ready;
  await expect.poll(() => decided, patience).toEqual([{ state: { numbers: 1 }, missed: true }]);
  await second.stop();
});

test("a single stream that was waited for, and was born while nobody ran, is missed too", async () => {
  const { client, decided, begin } = worldOf("waited-for");
  await client.append("/elsewhere", { type: "begun" });
  const first = begin("/s", "one");
  await first.ready;
  await first.stop();
  await client.append("/s", { type: "number", payload: 2 });
  const second = begin("/s", "two");
  await second.ready;
  await expect.poll(() => decided, patience).toEqual([{ state: { numbers: 1 }, missed: true }]);
  await second.stop();
});

test("another pattern of the same slug begins at the end of what is there", async () => {
  const { client, acted, decided, begin, cursorAt } = worldOf("other-pattern");
  await client.append("/a/x", { type: "number", payload: 0 });
  await client.append("/b/x", { type: "number", payload: 0 });
  const first = begin("/a/*", "one");
  await first.ready;
  await expect.poll(() => cursorAt("/a/x"), patience).toBe(2);
  await first.stop();
  decided.length = 0;
  const second = begin("/b/*", "two");
  await second.ready;
  await expect.poll(() => decided, patience).toEqual([{ state: { numbers: 1 }, missed: false }]);
  expect(acted).toEqual([]);
  await second.stop();
});

test("a client with a prefix keeps them where its streams are", async () => {
  const { client, begin, cursorAt } = worldOf("prefixed");
  const from = createEventsClient({ baseUrl: server.url, projectSlug: "prefixed", pathPrefix: "/team" });
  await from.append("/s", { type: "number", payload: 0 });
  const run = begin("/s", "one", { from });
  await run.ready;
  await expect.poll(() => cursorAt("/team/s"), patience).toBe(2);
  await run.stop();
  expect(await client.cursors.get("kept", "/team/s")).toMatchObject({ released: true });
});

test("a cursor that another program keeps under the slug is not taken for progress", async () => {
  const { client, begin } = worldOf("foreign");
  await client.append("/s", { type: "number", payload: 0 });
  const foreign = { offset: 1, epoch: "x", runtimeId: "foreign", replaces: null };
  await client.cursors.put("kept", "/s", { ...foreign, release: true });
  const run = begin("/s", "one");
  await run.ready;
  await expect.poll(async () => (await client.cursors.get("kept", "/s")).runtimeId, patience).toBe("one");
  await run.stop();
});

test("a run whose cursor was taken over acts on nothing more, and ends", async () => {
  const onFatal = (message: string) => {
    throw new Error(message);
  };
  const limits = { cursorSilenceMs: 1 };
  const impatient = await serve({ port: 0, host: "127.0.0.1", data: ":memory:", onFatal, limits });
  onTestFinished(() => impatient.close());
  const client = createEventsClient({ baseUrl: impatient.url });
  await client.append("/s", { type: "number", payload: 0 });
  const acted: number[] = [];
  const cursors = serverCursors({ client, slug: "kept", runtimeId: "one" });
  const run = runProcessor({ client, processor: processor(acted, []), path: "/s", cursors });
  onTestFinished(() => run.stop().catch(() => {}));
  await run.ready;
  await expect.poll(async () => (await client.state("/s")).consumers.kept?.cursor, patience).toBe(2);
  // Elsewhere: here that one would be silent for long enough as well.
  const other = { offset: 1, epoch: "0", runtimeId: "other", replaces: 2 };
  await expect.poll(async () => (await client.cursors.put("kept", "/s", other)).runtimeId, patience).toBe("other");
  await client.append("/s", { type: "number", payload: 1 });
  const ended = run.done.then(
    () => "stopped",
    (error) => error.data?.holder?.runtimeId,
  );
  expect(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 10_000, "it goes on"))])).toBe(
    "other",
  );
  expect(await client.cursors.get("kept", "/s")).toMatchObject({ runtimeId: "other" });
});
