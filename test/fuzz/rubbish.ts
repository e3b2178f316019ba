/** Senders of anything at all: whatever they were told is in the ledger, and in the end in the log. */
import type { StreamEvent } from "@millrace/protocol";
import { createSeededRandom, type SeededRandom } from "@millrace/testing";
import fc from "fast-check";
import { builtin } from "../../packages/millrace/test/model.ts";
import { body, headers, query } from "../http/anything.ts";
import { type Connection, open } from "../serve/sockets.ts";
import { type Answer, answerAt, eventsOf, json } from "./answers.ts";
import type { Ledger } from "./ledger.ts";
import { count, type Figures, startTalk } from "./talk.ts";
import { encode, type WireRequest } from "./wire-request.ts";

export interface RubbishWorld {
  port: number;
  ledger: Ledger;
  figures: Figures;
  /** Half a request was sent on these, and nothing since. */
  silent: { connection: Connection; since: number }[];
}

const targets = [
  ...[
    "/",
    "/api/streams/",
    "/api/streams",
    "/api/projects",
    "/api/state/r/1",
    "/api/children/r",
    "/api/streams/__state/r/2",
  ],
  ...[
    "/r//1",
    "/r/../1",
    "/r/./1",
    "/r/%2e%2e/1",
    "/r/%2E",
    "/%00",
    "/r/%zz",
    "/r/%",
    "/r\\1",
    "/r/1#f",
    "/r;1",
    "/r/1/?",
  ],
  ...[
    "/api",
    "/apidocs",
    "/%61pi/streams/r",
    "/v1/x",
    "/_millrace",
    "/.well-known/x",
    "/favicon.ico",
    "/robots.txt",
    "/metrics",
  ],
  ...["/events/stream/paused", "/events/stream/nothing", "/events/stream/subscription%2Fremoved", "/api/docs/start.js"],
  ...[
    "/\u00fc",
    "/%F0%9F%A6%A6",
    "/%ED%A0%80",
    "/__proto__",
    "/constructor/prototype",
    "/api/streams/__proto__",
    "//evil.example/x",
  ],
  ...[
    "*",
    "http://localhost/r/3",
    "http://[/x",
    "ftp://x/y",
    "r",
    "",
    "/a b",
    `/${"x".repeat(256)}`,
    `/${"y/".repeat(600)}`,
  ],
  ...[
    "/api/streams/%2F",
    "/api/streams/r%2F4/",
    "/api/streams/%2f%2f",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/api/nothing",
  ],
];
const methods = [
  "GET",
  "GET",
  "HEAD",
  "DELETE",
  "PUT",
  "PATCH",
  "OPTIONS",
  "get",
  "BREW",
  "PROPFIND",
  "TRACE",
  "CONNECT",
];

const sample = fc.record({ body, headers, query });
type Sample = typeof sample extends fc.Arbitrary<infer Value> ? Value : never;

export async function sendRubbish(world: RubbishWorld, requests: number, seed: number): Promise<void> {
  const random = createSeededRandom(seed);
  const samples = fc.sample(sample, { numRuns: requests, seed });
  for (let next = samples.pop(); next !== undefined; next = samples.pop()) {
    const chance = random.integer(20);
    if (chance === 0) await half(world, random, next);
    else if (chance === 1) await leave(world, random, `${seed}-${samples.length}`);
    else if (chance === 2) await peek(world, next);
    else if (chance < 6) await mangle(world, random, next);
    else {
      const more = samples.splice(-random.integer(8));
      await whole(world, random, [next, ...more]);
    }
  }
}

/** Requests that are whole, whatever is in them; now and then several at once. */
async function whole(world: RubbishWorld, random: SeededRandom, samples: Sample[]): Promise<void> {
  const requests = samples.map((one) => requestOf(one, random));
  const groups = random.integer(3) === 0 ? [requests] : requests.map((request) => [request]);
  let talk = await startTalk(world.port, world.figures);
  for (const group of groups) {
    if (talk.over()) {
      talk.leave();
      talk = await startTalk(world.port, world.figures);
    }
    const answers = await talk.ask(group, random);
    for (const [i, answer] of answers.entries())
      if (answer !== undefined) record(world.ledger, group[i] as WireRequest, answer);
  }
  talk.leave();
}

function requestOf(one: Sample, random: SeededRandom): WireRequest {
  const method = random.integer(5) < 3 ? "POST" : random.pick(methods);
  const path =
    random.integer(4) > 0 ? `${random.pick(["", "/api/streams"])}/r/${random.integer(60)}` : random.pick(targets);
  const own: [string, string][] = [
    ["Host", random.integer(20) === 0 ? random.pick(["evil.example", "a b", ""]) : "localhost"],
  ];
  if (random.integer(30) === 0) own.push(["Expect", random.pick(["100-continue", "money"])]);
  if (random.integer(30) === 0) own.push(["Connection", random.pick(["close", "Upgrade", "keep-alive, x"])]);
  if (random.integer(30) === 0) own.push(["Upgrade", "websocket"]);
  if (random.integer(30) === 0) own.push(["Host", "localhost"]);
  if (random.integer(30) === 0) own.push(["X-Project-Slug", "rubbish"]);
  if (random.integer(200) === 0) own.push(["X-Long", "x".repeat(17_000)]);
  const sent = Object.entries(one.headers).filter(([, value]) => value !== undefined) as [string, string][];
  const request: WireRequest = { method, target: path + latin1(one.query), headers: [...own, ...sent] };
  if (method === "POST" || random.integer(10) === 0) {
    request.body = random.integer(20) === 0 ? Buffer.from(`{"type":"${builtin("resumed")}"}`) : bytesOf(one.body);
    request.chunked = random.integer(4) === 0;
  }
  return request;
}

