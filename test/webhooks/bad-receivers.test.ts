/**
 * Receivers that misbehave, on real sockets, beside a neighbour that does not: nothing is skipped, the order stays, the
 * state says why one waits, and neither the neighbour nor whoever appends notices.
 */
import type { Socket } from "node:net";
import type { ReceiverAnswer } from "@millrace/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createReceivers } from "../../packages/millrace/test/receivers.ts";
import { append, builtin } from "../processes/http.ts";
import { residentBytes, type ServerProcess, startServer } from "../processes/server-process.ts";
import { appendNumbers, consumerOf, offsetsOf, patience, payloadsOf, subscribeWebhook, waitingOf } from "./pushing.ts";

const numbers = 20;
/** Far more than the neighbour needs, and far less than a receiver that hangs takes. */
const promptMs = 5_000;
const retryAfterSeconds = 3;

const receivers = createReceivers();
let server: ServerProcess;
let url: string;

beforeAll(async () => {
  server = await startServer({ data: ":memory:", args: ["--allow-private-destinations"] });
  url = server.url;
});
afterAll(async () => {
  const exit = await server?.stop("SIGTERM");
  await receivers.dispose();
  expect(exit).toMatchObject({ code: 0, stderr: "" });
});

let path: string;
let lanes = 0;
beforeEach(() => {
  path = `/bad-receivers/${lanes++}`;
});

/** All events at a neighbour on the same stream, at once, and every append answered at once. */
async function withNeighbour(): Promise<number[]> {
  const neighbour = await receivers.listen(() => ({ status: 200 }));
  await subscribeWebhook(url, path, "neighbour", neighbour.url);
  const { offsets, slowestMs } = await appendNumbers(url, path, numbers);
  await expect.poll(() => offsetsOf(neighbour.received), { ...patience, timeout: promptMs }).toEqual(offsets);
  expect(slowestMs).toBeLessThan(promptMs);
  return offsets;
}

