/** Requests over `node:http` fail like those of `fetch`: at once where the request is wrong, else as unreachable. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createEventsClient, type EventsClient } from "@millrace/sdk";
import { httpTransport } from "@millrace/sdk/node";
import { afterEach, expect, onTestFinished, test } from "vitest";

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

async function clientOf(answer: Parameters<typeof createServer>[1]): Promise<EventsClient> {
  const listening = createServer(answer);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const { port } = listening.address() as AddressInfo;
  return createEventsClient({ baseUrl: `http://127.0.0.1:${port}`, transport: httpTransport, retry: false });
}

test("a header that can never be sent is thrown at once, and not sent again", async () => {
  let requests = 0;
  const client = await clientOf((_, response) => {
    requests++;
    response.end();
  });
  await expect(client.append("a", { type: "t" }, { idempotencyKey: "two\nlines" })).rejects.toThrow(TypeError);
  expect(requests).toBe(0);
});

test("nobody there: unreachable, with the reason", async () => {
  const client = await clientOf(undefined);
  await new Promise((resolve) => server?.close(resolve));
  await expect(client.state("a")).rejects.toMatchObject({
    code: "unreachable",
    message: expect.stringContaining("ECONNREFUSED"),
  });
});

test("an answer that breaks off in its middle: unreachable", async () => {
  const client = await clientOf((_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("{", () => response.destroy());
  });
  await expect(client.state("a")).rejects.toMatchObject({ code: "unreachable" });
});

test("a signal that is aborted while the answer comes throws its reason", async () => {
  const leaving = new AbortController();
  const client = await clientOf((_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("{", () => leaving.abort(new Error("enough")));
  });
  await expect(client.state("a", { signal: leaving.signal })).rejects.toThrow("enough");
});

test("a signal that was aborted before throws its reason, and nothing is asked for", async () => {
  let requests = 0;
  const client = await clientOf((_, response) => {
    requests++;
    response.end();
  });
  await expect(client.state("a", { signal: AbortSignal.abort(new Error("too late")) })).rejects.toThrow("too late");
  expect(requests).toBe(0);
});

test("text in any characters comes whole, also where a chunk ends in the middle of one", async () => {
  const text = JSON.stringify({ projectSlug: "größer ✓" });
  const bytes = Buffer.from(text);
  const client = await clientOf((_, response) => {
    const middle = bytes.indexOf("✓") + 1;
    response.write(bytes.subarray(0, middle), () => setImmediate(() => response.end(bytes.subarray(middle))));
  });
  expect(await client.state("a")).toEqual({ projectSlug: "größer ✓" });
});

test("one signal for many requests at once is no leak, and says nothing", async () => {
  const warnings: Error[] = [];
  const hear = (warning: Error) => void warnings.push(warning);
  process.on("warning", hear);
  onTestFinished(() => void process.off("warning", hear));
  const client = await clientOf((_, response) => response.end("{}"));
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 20 }, () => client.state("a", { signal })));
  // Warnings are told in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve));
  expect(warnings).toEqual([]);
});

test("an answer that is refused for its headers is read all the same: else its connection would stay taken", async () => {
  const pages = [
    { id: "one", body: { events: [{ offset: 1 }], next: "1" } },
    { id: "two", body: { events: [], next: null, padding: "x".repeat(20_000_000) } },
  ];
  const sent: Promise<unknown>[] = [];
  const client = await clientOf((_, response) => {
    const { id, body } = pages.shift() as (typeof pages)[number];
    sent.push(once(response, "finish"));
    response.writeHead(200, { "millrace-stream-id": id }).end(JSON.stringify(body));
  });
  const reading = (async () => {
    for await (const { offset } of client.read("a")) expect(offset).toBe(1);
  })();
  await expect(reading).rejects.toMatchObject({ code: "deleted_while_read" });
  expect(await Promise.all(sent)).toHaveLength(2);
});
