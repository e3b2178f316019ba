/** WebSocket subscriptions of a real server: what good peers get and may do, and that bad ones harm nobody. */
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { append, breakerOff, builtin, readAll } from "../processes/http.ts";
import { residentBytes, type ServerProcess, startServer } from "../processes/server-process.ts";
import { acknowledge, createPeers, type Frame, say } from "./peers.ts";
import { appendNumbers, consumerOf, patience, payloadsOf, waitingOf } from "./pushing.ts";

const numbers = 20;
const peers = createPeers();
let server: ServerProcess;
let url: string;
let path: string;
let lanes = 0;

beforeAll(async () => {
  server = await startServer({ data: ":memory:", args: ["--allow-private-destinations"] });
  url = server.url;
});
afterAll(async () => {
  const exit = await server?.stop("SIGTERM");
  await peers.dispose();
  expect(exit).toMatchObject({ code: 0, stderr: "" });
});
beforeEach(() => {
  path = `/sockets/${lanes++}`;
});

async function subscribe(slug: string, callbackUrl: string, more: object = {}): Promise<string> {
  const payload = { slug, type: "websocket", callbackUrl, jsonataFilter: 'type = "n"', ...more };
  const response = await fetch(`${url}/api/streams${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ type: builtin("subscription/configured"), payload }),
  });
  return ((await response.json()) as { signingSecret: string }).signingSecret;
}

const offsetsOf = (frames: readonly Frame[]) =>
  frames.filter(({ type }) => type === "event").map(({ offset }) => offset);

describe("a peer that acknowledges", () => {
  test("gets every event once, in order, over one connection that it can believe", async () => {
    const peer = await peers.listen(acknowledge);
    const secret = await subscribe("good", peer.url, { headers: { "x-own": "mine" } });
    const { offsets } = await appendNumbers(url, path, numbers);
    await expect.poll(() => offsetsOf(peer.frames), patience).toEqual(offsets);
    const [request, ...more] = peer.requests;
    expect(more).toEqual([]);
    const headers = request?.headers as Record<string, string>;
    expect(headers).toMatchObject({ "x-own": "mine", "millrace-processor": "good", "user-agent": "Millrace" });
    expect(headers).not.toHaveProperty("sec-websocket-extensions");
    expect(() => new Webhook(secret).verify("", headers)).not.toThrow();
    const events = (await readAll(url, path)).filter(({ type }) => type === "n");
    expect(peer.frames.map(({ event }) => event)).toEqual(events);
    const afters = peer.frames.map(({ after }) => after);
    expect(afters.slice(1)).toEqual(offsets.slice(0, -1));
    await expect.poll(async () => (await consumerOf(url, path, "good"))?.lag, patience).toBe(0);
  });

  test("is sent what a transform makes, with the offset that it acknowledges", async () => {
    const peer = await peers.listen(acknowledge);
    await subscribe("made", peer.url, { jsonataTransform: '{"twice": payload.n * 2}' });
    const { offsets } = await appendNumbers(url, path, 3);
    await expect.poll(() => offsetsOf(peer.frames), patience).toEqual(offsets);
    expect(peer.frames.map(({ event }) => event)).toEqual([{ twice: 0 }, { twice: 2 }, { twice: 4 }]);
  });

  test.each([
    ["removed", () => append(url, path, { type: builtin("subscription/removed"), payload: { slug: "ends" } })],
    ["deleted with its stream", () => fetch(`${url}/api/streams${path}`, { method: "DELETE" })],
  ])("hears of the end when it is %s", async (_, end) => {
    const peer = await peers.listen(acknowledge);
    await subscribe("ends", peer.url);
    await appendNumbers(url, path, 1);
    await expect.poll(() => peer.frames.length, patience).toBe(1);
    expect(peer.sockets().size).toBe(1);
    await end();
    await expect.poll(() => peer.ends, patience).toEqual([{ code: 1000, reason: "the subscription has ended" }]);
  });

  test("configured anew, it is called at its new place, and the old connection ends", async () => {
    const [before, after] = [await peers.listen(acknowledge), await peers.listen(acknowledge)];
    await subscribe("moves", before.url);
    await appendNumbers(url, path, 1);
    await expect.poll(() => before.frames.length, patience).toBe(1);
    await subscribe("moves", after.url);
    await expect.poll(() => before.ends.length, patience).toBe(1);
    const { offsets } = await appendNumbers(url, path, 2);
    await expect.poll(() => offsetsOf(after.frames), patience).toEqual(offsets);
  });
});

describe("a window of a hundred events", () => {
  test("is what a peer gets that acknowledges none; then one for each that it does, in any order", async () => {
    const peer = await peers.listen(() => {});
    await append(url, path, breakerOff);
    await subscribe("window", peer.url);
    const { offsets } = await appendNumbers(url, path, 150);
    await expect.poll(() => offsetsOf(peer.frames), patience).toEqual(offsets.slice(0, 100));
    const [socket] = peer.sockets() as Set<WebSocket>;
    for (const offset of offsets.slice(0, 20).reverse()) say(socket as WebSocket, { type: "ack", offset });
    await expect.poll(() => offsetsOf(peer.frames), patience).toEqual(offsets.slice(0, 120));
    expect(peer.requests).toHaveLength(1);
  });
});

describe("what a peer appends", () => {
  /** Answers the first event with these frames, and gives what comes back for each. */
  async function answers(appends: (offset: number) => object[]): Promise<Frame[]> {
    const peer = await peers.listen((socket, frame) => {
      if (frame?.type === "event") for (const sent of appends(frame.offset as number)) say(socket, sent);
      acknowledge(socket, frame);
    });
    await subscribe("speaker", peer.url);
    await appendNumbers(url, path, 1);
    const isAnswer = ({ type }: Frame) => type === "appended" || type === "error";
    const count = appends(1).length;
    await expect.poll(() => peer.frames.filter(isAnswer).length, patience).toBe(count);
    return peer.frames.filter(isAnswer);
  }

  test("stands where it says, in order, with its cause and one level deeper", async () => {
    const frames = await answers((offset) => [
      { type: "append", id: "a", event: { type: "own" }, cause: { offset } },
      { type: "append", id: "b", path: "./child", event: { type: "below" }, cause: { streamPath: path, offset } },
      { type: "append", id: "c", path: `${path}/there`, event: { type: "there" } },
    ]);
    const byId = Object.fromEntries(frames.map(({ id, event }) => [id, event]));
    const offset = (await readAll(url, path)).find(({ type }) => type === "n")?.offset;
    const source = { kind: "remote", slug: "speaker", cause: { streamPath: path, offset }, depth: 1 };
    expect(byId.a).toMatchObject({ streamPath: path, type: "own", source });
    expect(byId.b).toMatchObject({ streamPath: `${path}/child`, type: "below", source });
    expect(byId.c).toMatchObject({
      streamPath: `${path}/there`,
      source: { kind: "remote", slug: "speaker", depth: 0 },
    });
    expect(await readAll(url, `${path}/child`)).toContainEqual(byId.b);
  });

  test("is refused where it is no event, no path, or has no such cause", async () => {
    const own = { type: "append", event: { type: "x" } };
    const frames = await answers(() => [
      { ...own, id: "no event", event: { payload: 1 } },
      { ...own, id: "no built-in", event: { type: builtin("paused"), payload: { reason: 7 } } },
      { ...own, id: "no path", path: "boris" },
      { ...own, id: "above", path: "../../../../x" },
      { ...own, id: "no cause", cause: { offset: 1_000_000 } },
    ]);
    expect(frames.map(({ type, id, code }) => [type, id, code])).toEqual([
      ["error", "no event", "invalid_request"],
      ["error", "no built-in", "invalid_request"],
      ["error", "no path", "invalid_request"],
      ["error", "above", "invalid_request"],
      ["error", "no cause", "invalid_request"],
    ]);
    expect((await readAll(url, path)).filter(({ type }) => type === "x")).toEqual([]);
  });

  test("with a key of its own stands once, however often it comes", async () => {
    const event = { type: "once", idempotencyKey: "k" };
    const frames = await answers(() => ["1", "2"].map((id) => ({ type: "append", id, event })));
    const [first, second] = frames.map(({ event }) => event);
    expect(second).toEqual(first);
    expect((await readAll(url, path)).filter(({ type }) => type === "once")).toHaveLength(1);
  });

  test("more than 100 at once end the connection", async () => {
    const peer = await peers.listen((socket, frame) => {
      if (frame !== undefined) return;
      for (let i = 0; i < 5_000; i++) say(socket, { type: "append", id: String(i), event: { type: "flood" } });
    });
    await subscribe("flood", peer.url);
    await appendNumbers(url, path, 1);
    await expect.poll(() => peer.ends[0], patience).toEqual({ code: 4008, reason: "more than 100 frames at once" });
    expect((await readAll(url, path)).filter(({ type }) => type === "flood").length).toBeLessThan(5_000);
  });
});

describe("an event that is not taken comes again, and a neighbour notices nothing", () => {
  const bad: [what: string, talk: (socket: WebSocket, frame: Frame | undefined) => void, lastError: RegExp][] = [
    ["closes at once", (socket) => socket.close(4321, "go away"), /closed the connection with 4321: go away$/],
    ["cuts the connection", (socket) => socket.terminate(), /closed the connection with 1006\.$/],
    ["never acknowledges", () => {}, /did not acknowledge event \d+ within 500 ms\.$/],
    [
      "acknowledges another event",
      (socket, frame) => frame?.type === "event" && say(socket, { type: "ack", offset: 1_000 }),
      /did not acknowledge event \d+ within 500 ms\.$/,
    ],
    [
      "says that it failed",
      (socket, frame) => frame && say(socket, { type: "error", offset: frame.offset, code: "failed", message: "ouch" }),
      /reported: ouch$/,
    ],
    [
      "sends rubbish",
      (socket, frame) => {
        for (const text of ["", "{", "[]", "7", "null", '{"type":"event"}', '{"type":"ack"}', "[".repeat(100_000)]) {
          if (frame?.type === "event") socket.send(text);
        }
      },
      /did not acknowledge event \d+ within 500 ms\.$/,
    ],
    ["sends bytes", (socket) => socket.send(Buffer.alloc(100)), /closed the connection with (4003|1005|1006)/],
    [
      "sends a message of 100 MB",
      (socket, frame) => frame === undefined && socket.send("x".repeat(100_000_000)),
      /closed the connection with 1006|1009/,
    ],
  ];

  test.each(bad)("who %s", async (_, talk, lastError) => {
    let isBad = true;
    const neighbour = await peers.listen(acknowledge);
    const peer = await peers.listen((socket, frame) => (isBad ? talk : acknowledge)(socket, frame));
    await subscribe("neighbour", neighbour.url);
    await subscribe("bad", peer.url, { timeoutSeconds: 0.5 });
    const before = residentBytes(server.pid);
    const { offsets } = await appendNumbers(url, path, numbers);
    await expect.poll(() => offsetsOf(neighbour.frames), patience).toEqual(offsets);
    const { lastError: said, cursor } = await waitingOf(url, path, "bad");
    expect(said).toMatch(lastError);
    expect(cursor).toBe((offsets[0] as number) - 1);
    expect(residentBytes(server.pid) - before).toBeLessThan(64 * 1024 * 1024);
    isBad = false;
    await expect.poll(async () => (await consumerOf(url, path, "bad"))?.lag, patience).toBe(0);
    expect([...new Set(offsetsOf(peer.frames))]).toEqual(offsets);
    const told = await payloadsOf(url, path, "error-occurred");
    expect(told[0]).toMatchObject({ about: { kind: "subscription", slug: "bad", offset: offsets[0] } });
  });

  test("rubbish is answered, with what is wrong", async () => {
    const peer = await peers.listen((socket, frame) => {
      if (frame?.type !== "event") return;
      for (const text of ["{", "[]", '{"type":"nonsense"}', '{"type":"append","id":7}']) socket.send(text);
      acknowledge(socket, frame);
    });
    await subscribe("rubbish", peer.url);
    await appendNumbers(url, path, 1);
    const errors = () => peer.frames.filter(({ type }) => type === "error");
    await expect.poll(() => errors().length, patience).toBe(4);
    expect(new Set(errors().map(({ code }) => code))).toEqual(new Set(["invalid_request"]));
    expect(peer.ends).toEqual([]);
  });
});