function record(ledger: Ledger, { method, target, headers: sent }: WireRequest, answer: Answer): void {
  if (answer.status !== 200 || (method !== "POST" && method !== "DELETE")) return;
  const header = sent.find(([name]) => name.toLowerCase() === "x-project-slug")?.[1].trim();
  const project = header ?? new URLSearchParams(target.split("?")[1] ?? "").get("project") ?? "public";
  if (method === "POST") ledger.acknowledge(project, eventsOf(answer.body) as StreamEvent[]);
  else ledger.deleted(project, (json(answer.body) as { deleted: { path: string; head: number }[] }).deleted);
}

/**
 * Bytes of a request that were hit by something. What follows is such that whatever could be a request is over, so the
 * server has to close; only where it was made to wait for a long body it does not, and then nothing was whole.
 */
async function mangle({ port, ledger, figures }: RubbishWorld, random: SeededRandom, one: Sample): Promise<void> {
  const framing = random.pick<[string, string][]>([
    [],
    [["Content-Length", String(random.integer(300))]],
    [["Content-Length", random.pick(["-1", "1e3", "0x10", "99999999999999999999", "+5"])]],
    [["Transfer-Encoding", random.pick(["chunked", "gzip", "identity", "chunked, chunked", "xchunked"])]],
    [["Transfer-Encoding ", "chunked"]],
  ]);
  const own: [string, string][] = [["Host", "localhost"], ...framing];
  const request: WireRequest = { method: "POST", target: `/mangled/${random.integer(20)}`, headers: own };
  const bytes = hit(encode({ ...request, body: bytesOf(one.body), chunked: random.integer(3) === 0 }, random), random);
  const connection = await open(port);
  connection.socket.write(Buffer.concat([bytes, Buffer.from(`\r\n\r\n\0${"\0rubbish".repeat(20_000)}\r\n\r\n`)]));
  figures.sent++;
  const waiting = setTimeout(() => connection.socket.destroy(), 10_000);
  const text = await connection.closed;
  clearTimeout(waiting);
  connection.socket.destroy();
  for (let found = answerAt(text, 0, "POST"); found !== undefined; found = answerAt(text, found.end, "POST")) {
    const { answer } = found;
    if (answer.status === 100) continue;
    count(answer, "POST", figures);
    if (answer.status === 200) ledger.acknowledge("public", eventsOf(answer.body) as StreamEvent[]);
  }
}

function hit(bytes: Buffer, random: SeededRandom): Buffer {
  let all = bytes;
  for (let hits = random.integer(4); hits > 0; hits--) {
    const at = random.integer(all.length);
    const put = Buffer.from(Array.from({ length: random.integer(3) }, () => random.integer(256)));
    all = Buffer.concat([all.subarray(0, at), put, all.subarray(at + random.integer(3))]);
  }
  return all;
}

/** Half a request, and then an end, a reset, or silence. */
async function half({ port, silent }: RubbishWorld, random: SeededRandom, one: Sample): Promise<void> {
  const request: WireRequest = { method: "POST", target: "/half", headers: [["Host", "localhost"]] };
  const bytes = encode({ ...request, body: Buffer.concat([Buffer.from("x"), bytesOf(one.body)]) }, random);
  const connection = await open(port);
  const part = bytes.subarray(0, 1 + random.integer(bytes.length - 1));
  await new Promise((resolve) => connection.socket.write(part, resolve));
  switch (random.integer(3)) {
    case 0:
      connection.socket.end();
      await connection.closed;
      return;
    case 1:
      connection.socket.destroy();
      return;
    default:
      silent.push({ connection, since: performance.now() });
  }
}

/** A batch whose sender does not wait for the answer. */
async function leave({ port, ledger, figures }: RubbishWorld, random: SeededRandom, marker: string): Promise<void> {
  const count = 1 + random.integer(30);
  ledger.left(marker, count);
  const batch = Buffer.from(JSON.stringify(Array(count).fill({ type: "left", payload: marker })));
  const target = `/left/${random.integer(20)}`;
  const bytes = encode({ method: "POST", target, headers: [["Host", "localhost"]], body: batch }, random);
  const connection = await open(port);
  figures.sent++;
  if (random.integer(2) === 0) connection.socket.write(bytes, () => connection.socket.destroy());
  else connection.socket.end(bytes);
  await connection.closed;
  connection.socket.destroy();
}

/** A live read of whatever kind, left when it has begun. */
async function peek({ port, figures }: RubbishWorld, one: Sample): Promise<void> {
  const connection = await open(port);
  connection.socket.write(
    `GET /r/1?live=true&${latin1(one.query).slice(1)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    "latin1",
  );
  figures.sent++;
  await connection.until((text, ended) => text.includes("\r\n\r\n") || ended);
  if (/^HTTP\/1\.1 5/.test(connection.received())) throw new Error(connection.received());
  connection.socket.destroy();
}

function bytesOf(sent: string | Uint8Array): Buffer {
  return Buffer.from(sent);
}

function latin1(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}
