/** Progress that the server keeps: a restart goes on where it was, and a second runtime is told who is at work. */
import { createEventsClient, runProcessor, type StreamEvent, serverCursors } from "@millrace/sdk/processor";
import { type RunningServer, serve } from "millrace";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventsOf } from "./behaviour.ts";

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
  // It waits for a sign of life of the holder, which comes every ten seconds.
  const other = serverCursors({ client, slug: "kept", runtimeId: "other", waits: false });
  const second = runProcessor({ client, processor: processor([], []), path, cursors: other });
  await expect(second.done).rejects.toMatchObject({ code: "cursor_conflict", data: { holder: expect.anything() } });
  expect(await eventsOf(client, path, "number")).toHaveLength(1);
  await run.stop();
});
