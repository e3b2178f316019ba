/** Whatever is sent gets a 200 or a 4xx with a code of the closed set, and what was answered with 200 can be read. */
import { errorStatus, type StreamEvent } from "@millrace/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { builtin, freshPath } from "./calls.ts";
import { describeEach, type Sending, type TestServer } from "./servers.ts";

const runs = process.env.MILLRACE_LONG ? 10_000 : 400;

const typed = fc.constantFrom(
  "a",
  " ",
  ...["paused", "resumed", "initialized", "append-scheduled", "subscription/configured", "nothing"].map(builtin),
  "https://events.iterate.com/jsonata-transformer-configured",
);

/** Somewhere between an event and none. */
const nearlyEvent = fc
  .record(
    {
      type: fc.oneof(typed, fc.jsonValue()),
      payload: fc.oneof(
        fc.jsonValue(),
        fc.record({ slug: fc.string(), schedule: fc.jsonValue(), append: fc.jsonValue() }),
      ),
      metadata: fc.jsonValue(),
      idempotencyKey: fc.oneof(fc.string({ unit: "binary" }), fc.jsonValue()),
      offset: fc.oneof(fc.nat(3), fc.jsonValue()),
      event: fc.jsonValue(),
      events: fc.jsonValue(),
      __proto__: fc.jsonValue(),
    },
    { requiredKeys: [] },
  )
  .map((event) => ({ ...event }));

const jsonText = fc.oneof(
  fc.json(),
  nearlyEvent.map((value) => JSON.stringify(value)),
  nearlyEvent.map((event) => JSON.stringify({ event })),
  fc.array(nearlyEvent, { maxLength: 5 }).map((value) => JSON.stringify(value)),
  fc.array(fc.oneof(nearlyEvent, fc.jsonValue()), { maxLength: 5 }).map((events) => JSON.stringify({ events })),
  fc
    .array(fc.oneof(nearlyEvent, fc.jsonValue()), { maxLength: 5 })
    .map((list) => list.map((item) => JSON.stringify(item)).join("\n")),
);

/** A text with something torn out of it, or put where it does not belong. */
const brokenText = fc
  .tuple(jsonText, fc.nat(), fc.nat(5), fc.string({ unit: "binary", maxLength: 3 }))
  .map(
    ([text, at, cut, put]) => text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + cut),
  );

const body: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  jsonText,
  brokenText,
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: "binary", maxLength: 100 }),
  fc.webQueryParameters(),
);

const headerText = fc.string({ unit: fc.constantFrom(..."aZ09 -_./;=,@%{}\"'+:*é"), maxLength: 40 });

const contentType = fc.oneof(
  fc.constantFrom(
    "application/json",
    "application/x-ndjson",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "application/octet-stream",
  ),
  headerText,
);

const headers = fc.record(
  {
    "content-type": contentType,
    "idempotency-key": headerText,
    "millrace-cause": fc.oneof(fc.constant("/a@1"), headerText),
    "millrace-depth": fc.oneof(fc.nat().map(String), headerText),
    "millrace-processor": headerText,
    "x-project-slug": fc.oneof(fc.constant("public"), headerText),
    "x-github-event": headerText,
    accept: headerText,
  },
  { requiredKeys: [] },
);

const names = [
  "type",
  "raw",
  "project",
  "token",
  "limit",
  "afterOffset",
  "beforeOffset",
  "after",
  "order",
  "format",
  "processor",
  "at",
  "prefix",
  "cursor",
  "deep",
  "markers",
];
const wellFormed = fc.string({ unit: "binary", maxLength: 20 }).filter((text) => !/\p{Surrogate}/u.test(text));

const query = fc.oneof(
  fc.constant(""),
  fc
    .array(
      fc.tuple(fc.oneof(fc.constantFrom(...names), wellFormed), fc.oneof(fc.nat(5).map(String), typed, wellFormed)),
      { maxLength: 3 },
    )
    .map(
      (pairs) =>
        `?${pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&")}`,
    ),
  fc.string({ unit: fc.constantFrom(..."a&=%+2F?*!"), maxLength: 20 }).map((text) => `?${text}`),
);

describeEach("anything at all", (server) => {
  test("as a body", async () => {
    const request = fc.record({ body, headers, query, api: fc.boolean() });
    const check = async ({ api, query: asked, ...sending }: { api: boolean; query: string } & Sending) => {
      const path = freshPath("any");
      const target = `${api ? "/api/streams" : ""}${path}${asked}`;
      const events = await answerOf(await server().send(target, { method: "POST", ...sending }));
      if (events !== undefined) await expectStored(server(), events, asked, sending.headers ?? {});
    };
    await fc.assert(fc.asyncProperty(request, check), { numRuns: runs });
    expect(server().faults).toEqual([]);
  });

  test("as a read or another request", async () => {
    const path = freshPath("read");
    await server().send(path, { method: "POST", body: '[{"type":"a"},{"type":"b"},{"type":"c"}]' });
    const routes = [
      "/api/streams",
      "/api/projects",
      `/api/state${path}`,
      `/api/children${path}`,
      `/api/streams${path}`,
      path,
    ];
    const target = fc.oneof(
      fc.constantFrom(...routes),
      wellFormed.map((text) => `/${encodeURIComponent(text)}`),
      fc.string({ unit: fc.constantFrom(..."ab/%2F.5~"), maxLength: 20 }).map((text) => `/api/streams/${text}`),
    );
    const method = fc.constantFrom("GET", "GET", "GET", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS");
    const check = async (asked: string, found: string, verb: string, sent: Record<string, string>) => {
      const response = await server().send(asked + found, { method: verb, headers: sent });
      const text = await response.text();
      if (response.status < 300) return;
      if (verb === "HEAD") expect(response.status).toBeLessThan(500);
      else expectProblem(response.status, text);
    };
    await fc.assert(fc.asyncProperty(target, query, method, headers, check), { numRuns: runs });
    expect(server().faults).toEqual([]);
  });
});

async function answerOf(response: Response): Promise<StreamEvent[] | undefined> {
  const text = await response.text();
  if (response.status !== 200) {
    expectProblem(response.status, text);
    return undefined;
  }
  const answer = JSON.parse(text) as { event?: StreamEvent; events?: StreamEvent[] };
  return answer.events ?? [answer.event as StreamEvent];
}

function expectProblem(status: number, text: string): void {
  const { code } = JSON.parse(text) as { code: keyof typeof errorStatus };
  expect(errorStatus[code]).toBe(status);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(status).toBeLessThan(500);
}

async function expectStored(
  server: TestServer,
  events: StreamEvent[],
  asked: string,
  sent: Record<string, string>,
): Promise<void> {
  const project = sent["x-project-slug"]?.trim() ?? new URLSearchParams(asked).get("project") ?? "public";
  const target = `/api/streams${events[0]?.streamPath}?format=ndjson&project=${encodeURIComponent(project)}`;
  const lines = (await (await server.send(target)).text()).split("\n").slice(0, -1);
  const stored = lines.map((line) => JSON.parse(line) as StreamEvent);
  for (const event of events) expect(stored[event.offset - 1]).toEqual(event);
  expect(stored.map(({ offset }) => offset)).toEqual(stored.map((_, index) => index + 1));
}