describe("an event that is not taken comes again, and what is behind it waits", () => {
  const answers: [what: string, bad: ReceiverAnswer, lastError: RegExp][] = [
    ["answers 500", { status: 500, body: "out of order" }, /^http:\/\/127\.0\.0\.1:\d+ answered 500: out of order$/],
    ["never answers", "never", /: no answer within 500 ms\.$/],
    ["answers too late", { status: 200, afterMs: 1_000 }, /: no answer within 500 ms\.$/],
    ["closes instead of an answer", "closes", /: the connection was closed before the end of the answer\.$/],
    ["answers 404", { status: 404 }, / answered 404\.$/],
  ];

  test.each(answers)("who %s", async (_, bad, lastError) => {
    let answer = bad;
    const receiver = await receivers.listen(() => answer);
    await subscribeWebhook(url, path, "bad", receiver.url, { timeoutSeconds: 0.5 });
    const offsets = await withNeighbour();
    const [first = 0] = offsets;
    const waiting = await waitingOf(url, path, "bad");
    expect(waiting.lastError).toMatch(lastError);
    expect(Date.parse(waiting.nextAttemptAt as string)).toBeGreaterThan(Date.now() - 2_000);
    expect(waiting.cursor).toBe(first - 1);
    expect(waiting.lag).toBeGreaterThanOrEqual(numbers);
    answer = { status: 200 };
    await expect.poll(async () => (await consumerOf(url, path, "bad"))?.lag, patience).toBe(0);
    const arrived = offsetsOf(receiver.received);
    expect([...new Set(arrived)]).toEqual(offsets);
    const attempts = receiver.received.filter((_, index) => arrived[index] === first);
    expect(attempts.length).toBeGreaterThan(1);
    expect(new Set(attempts.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    const said = await payloadsOf(url, path, "error-occurred");
    expect(said[0]).toMatchObject({ about: { kind: "subscription", slug: "bad", offset: first } });
    expect(said.filter(({ about }) => (about as { offset: number }).offset === first)).toHaveLength(1);
  });

  test("who closes half-way", async () => {
    const receiver = await receivers.listenRaw((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"));
    });
    await subscribeWebhook(url, path, "bad", receiver.url);
    const [first] = await withNeighbour();
    expect(await waitingOf(url, path, "bad")).toMatchObject({
      cursor: (first as number) - 1,
      lastError: expect.stringMatching(/: the connection was closed before the end of the answer\.$/),
    });
  });

  test("who redirects to somewhere else, where nothing arrives", async () => {
    const elsewhere = await receivers.listen(() => ({ status: 200 }));
    const location = elsewhere.url;
    const receiver = await receivers.listen(() => ({ status: 307, headers: { location } }));
    await subscribeWebhook(url, path, "bad", receiver.url);
    await withNeighbour();
    const { lastError } = await waitingOf(url, path, "bad");
    expect(lastError).toMatch(/ answered 307\. Redirects are not followed/);
    // The second attempt has been made as well.
    await expect.poll(() => receiver.received.length, patience).toBeGreaterThan(1);
    expect(elsewhere.connections()).toBe(0);
  });
});

test("who hangs, for as long as it may, keeps nobody else waiting", async () => {
  const receiver = await receivers.listen(() => "never");
  for (const slug of ["a", "b", "c"]) await subscribeWebhook(url, path, slug, receiver.url);
  await withNeighbour();
  // Its first attempt is still under way.
  expect(offsetsOf(receiver.received)).toHaveLength(3);
  for (const slug of ["a", "b", "c"]) {
    const { lag, ...shown } = (await consumerOf(url, path, slug)) as { lag: number };
    expect(lag).toBe(numbers);
    expect(shown).not.toHaveProperty("lastError");
  }
});

test("429 is waited for as long as Retry-After says", async () => {
  const headers = { "retry-after": String(retryAfterSeconds) };
  let times = 0;
  const receiver = await receivers.listen(() => (++times === 1 ? { status: 429, headers } : { status: 200 }));
  await subscribeWebhook(url, path, "bad", receiver.url);
  const offsets = await withNeighbour();
  const { lastError, nextAttemptAt } = await waitingOf(url, path, "bad");
  const [refused] = receiver.received;
  expect(lastError).toMatch(/ answered 429\.$/);
  const waitedMs = Date.parse(nextAttemptAt as string) - (refused?.at as number);
  expect(waitedMs).toBeGreaterThanOrEqual(retryAfterSeconds * 1_000);
  expect(waitedMs).toBeLessThan(retryAfterSeconds * 1_500);
  await expect.poll(() => offsetsOf(receiver.received.slice(1)), patience).toEqual(offsets);
  const again = receiver.received[1]?.at as number;
  expect(again - (refused?.at as number)).toBeGreaterThanOrEqual(retryAfterSeconds * 1_000 - 10);
});

test("410 ends the subscription, and an event says why", async () => {
  const receiver = await receivers.listen(() => ({ status: 410, body: "moved away" }));
  await subscribeWebhook(url, path, "bad", receiver.url);
  const offsets = await withNeighbour();
  await expect.poll(() => consumerOf(url, path, "bad"), patience).toBeUndefined();
  expect(offsetsOf(receiver.received)).toEqual(offsets.slice(0, 1));
  const reason = expect.stringMatching(/ answered 410: moved away$/);
  expect(await payloadsOf(url, path, "subscription/removed")).toEqual([{ slug: "bad", reason }]);
});

test("413, three times, parks the event and goes on behind it; asked for, it comes again", async () => {
  let tooLarge = 0;
  const receiver = await receivers.listen(({ body }) => {
    const refused = (JSON.parse(body) as { offset: number }).offset === tooLarge;
    return refused ? { status: 413, body: "too large" } : { status: 200 };
  });
  const { offset } = await subscribeWebhook(url, path, "bad", receiver.url);
  // One for the neighbour's configuration.
  tooLarge = offset + 3;
  const offsets = await withNeighbour();
  const [first = 0, second = 0, ...others] = offsets;
  expect(second).toBe(tooLarge);
  await expect.poll(() => offsetsOf(receiver.received), patience).toEqual([first, second, second, second, ...others]);
  const parked = {
    slug: "bad",
    offset: second,
    status: 413,
    attempts: 3,
    message: expect.stringMatching(/too large$/),
  };
  expect(await payloadsOf(url, path, "subscription/event-parked")).toEqual([parked]);
  tooLarge = 0;
  await append(url, path, {
    type: builtin("subscription/event-replay-requested"),
    payload: { slug: "bad", offset: second },
  });
  await expect.poll(() => offsetsOf(receiver.received).at(-1), patience).toBe(second);
});

describe("an answer of a gigabyte", () => {
  const chunk = Buffer.alloc(64 * 1024, "x");
  const total = 1024 * 1024 * 1024;

  /** Sends all of it as quickly as it is taken. */
  function pour(socket: Socket, status: string, onSent: (bytes: number) => void): void {
    let sent = 0;
    const more = () => {
      while (sent < total && !socket.destroyed) {
        sent += chunk.length;
        onSent(chunk.length);
        if (!socket.write(chunk)) return void socket.once("drain", more);
      }
      socket.end();
    };
    socket.on("data", () => undefined);
    socket.once("data", () => {
      socket.write(`HTTP/1.1 ${status}\r\nContent-Length: ${total}\r\n\r\n`);
      more();
    });
  }

  test.each([
    ["200 OK", undefined],
    ["500 Oh", / answered 500: x{200}…$/],
  ])("%s: its beginning is read, no more", async (status, lastError) => {
    let sent = 0;
    const receiver = await receivers.listenRaw((socket) => {
      pour(socket, status, (bytes) => {
        sent += bytes;
      });
    });
    await subscribeWebhook(url, path, "bad", receiver.url);
    const before = residentBytes(server.pid);
    await withNeighbour();
    if (lastError === undefined) {
      // Whoever answers 2xx has taken it, however much is behind that.
      await expect.poll(async () => (await consumerOf(url, path, "bad"))?.lag, patience).toBe(0);
      expect(receiver.connections()).toBe(numbers);
    } else {
      expect((await waitingOf(url, path, "bad")).lastError).toMatch(lastError);
    }
    expect(sent / receiver.connections()).toBeLessThan(total / 16);
    expect(residentBytes(server.pid) - before).toBeLessThan(64 * 1024 * 1024);
  });
});
