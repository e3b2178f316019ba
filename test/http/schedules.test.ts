/** Schedules over HTTP: what is no schedule is an event that says why, and what is one ticks without any I/O of its own. */
import { expect, test } from "vitest";
import { append, builtin, errorOf, freshPath, json, post, readAll, readJson, refused } from "./calls.ts";
import { describeEach, type TestServer } from "./servers.ts";

const soon = { kind: "once-in", delaySeconds: 0.05 };
const far = { kind: "every", intervalSeconds: 3_600 };

function scheduled(schedule: unknown, extra: object = {}) {
  return {
    type: builtin("append-scheduled"),
    payload: { slug: "beat", append: { type: "tick" }, schedule, ...extra },
  };
}

/** The types of a stream's events, as soon as so many are there. */
async function typesOnceThere(server: TestServer, path: string, count: number): Promise<string[]> {
  const signal = AbortSignal.timeout(10_000);
  const response = await server.send(`/api/streams${path}?live=true&format=ndjson`, { signal });
  const types: string[] = [];
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") types.push((JSON.parse(line) as { type: string }).type);
    if (types.length >= count) break;
  }
  return types.map((type) => type.replace(builtin(""), ""));
}

describeEach("what is no schedule", (server) => {
  test.each([
    ["a cron pattern beyond the clock", { kind: "cron", cron: "99 * * * *" }, {}, "Invalid value for minute: 99"],
    ["a zone of another planet", { kind: "cron", cron: "* * * * *", timezone: "Mars/Base" }, {}, "an IANA time zone"],
    ["an interval of nothing", { kind: "every", intervalSeconds: 0 }, {}, "expected 0.05 seconds or more"],
    ["an event that is none", far, { append: { payload: 1 } }, "payload.append.type"],
    ["an event that only the server writes", far, { append: { type: builtin("initialized") } }, "only the server may"],
    [
      "a built-in with a wrong payload",
      far,
      { append: { type: builtin("paused"), payload: 5 } },
      "payload.append.payload",
    ],
  ])("%s is stored as an event that says so, and never fires", async (_, schedule, extra, message) => {
    const path = freshPath();
    const [event] = await append(server(), path, scheduled(schedule, extra));
    expect(event?.type).toBe(builtin("invalid-event-appended"));
    expect(errorOf(event)).toContain(message);
    expect(await readJson(server(), `/api/state${path}`)).not.toHaveProperty("schedules");
  });
});

describeEach("a schedule", (server) => {
  test("ticks once, ends, and is gone from the state", async () => {
    const path = freshPath();
    await append(server(), path, scheduled(soon));
    expect(await typesOnceThere(server(), path, 4)).toEqual([
      "initialized",
      "append-scheduled",
      "tick",
      "schedule-finished",
    ]);
    const events = await readAll(server(), path);
    expect(events[2]).toMatchObject({
      payload: {},
      source: { kind: "schedule", slug: "beat", cause: { streamPath: path, offset: 2 }, depth: 1 },
    });
    expect(events[3]).toMatchObject({ payload: { slug: "beat", outcome: "succeeded" } });
    expect(await readJson(server(), `/api/state${path}`)).not.toHaveProperty("schedules");
  });

  test("is shown in the state: when it comes, how often it came, and what a slug twice replaced", async () => {
    const path = freshPath();
    await append(server(), path, [scheduled(soon), scheduled(far, { missed: "skip" })]);
    const before = Date.now();
    const { schedules } = (await readJson(server(), `/api/state${path}`)) as { schedules: Record<string, never> };
    expect(schedules).toEqual({
      beat: { schedule: far, missed: "skip", offset: 3, ticks: 0, nextAt: expect.any(String) },
    });
    const { nextAt } = schedules.beat as unknown as { nextAt: string };
    expect(Math.abs(Date.parse(nextAt) - before - 3_600_000)).toBeLessThan(10_000);
  });

  test("is refused on a paused stream, where an existing one may be cancelled", async () => {
    const path = freshPath();
    await append(server(), path, scheduled(far));
    await append(server(), path, { type: builtin("paused") });
    const body = JSON.stringify(scheduled(far));
    await refused(await post(server(), path, body, { contentType: json }), "stream_paused");
    await append(server(), path, { type: builtin("schedule-cancelled"), payload: { slug: "beat" } });
    expect(await readJson(server(), `/api/state${path}`)).not.toHaveProperty("schedules");
  });

  test("goes with its stream", async () => {
    const path = freshPath();
    await append(server(), path, scheduled({ kind: "every", intervalSeconds: 0.05 }));
    expect((await server().send(`/api/streams${path}`, { method: "DELETE" })).status).toBe(200);
    await append(server(), path, scheduled(soon, { slug: "other", append: { type: "other" } }));
    const types = await typesOnceThere(server(), path, 4);
    expect(types).toEqual(["initialized", "append-scheduled", "other", "schedule-finished"]);
  });
});

describeEach(
  "of schedules",
  (server) => {
    test("there are so many for a stream, and the refusal says how many", async () => {
      const path = freshPath();
      await append(server(), path, [scheduled(far, { slug: "a" }), scheduled(far, { slug: "b" })]);
      const body = JSON.stringify(scheduled(far, { slug: "c" }));
      const problem = await refused(await post(server(), path, body, { contentType: json }), "rate_limited");
      expect(problem).toMatchObject({ limit: 2, unit: "schedules of this stream" });
      await append(server(), path, scheduled(far, { slug: "b" }));
    });
  },
  { limits: { schedulesPerStream: 2 } },
);
