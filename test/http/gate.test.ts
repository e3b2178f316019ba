/** What may refuse an append (expected offset, pause), what only the server may write, and who says why. */
import { expect, test } from "vitest";
import {
  append,
  asSent,
  builtin,
  errorOf,
  freshPath,
  json,
  ndjson,
  post,
  readAll,
  readJson,
  refused,
  storedIn,
} from "./calls.ts";
import { describeEach } from "./servers.ts";

const paused = builtin("paused");
const resumed = builtin("resumed");

describeEach("an expected offset", (server) => {
  test("is where the event goes, or 412 with the head", async () => {
    const path = freshPath();
    const create = await post(server(), path, '{"type":"a","offset":1}', { contentType: json });
    expect(await refused(create, "offset_conflict")).toMatchObject({ head: 0, expected: 1 });
    expect(await readAll(server(), path)).toEqual([]);
    expect((await append(server(), path, { type: "a", offset: 2 }))[0]?.offset).toBe(2);
    for (const offset of [1, 2, 4]) {
      const response = await post(server(), path, JSON.stringify({ type: "a", offset }), { contentType: json });
      expect(await refused(response, "offset_conflict")).toMatchObject({ head: 2, expected: offset });
    }
    expect((await append(server(), path, { type: "a", offset: 3 }))[0]?.offset).toBe(3);
  });

  test("a batch is judged in order; a conflict refuses it whole and names the element", async () => {
    const path = freshPath();
    const good = [{ type: "a", offset: 2 }, { type: "b" }, { type: "c", offset: 4 }];
    expect(await append(server(), path, good)).toHaveLength(3);
    const bad = '{"type":"a","offset":5}\n{"type":"b","offset":5}\n{"type":"c"}';
    const problem = await refused(await post(server(), path, bad, { contentType: ndjson }), "offset_conflict");
    expect(problem).toMatchObject({ head: 4, expected: 5, element: 1 });
    expect(problem.detail).toContain("Element 1 of the batch");
    expect(await readAll(server(), path)).toHaveLength(4);
  });

  test("of many at once one wins", async () => {
    const path = freshPath();
    const body = '{"type":"claim","offset":2}';
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => post(server(), path, body, { contentType: json })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 9 }, () => 412)]);
    expect(await readAll(server(), path)).toHaveLength(2);
  });
});

describeEach("a pause", (server) => {
  test("refuses with why, since when and how to go on; resumed ends it", async () => {
    const path = freshPath();
    const [pause] = await append(server(), path, {
      type: paused,
      payload: { reason: "lunch", cause: { kind: "person" } },
    });
    const problem = await refused(await post(server(), path, '{"type":"a"}', { contentType: json }), "stream_paused");
    expect(problem).toMatchObject({ reason: "lunch", since: pause?.createdAt });
    expect(problem.howToResume).toBe(`Append {"type":"${resumed}"} to this stream to go on.`);
    expect(problem.detail).toContain("lunch");
    const state = await readJson(server(), `/api/state${path}`);
    expect(state).toMatchObject({ paused: true, pause: { offset: 2, reason: "lunch", cause: { kind: "person" } } });
    const command = JSON.parse(
      (problem.howToResume as string).slice("Append ".length, -" to this stream to go on.".length),
    );
    await append(server(), path, command);
    expect((await append(server(), path, { type: "a" }))[0]?.offset).toBe(4);
    expect(await readJson(server(), `/api/state${path}`)).toMatchObject({ paused: false });
  });

  test("refuses invalid events, text and every batch that is not resumed first", async () => {
    const path = freshPath();
    await append(server(), path, { type: paused });
    for (const [body, element] of [
      ["hogwash", undefined],
      ['{"hogwash":1}', undefined],
      ['[{"type":"a"},{"type":"b"}]', 0],
      [
        `[{"type":"${builtin("circuit-breaker-configured")}","payload":{"burstCapacity":1,"refillRatePerMinute":1}},1]`,
        1,
      ],
      [`[{"type":"${resumed}"},{"type":"${paused}"},{"type":"a"}]`, 2],
    ] as const) {
      const problem = await refused(await post(server(), path, body, { contentType: json }), "stream_paused");
      expect(problem.element).toBe(element);
    }
    expect(await readAll(server(), path)).toHaveLength(2);
    const batch = await append(server(), path, [{ type: resumed }, { type: "a" }]);
    expect(batch.map(({ offset }) => offset)).toEqual([3, 4]);
  });

  test("admits what repairs or ends something", async () => {
    const path = freshPath();
    await append(server(), path, { type: paused });
    const admitted: [name: string, payload: object][] = [
      ["circuit-breaker-configured", { burstCapacity: 10, refillRatePerMinute: 10 }],
      ["subscription/removed", { slug: "s" }],
      ["jsonata-transformer-removed", { slug: "s" }],
      ["dynamic-worker/removed", { slug: "s" }],
      ["schedule-cancelled", { slug: "s" }],
      ["dynamic-worker/configured", { slug: "s", script: "export default {}" }],
      ["dynamic-worker/source-configured", { slug: "s", files: { "processor.ts": "export default {}" } }],
    ];
    for (const [name, payload] of admitted) {
      expect((await append(server(), path, { type: builtin(name), payload }))[0]?.type).toBe(builtin(name));
    }
    for (const name of ["metadata-updated", "error-occurred", "paused"]) {
      const payload =
        name === "metadata-updated" ? { metadata: {} } : name === "error-occurred" ? { message: "m" } : {};
      const body = JSON.stringify({ type: builtin(name), payload });
      await refused(await post(server(), path, body, { contentType: json }), "stream_paused");
    }
    await append(server(), path, { type: resumed, payload: { reason: "back" } });
  });

  test("does not stop reading or deleting", async () => {
    const path = freshPath();
    await append(server(), path, [{ type: "a" }, { type: paused }]);
    expect(await readAll(server(), path)).toHaveLength(3);
    const deleted = await server().send(`/api/streams${path}`, { method: "DELETE" });
    expect(deleted.status).toBe(200);
    expect((await append(server(), path, { type: "b" }))[0]?.offset).toBe(5);
  });

  test("comes by itself when a burst is over the limit, and says why and how to go on", async () => {
    const path = freshPath();
    const type = builtin("circuit-breaker-configured");
    await append(server(), path, { type, payload: { burstCapacity: 3, refillRatePerMinute: 1 } });
    for (let n = 0; n < 4; n++) await append(server(), path, { type: "a" });
    const problem = await refused(await post(server(), path, '{"type":"a"}', { contentType: json }), "stream_paused");
    expect(problem.reason).toContain("burstCapacity");
    const events = await readAll(server(), path);
    expect(events.map((event) => event.type).slice(-2)).toEqual(["a", paused]);
    expect(events.at(-1)).toMatchObject({
      payload: { cause: { kind: "rate", limit: 3, observed: 4, chain: [{ streamPath: path, offset: 6 }] } },
      source: { kind: "server", slug: "circuit-breaker", cause: { streamPath: path, offset: 6 }, depth: 1 },
    });
    await append(server(), path, [{ type: resumed }, { type: "a" }]);
  });
});

