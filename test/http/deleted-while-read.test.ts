/** A page of a history whose stream is deleted while the page is made: no beginning of it looks like all of it. */
import { createEngine, createMemoryDirectory } from "@millrace/engine";
import { createHandler } from "@millrace/http";
import { createManualClock, createSeededRandom, interceptDirectory } from "@millrace/testing";
import { expect, test } from "vitest";

function world() {
  let whileRead: (() => Promise<unknown>) | undefined;
  const directory = interceptDirectory(createMemoryDirectory(), async (call, proceed) => {
    const act = call.operation === "read" && call.path === "/s" ? whileRead : undefined;
    whileRead = undefined;
    await act?.();
    return proceed();
  });
  const engine = createEngine({ directory, clock: createManualClock(), random: createSeededRandom(1), onFailure() {} });
  const handler = createHandler({ engine });
  const send = (path: string, init?: RequestInit) => handler.fetch(new Request(`http://localhost${path}`, init));
  return {
    engine,
    send,
    whileRead(act: () => Promise<unknown>) {
      whileRead = act;
    },
  };
}

test.each(["asc", "desc"])("%s: it says what is there now", async (order) => {
  const { engine, send, whileRead } = world();
  const read = async () => {
    const response = await send(`/api/streams/s?format=json&order=${order}`);
    const { events, next } = (await response.json()) as { events: { type: string }[]; next: string | null };
    return { life: response.headers.get("millrace-stream-id"), types: events.map(({ type }) => type), next };
  };
  await send("/s", { method: "POST", body: '[{"type":"a"},{"type":"b"}]' });
  const before = await read();
  expect(before.types).toHaveLength(3);

  whileRead(() => send("/api/streams/s", { method: "DELETE" }));
  expect(await read()).toEqual({ life: "none", types: [], next: null });

  await send("/s", { method: "POST", body: '{"type":"c"}' });
  whileRead(async () => {
    await send("/api/streams/s", { method: "DELETE" });
    await send("/s", { method: "POST", body: '{"type":"d"}' });
  });
  const { life, types } = await read();
  expect(types).toContain("d");
  expect(types).not.toContain("c");
  expect([before.life, "none"]).not.toContain(life);
  await engine.close();
});

test.each(["ndjson", "yaml"])("%s, which has no frame for it, breaks off", async (format) => {
  const { engine, send, whileRead } = world();
  await send("/s", { method: "POST", body: '[{"type":"a"},{"type":"b"}]' });
  whileRead(() => send("/api/streams/s", { method: "DELETE" }));
  const response = await send(`/api/streams/s?format=${format}`);
  await expect(response.text()).rejects.toThrow("The stream was deleted while it was read.");
  expect((await send(`/api/streams/s?format=${format}`)).headers.get("millrace-stream-id")).toBe("none");
  await engine.close();
});
