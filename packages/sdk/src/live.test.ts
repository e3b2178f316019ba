/** Connections that die without a word: no end, no error, only silence. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createEventsClient } from "./client.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const event = (offset: number) =>
  `id: ${offset}\nevent: message\ndata: ${JSON.stringify({ streamPath: "/a", offset, type: "t" })}\n\n`;

/** A server whose connections say one thing each and then nothing any more; `asked` are the requests. */
function silentServer(texts: string[]) {
  const asked: string[] = [];
  const cancelled: number[] = [];
  const client = createEventsClient({
    baseUrl: "http://localhost",
    async fetch(request) {
      const number = asked.push(new URL(request.url).search) - 1;
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode(texts[number])),
        cancel: () => void cancelled.push(number),
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
  });
  return { client, asked, cancelled };
}

test("a connection that is silent for a minute is closed, and another one goes on behind the last event", async () => {
  const { client, asked, cancelled } = silentServer([`:\nretry: 1000\n\n${event(7)}`, event(8)]);
  const errors: unknown[] = [];
  const events = client.stream("a", { after: 6, onDisconnected: ({ error }) => errors.push(error?.code) });
  expect((await events.next()).value).toMatchObject({ offset: 7 });
  const next = events.next();
  await vi.advanceTimersByTimeAsync(59_000);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(3_000);
  expect((await next).value).toMatchObject({ offset: 8 });
  expect(asked[1]).toContain("after=7");
  expect(errors).toEqual(["unreachable"]);
  expect(cancelled).toEqual([0]);
  await events.return();
  expect(cancelled).toEqual([0, 1]);
});

test("a consumer may take its time: only waiting for the server is limited", async () => {
  const { client, asked } = silentServer([event(1) + event(2)]);
  const events = client.stream("a");
  await events.next();
  await vi.advanceTimersByTimeAsync(600_000);
  expect((await events.next()).value).toMatchObject({ offset: 2 });
  expect(asked).toHaveLength(1);
  await events.return();
});

test("how far a filtered read was scanned counts when it connects again", async () => {
  const { client, asked } = silentServer([`${event(3)}id: 1007\n\n:\nid: 2007\n\n`, event(2_010)]);
  const events = client.stream("a", { types: ["t"] });
  await events.next();
  const next = events.next();
  await vi.advanceTimersByTimeAsync(62_000);
  expect((await next).value).toMatchObject({ offset: 2_010 });
  expect(asked[1]).toContain("after=2007");
  expect(events.cursor).toBe("2010");
  await events.return();
});

test.each<[what: string, answer: () => Promise<Response>]>([
  ["the head of an answer", () => new Promise<Response>(() => {})],
  [
    "the body of an answer",
    async () => new Response(new ReadableStream(), { headers: { "content-type": "text/event-stream" } }),
  ],
])("a proxy that keeps %s to itself is told as such, after 15 seconds", async (_, answer) => {
  const signals: AbortSignal[] = [];
  const client = createEventsClient({
    baseUrl: "http://localhost",
    retry: false,
    fetch(request) {
      signals.push(request.signal);
      return answer();
    },
  });
  const first = client.tail("a").next();
  const refused = expect(first).rejects.toMatchObject({
    code: "unreachable",
    message:
      "No answer from http://localhost/api/streams/a: silent for 15 s; a proxy in between may hold back what is sent live",
  });
  await vi.advanceTimersByTimeAsync(14_000);
  expect(signals).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2_000);
  await refused;
});