describeEach("built-in types", (server) => {
  test("metadata-updated replaces the stream's metadata", async () => {
    const path = freshPath();
    const type = builtin("metadata-updated");
    await append(server(), path, { type, payload: { metadata: { title: "Inbox", n: 1 } } });
    await append(server(), path, { type, payload: { metadata: { owner: "me" } } });
    expect((await readJson(server(), `/api/state${path}`)).metadata).toEqual({ owner: "me" });
  });

  test.each<[sent: string, stored: string]>([
    ["https://events.iterate.com/stream-paused", paused],
    ["https://events.iterate.com/paused", paused],
    ["https://events.iterate.com/stream-resumed", resumed],
    ["https://events.iterate.com/resumed", resumed],
    [" https://events.iterate.com/events/stream/resumed ", resumed],
  ])("%s is stored as %s", async (sent, stored) => {
    expect((await append(server(), freshPath(), { type: sent }))[0]?.type).toBe(stored);
  });

  test.each([
    "initialized",
    "child-stream-created",
    "child-stream-deleted",
    "schedule-finished",
    "subscription/halted",
    "subscription/event-parked",
    "jsonata-transformer-halted",
    "dynamic-worker/halted",
  ])("%s is the server's to write", async (name) => {
    const sent = { type: builtin(name), payload: { slug: "s" } };
    const [event] = await append(server(), freshPath(), sent);
    expect(event).toMatchObject({ type: builtin("invalid-event-appended"), payload: { rawInput: sent } });
    expect(errorOf(event)).toBe(`type: only the server may write ${builtin(name)}`);
  });

  test.each<[name: string, payload: unknown, error: RegExp]>([
    ["no-such-thing", {}, /^type: the server knows no built-in type "https:.*no-such-thing"$/],
    ["paused", { because: "typo" }, /^payload\.because: unknown key; paused has reason, cause$/],
    ["paused", { reason: 7 }, /^payload\.reason: expected a string, got a number$/],
    ["metadata-updated", {}, /^payload\.metadata: is missing; expected an object$/],
    ["metadata-updated", "text", /^payload: expected an object, got a string$/],
    ["circuit-breaker-configured", { burstCapacity: -1, refillRatePerMinute: 1 }, /^payload\.burstCapacity: /],
  ])("%s with %j is an invalid event", async (name, payload, error) => {
    const sent = { type: builtin(name), payload };
    const [event] = await append(server(), freshPath(), sent);
    expect(event).toMatchObject({ type: builtin("invalid-event-appended"), payload: { rawInput: sent } });
    expect(errorOf(event)).toMatch(error);
  });
});

