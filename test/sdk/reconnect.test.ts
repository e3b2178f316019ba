/** Live reads over connections that break and servers that are killed: each offset exactly once, in order. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import {
  createEventsClient,
  type Disconnected,
  type EventStream,
  type EventsClient,
  type StreamEvent,
} from "@millrace/sdk";
import { httpTransport } from "@millrace/sdk/node";
import { createSeededRandom } from "@millrace/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ServerProcess, startServer } from "../processes/server-process.ts";
import { collect } from "./clients.ts";
import { type CuttingProxy, startCuttingProxy } from "./cutting-proxy.ts";

const quick = { attempts: 200, baseMs: 5, maxMs: 50 };
const breaker = {
  type: "https://events.iterate.com/circuit-breaker-configured",
  payload: { burstCapacity: 0, refillRatePerMinute: 1 },
};
const ours = { types: ["t"] };

let data: string;
let server: ServerProcess;
let proxy: CuttingProxy;
let client: EventsClient;

beforeEach(async () => {
  data = mkdtempSync(path.join(tmpdir(), "millrace-sdk-"));
  server = await startServer({ data });
  proxy = await startCuttingProxy(server.url);
  client = createEventsClient({ baseUrl: proxy.url, retry: quick });
});

afterEach(async () => {
  await proxy.close();
  await server.kill();
  rmSync(data, { recursive: true, force: true });
});

async function restart(): Promise<void> {
  await server.kill();
  server = await startServer({ data });
  proxy.leadTo(server.url);
}

const place = ({ streamPath, offset }: StreamEvent) => `${streamPath}@${offset}`;

/** Takes events until one of them is of the type `last`. */
async function untilLast(events: EventStream): Promise<string[]> {
  const places: string[] = [];
  for await (const event of events) {
    if (event.type === "last") break;
    places.push(place(event));
  }
  return places;
}

describe.each([
  { includeChildren: false, by: "fetch" },
  { includeChildren: true, by: "fetch" },
  { includeChildren: false, by: "node:http" },
  { includeChildren: true, by: "node:http" },
])("with subtree: $includeChildren, by $by", ({ includeChildren, by }) => {
  const transport = by === "fetch" ? {} : { transport: httpTransport };
  const connect = () => createEventsClient({ baseUrl: proxy.url, retry: quick, ...transport });
  const streams = includeChildren ? ["/top/a", "/top/b", "/top/c/d"] : ["/top"];

  /** Many small batches, and something in between that is filtered out. */
  async function write(batches: number): Promise<void> {
    const client = connect();
    for (const stream of streams) await client.append(stream, breaker);
    for (let i = 0; i < batches; i++) {
      const stream = streams[i % streams.length] as string;
      await client.append(stream, [{ type: "t" }, { type: "other" }, { type: "t", payload: "x".repeat(i % 300) }]);
    }
    await client.append(streams[0] as string, { type: "last" });
  }

  /** What is in the log, as one undisturbed read gives it. */
  async function stored(types: string[]): Promise<string[]> {
    const direct = createEventsClient({ baseUrl: server.url });
    return (await collect(direct.read("/top", { includeChildren, types }))).map(place);
  }

  test("each offset once over a connection that is cut at random bytes", async () => {
    const random = createSeededRandom(7);
    const writing = write(120);
    proxy.cutAfter(() => 400 + random.integer(6_000));
    const reader = connect();
    const filtered = untilLast(reader.stream("/top", { includeChildren, types: ["t", "last"] }));
    const all = await untilLast(reader.stream("/top", { includeChildren }));
    await writing;
    proxy.cutAfter(() => undefined);
    expect(proxy.connections()).toBeGreaterThan(20);
    const whole = await stored([]);
    expect(all).toEqual(whole.slice(0, all.length));
    expect(all.length).toBeGreaterThan(360);
    expect(await filtered).toEqual(await stored(["t"]));
  });

  test("each offset once over a server that is killed and comes back, while it is written to", async () => {
    const disconnections: Disconnected[] = [];
    const reading = untilLast(
      connect().stream("/top", {
        includeChildren,
        types: ["t", "last"],
        onDisconnected: (disconnection) => disconnections.push(disconnection),
      }),
    );
    const writing = write(90);
    for (let i = 0; i < 2; i++) await restart();
    await writing;
    expect(await reading).toEqual(await stored(["t"]));
    expect(disconnections.length).toBeGreaterThan(0);
    expect(disconnections[0]).toMatchObject({
      error: { code: "unreachable" },
      attempt: 1,
      delayMs: expect.any(Number),
    });
    // Nothing was stored twice either, whatever became of the answers.
    expect(await stored(["t"])).toHaveLength(180);
  });
});

test("a tail that lost its connection before anything came goes on from where it began", async () => {
  await client.append("/top", { type: "old" });
  let cuts = 0;
  const events = client.tail("/top", {
    async onCaughtUp() {
      if (cuts++ > 0) return;
      proxy.cut();
      await createEventsClient({ baseUrl: server.url }).append("/top", { type: "in-between" });
    },
  });
  expect((await collect(events, 1)).map(({ type }) => type)).toEqual(["in-between"]);
});

test("a server that stops in good order is waited for as well", async () => {
  const events = client.stream("/top", ours);
  await client.append("/top", { type: "t" });
  await events.next();
  const waiting = events.next();
  await server.stop();
  server = await startServer({ data });
  proxy.leadTo(server.url);
  await client.append("/top", { type: "t" });
  expect((await waiting).value).toMatchObject({ offset: 3 });
  await events.return();
});

test("who was never connected gives up after its attempts; who was does not", async () => {
  await proxy.close();
  const hasty = createEventsClient({ baseUrl: proxy.url, retry: { attempts: 2, baseMs: 1 } });
  const attempts: number[] = [];
  const events = hasty.tail("/top", { onDisconnected: ({ attempt }) => attempts.push(attempt) });
  await expect(events.next()).rejects.toMatchObject({ code: "unreachable" });
  expect(attempts).toEqual([1, 2]);
  await expect(hasty.append("/top", { type: "t" })).rejects.toMatchObject({ code: "unreachable" });
  proxy = await startCuttingProxy(server.url);
});

test("without retries an append is sent once, and has no key", async () => {
  let requests = 0;
  const counting = createEventsClient({
    baseUrl: proxy.url,
    retry: quick,
    fetch(request) {
      requests++;
      return fetch(request);
    },
  });
  const { event } = await counting.append("/top", { type: "t" }, { retry: false });
  expect(event).not.toHaveProperty("idempotencyKey");
  proxy.cutAfter(() => 0);
  await expect(counting.append("/top", { type: "t" }, { retry: false })).rejects.toMatchObject({ code: "unreachable" });
  expect(requests).toBe(2);
});

test("an append whose answer was lost is repeated, and stored once", async () => {
  let first = true;
  const losing = createEventsClient({
    baseUrl: proxy.url,
    retry: quick,
    async fetch(request) {
      const response = await fetch(request);
      if (!first) return response;
      first = false;
      throw new TypeError("the connection broke");
    },
  });
  expect(await losing.append("/top", [{ type: "t" }, { type: "t" }])).toMatchObject({ replayed: true });
  expect(await collect(client.read("/top", ours))).toHaveLength(2);
});
