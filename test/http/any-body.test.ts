/** Whatever is sent gets a 200 or a 4xx with a code of the closed set, and what was answered with 200 can be read. */
import { errorStatus, type StreamEvent } from "@millrace/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { body, headers, query, wellFormed } from "./anything.ts";
import { freshPath } from "./calls.ts";
import { describeEach, type Sending, type TestServer } from "./servers.ts";

const runs = process.env.MILLRACE_LONG ? 10_000 : 400;

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