describeEach("a cause", (server) => {
  test.each<[headers: Record<string, string>, source: object]>([
    [
      { "millrace-cause": "%2Fteam%2Finbox@7", "millrace-depth": "3", "millrace-processor": "agent" },
      { kind: "remote", slug: "agent", cause: { streamPath: "/team/inbox", offset: 7 }, depth: 4 },
    ],
    [
      { "millrace-cause": "/team/inbox@7" },
      { kind: "remote", cause: { streamPath: "/team/inbox", offset: 7 }, depth: 1 },
    ],
    [
      { "millrace-cause": "me%40example.com@9007199254740991" },
      { kind: "remote", cause: { streamPath: "/me@example.com", offset: 9007199254740991 }, depth: 1 },
    ],
    [{ "millrace-depth": "0" }, { kind: "remote", depth: 1 }],
    [{ "millrace-processor": "agent" }, { kind: "remote", slug: "agent", depth: 1 }],
    [{ "millrace-processor": "k%C3%A4se%20%2F" }, { kind: "remote", slug: "käse /", depth: 1 }],
    [{ "millrace-processor": "%E2%82%AC".repeat(255) }, { kind: "remote", slug: "€".repeat(255), depth: 1 }],
    [{ "millrace-processor": "100%" }, { kind: "remote", slug: "100%", depth: 1 }],
  ])("%j", async (headers, source) => {
    const path = freshPath();
    const batch = await append(server(), path, [{ type: "a" }, "hogwash"], headers);
    for (const event of batch) expect(event.source).toEqual(source);
    const [birth] = await readAll(server(), path);
    expect(birth?.source).toBe(undefined);
  });

  test("an event cannot state its own source", async () => {
    const sent = { type: "a", source: { kind: "server", depth: 0 } };
    const [event] = await append(server(), freshPath(), sent);
    expect(asSent(event as never)).toMatchObject({
      type: builtin("invalid-event-appended"),
      payload: { rawInput: sent },
    });
    expect(event?.source).toBe(undefined);
  });

  test.each<[header: string, value: string]>([
    ["Millrace-Cause", "/team/inbox"],
    ["Millrace-Cause", "/team/inbox@"],
    ["Millrace-Cause", "/team/inbox@0"],
    ["Millrace-Cause", "/team/inbox@x"],
    ["Millrace-Cause", "/team/inbox@-1"],
    ["Millrace-Cause", "/team/inbox@9007199254740993"],
    ["Millrace-Cause", "@7"],
    ["Millrace-Cause", "7"],
    ["Millrace-Depth", "-1"],
    ["Millrace-Depth", "1.5"],
    ["Millrace-Depth", "many"],
    ["Millrace-Depth", "9".repeat(20)],
    ["Millrace-Processor", ""],
    ["Millrace-Processor", "p".repeat(256)],
  ])("%s: %s is refused", async (header, value) => {
    const path = freshPath();
    const response = await post(server(), path, '{"type":"a"}', { contentType: json, headers: { [header]: value } });
    expect((await refused(response, "invalid_request")).field).toBe(header);
    expect(await readAll(server(), path)).toEqual([]);
  });

  test("a bad path in a cause is refused", async () => {
    const headers = { "millrace-cause": "%2F..%2Fa@1" };
    await refused(await post(server(), freshPath(), '{"type":"a"}', { contentType: json, headers }), "invalid_request");
  });

  test("too many causes behind an event pause the stream, and resumed allows as many again", async () => {
    const path = freshPath();
    const type = builtin("circuit-breaker-configured");
    await append(server(), path, { type, payload: { burstCapacity: 0, refillRatePerMinute: 1, maxDepth: 10 } });
    await append(server(), path, { type: "a" }, { "millrace-depth": "9" });
    await append(server(), path, { type: "b" }, { "millrace-depth": "10", "millrace-cause": "/x@5" });
    const events = await readAll(server(), path);
    expect(events.at(-1)).toMatchObject({
      type: paused,
      payload: {
        cause: {
          kind: "depth",
          limit: 10,
          observed: 11,
          chain: [
            { streamPath: path, offset: 4 },
            { streamPath: "/x", offset: 5 },
          ],
        },
      },
    });
    await refused(await post(server(), path, '{"type":"a"}', { contentType: json }), "stream_paused");
    await append(server(), path, { type: resumed });
    await storedIn(
      await post(server(), path, '{"type":"a"}', { contentType: json, headers: { "millrace-depth": "19" } }),
    );
    expect((await readAll(server(), path)).at(-1)?.type).toBe("a");
  });
});
