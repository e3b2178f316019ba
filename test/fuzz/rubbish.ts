/** Senders of anything at all: whatever they were told is in the ledger, and in the end in the log. */
import type { StreamEvent } from "@millrace/protocol";
import { createSeededRandom, type SeededRandom } from "@millrace/testing";
import fc from "fast-check";
import { builtin } from "../../packages/millrace/test/model.ts";
import { body, headers, query } from "../http/anything.ts";
import { type Answer, eventsOf, json } from "./answers.ts";
import { bytesOf, half, latin1, leave, mangle, peek, type RubbishWorld, type Sample } from "./broken.ts";
import type { Ledger } from "./ledger.ts";
import { startTalk } from "./talk.ts";
import type { WireRequest } from "./wire-request.ts";

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

const sample: fc.Arbitrary<Sample> = fc.record({ body, headers, query });

export async function sendRubbish(world: RubbishWorld, requests: number, seed: number): Promise<void> {
  const random = createSeededRandom(seed);
  const samples = fc.sample(sample, { numRuns: requests, seed });
  for (let next = samples.pop(); next !== undefined; next = samples.pop()) {
    const chance = random.integer(20);
    if (chance < 2) await half(world, random, next);
    else if (chance === 2) await leave(world, random, `${seed}-${samples.length}`);
    else if (chance === 3) await peek(world, next);
    else if (chance < 7) await mangle(world, random, next);
    else {
      const more = samples.splice(samples.length - random.integer(random.pick([2, 4, 8, 40])));
      await whole(world, random, [next, ...more]);
    }
  }
}

/** Requests that are whole, whatever is in them; now and then several at once. */
async function whole(world: RubbishWorld, random: SeededRandom, samples: Sample[]): Promise<void> {
  world.figures.conversations.rubbish++;
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
