/** What goes over the wire: the call on the left, the request on the right. */
import { expect, test } from "vitest";
import { createEventsClient, type EventsClient } from "./client.ts";
import type { ClientOptions } from "./connection.ts";

interface Sent {
  request: string;
  headers: Record<string, string>;
  body: unknown;
}

/** The first request of a call; what it is answered does not matter here. */
async function sentBy(call: (client: EventsClient) => unknown, options: Partial<ClientOptions> = {}): Promise<Sent> {
  const sent: Sent[] = [];
  const client = createEventsClient({
    baseUrl: "http://localhost/base/",
    ...options,
    async fetch(request) {
      const url = new URL(request.url);
      const text = await request.text();
      sent.push({
        request: `${request.method} ${url.pathname}${url.search}`,
        headers: Object.fromEntries(request.headers),
        body: text === "" ? undefined : JSON.parse(text),
      });
      return Response.json({ code: "not_found", detail: "not here" }, { status: 404 });
    },
  });
  await Promise.resolve(call(client)).catch(() => {});
  return sent[0] as Sent;
}

const first = (events: AsyncIterator<unknown>) => events.next();

test.each<[request: string, call: (client: EventsClient) => unknown]>([
  ["GET /base/api/streams/a?format=json&limit=1000", (c) => first(c.read("a"))],
  ["GET /base/api/streams/%2F?format=json&limit=1000", (c) => first(c.read("/"))],
  [
    "GET /base/api/streams/a?format=json&type=x*&type=y&order=desc&beforeOffset=9&afterOffset=2&limit=5",
    (c) => first(c.read("/a", { after: 2, before: 9, limit: 5, types: ["x*", "y"], order: "desc" })),
  ],
  [
    "GET /base/api/streams/a?format=json&includeChildren=true&after=8-1&limit=1000",
    (c) => first(c.read("a", { after: "8-1", includeChildren: true })),
  ],
  ["GET /base/api/streams/a?format=sse&live=true&markers=true", (c) => first(c.stream("a"))],
  [
    "GET /base/api/streams/a?format=json&afterOffset=3&limit=1000",
    (c) => first(c.stream("a", { live: false, after: 3 })),
  ],
  ["GET /base/api/streams/a?format=sse&live=true&markers=true&afterOffset=end", (c) => first(c.tail("a"))],
  ["GET /base/api/streams/a?format=sse&live=true&markers=true&after=17", (c) => first(c.tail("a", { after: "17" }))],
  [
    "GET /base/api/streams/a?format=sse&live=true&markers=true&includeChildren=true&type=x&afterOffset=start",
    (c) => first(c.tail("a", { after: "start", includeChildren: true, types: ["x"] })),
  ],
  ["GET /base/api/state/a/b", (c) => c.state("a/b")],
  ["GET /base/api/state/%2F?processor=pause&at=3", (c) => c.state("/", { processor: "pause", at: 3 })],
  ["GET /base/api/streams?prefix=%2F", (c) => first(c.streams())],
  ["GET /base/api/streams?prefix=%2Fa", (c) => first(c.streams({ prefix: "a" }))],
  ["GET /base/api/children/a", (c) => first(c.children("a"))],
  ["GET /base/api/children/a?deep=true", (c) => first(c.children("a", { deep: true }))],
  ["GET /base/api/projects", (c) => first(c.projects())],
  ["DELETE /base/api/streams/a", (c) => c.delete("a")],
  ["DELETE /base/api/streams/a?children=true", (c) => c.delete("a", { children: true })],
])("%s", async (request, call) => {
  expect((await sentBy(call)).request).toBe(request);
});

const event = { type: "t", payload: { a: 1 } };

test.each<[name: string, call: (client: EventsClient) => unknown, path: string, body: unknown]>([
  ["path, event", (c) => c.append("a", event), "/api/streams/team/a", event],
  ["path with a slash, event", (c) => c.append("/a", event), "/api/streams/team/a", event],
  ["path, events", (c) => c.append("a", [event]), "/api/streams/team/a", [event]],
  ["event alone", (c) => c.append(event), "/api/streams/team", event],
  ["events alone", (c) => c.append([event, event]), "/api/streams/team", [event, event]],
  ["{event}", (c) => c.append({ event }), "/api/streams/team", event],
  ["{path, event}", (c) => c.append({ path: "a", event }), "/api/streams/team/a", event],
  ["{path, events}", (c) => c.append({ path: "a", events: [event] }), "/api/streams/team/a", [event]],
])("append of %s", async (_, call, path, body) => {
  const sent = await sentBy(call, { baseUrl: "http://localhost", pathPrefix: "/team" });
  expect(sent).toMatchObject({ request: `POST ${path}`, body, headers: { "content-type": "application/json" } });
  expect(sent.headers["idempotency-key"]).toMatch(/^[0-9a-f]{32}$/);
});

test("a key of the caller is the header; without retries none is made up", async () => {
  const key = async (call: (client: EventsClient) => unknown) => (await sentBy(call)).headers["idempotency-key"];
  expect(await key((c) => c.append("a", event, { idempotencyKey: "mine" }))).toBe("mine");
  expect(await key((c) => c.append("a", event, { idempotencyKey: "mine", retry: false }))).toBe("mine");
  expect(await key((c) => c.append("a", event, { retry: false }))).toBe(undefined);
  expect(await key((c) => c.append(event, { idempotencyKey: "mine" }))).toBe("mine");
  expect(await key((c) => c.append("a", { ...event, idempotencyKey: "own" }))).toBe(undefined);
});

test("in a batch with some keys of its own every other event gets one", async () => {
  const own = { ...event, idempotencyKey: "own" };
  const { headers, body } = await sentBy((c) => c.append("a", [event, own, event]));
  expect(headers["idempotency-key"]).toBe(undefined);
  const keys = (body as { idempotencyKey: string }[]).map(({ idempotencyKey }) => idempotencyKey);
  expect(keys).toEqual([expect.stringMatching(/^[0-9a-f]{32}\/0$/), "own", expect.stringMatching(/^[0-9a-f]{32}\/2$/)]);
});

test("project, token and headers go with everything", async () => {
  const options = { projectSlug: "demo", token: "s3cret", headers: { "x-trace": "1" } };
  for (const call of [
    (c: EventsClient) => c.append("a", event),
    (c: EventsClient) => c.state("a"),
    (c: EventsClient) => first(c.stream("a")),
  ]) {
    const { headers } = await sentBy(call, options);
    expect(headers).toMatchObject({ "x-project-slug": "demo", authorization: "Bearer s3cret", "x-trace": "1" });
  }
});
