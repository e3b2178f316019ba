/** Requests other than appends whose answer the model knows: reads, states, deletions, and what is refused. */
import type { StreamEvent } from "@millrace/protocol";
import type { SeededRandom } from "@millrace/testing";
import { type Answer, expectAnswer, json } from "./answers.ts";
import { address, expectEvents, expectRefusal, expectStatus, type Lane, type Leaf, type Modelled } from "./lane.ts";
import type { WireRequest } from "./wire-request.ts";

export function read(lane: Lane, leaf: Leaf): Modelled {
  const { random } = lane;
  const format = random.pick(["json", "ndjson", "sse"]);
  const after = random.integer(3) === 0 ? random.integer(leaf.model.head + 1) : 0;
  const range: [string, string][] = after === 0 ? [] : [["afterOffset", String(after)]];
  const expected = leaf.model.events.filter(({ offset }) => offset > after);
  const request = address(lane, leaf.path, "GET", [...range, ["format", format]]);
  return {
    request,
    check(answer) {
      expectStatus(answer, 200);
      expectEvents(eventsIn(answer.body.toString(), format), expected, leaf.path);
    },
  };
}

function eventsIn(text: string, format: string): StreamEvent[] {
  if (format === "json") return (JSON.parse(text) as { events: StreamEvent[] }).events;
  const lines = text.split("\n").filter((line) => line.startsWith(format === "sse" ? "data: " : "{"));
  return lines.map((line) => JSON.parse(line.replace(/^data: /, "")) as StreamEvent);
}

export function state(lane: Lane, leaf: Leaf): Modelled {
  const { alive, head, paused } = leaf.model;
  const request = address(lane, leaf.path, "GET");
  const query = /\?.*$/.exec(request.target)?.[0] ?? "";
  request.target = `/api/${lane.random.pick(["state", "__state", "streams/__state"])}${leaf.path}${query}`;
  return {
    request,
    check(answer) {
      if (!alive) return expectRefusal(answer, { status: 404, code: "not_found" });
      expectStatus(answer, 200);
      const said = json(answer.body) as { head: number; paused: boolean; path: string };
      if (said.head === head && said.paused === paused && said.path === leaf.path) return;
      throw new Error(`${leaf.path} has the head ${head}, paused: ${paused}; the state says ${answer.body}`);
    },
  };
}

export function remove(lane: Lane, leaf: Leaf): Modelled {
  const expected = end(lane, [leaf]);
  return {
    request: address(lane, leaf.path, "DELETE"),
    check(answer) {
      expectStatus(answer, 200);
      const said = JSON.stringify(json(answer.body));
      const shall = JSON.stringify({ deleted: expected, count: expected.length });
      if (said !== shall) throw new Error(`a deletion said ${said} instead of ${shall}`);
    },
  };
}

/** With children: of the group itself the model does not know the head, because its ancestors tell it of births. */
export function removeGroup(lane: Lane): Modelled {
  const { random } = lane;
  const group = random.pick(lane.groups);
  const expected = end(
    lane,
    lane.leaves.filter(({ path }) => path.startsWith(`${group}/`)),
  );
  const parameter = random.pick(["children", "destroyChildren"]);
  return {
    request: address(lane, group, "DELETE", [[parameter, random.pick(["true", "1"])]]),
    check(answer) {
      expectStatus(answer, 200);
      const { deleted, count } = json(answer.body) as { deleted: { path: string; head: number }[]; count: number };
      const own = deleted.filter(({ path }) => path === group);
      for (const { path, head } of own) lane.ended.set(path, [...(lane.ended.get(path) ?? []), head]);
      const said = JSON.stringify(deleted.filter(({ path }) => path !== group).sort(byPath));
      if (said === JSON.stringify(expected.sort(byPath)) && count === deleted.length) return;
      throw new Error(`a deletion of ${group} said ${answer.body} instead of ${JSON.stringify(expected)}`);
    },
  };
}

function byPath(one: { path: string }, other: { path: string }): number {
  return one.path < other.path ? -1 : 1;
}

function end(lane: Lane, leaves: readonly Leaf[]): { path: string; head: number }[] {
  return leaves.flatMap((leaf) => {
    const head = leaf.model.delete();
    leaf.spent = 0;
    if (head === undefined) return [];
    lane.ended.set(leaf.path, [...(lane.ended.get(leaf.path) ?? []), head]);
    return [{ path: leaf.path, head }];
  });
}

type Spoil = (request: WireRequest, random: SeededRandom, leaf: Leaf) => void;

const long = "x".repeat(256);

/** Ways to make a good append a request that is refused, and stores nothing. */
const spoilt: readonly [status: number, code: string, spoil: Spoil][] = [
  [
    400,
    "invalid_request",
    (request, random) => retarget(request, random.pick(["/a//b", "/a/../b", "/a/%2e%2e/b", "/."])),
  ],
  [
    400,
    "invalid_request",
    (request, random) => retarget(request, random.pick(["/a%00b", "/a%zz", "/%C3%BC", "/a%20b", "/a;b"])),
  ],
  [400, "invalid_request", (request) => retarget(request, `/${long}`)],
  [400, "invalid_request", (request) => retarget(request, "/a".repeat(520))],
  [
    400,
    "invalid_request",
    (request, random) => replace(request, "X-Project-Slug", random.pick(["a b", "..", "a/b", long, "%41"])),
  ],
  [400, "invalid_request", (request, random) => setBody(request, random.pick(["[]", '{"events":[]}', " [ ] "]))],
  [400, "invalid_request", (request) => setBody(request, "\n \r\n", "application/x-ndjson")],
  [400, "invalid_request", (request) => replace(request, "Idempotency-Key", long)],
  [
    400,
    "invalid_request",
    (request) => setBody(replace(request, "Idempotency-Key", "a"), '{"type":"a","idempotencyKey":"b"}'),
  ],
  [
    400,
    "invalid_request",
    (request, random) => replace(request, "Millrace-Depth", random.pick(["-1", "1.5", "x", "1e3"])),
  ],
  [
    400,
    "invalid_request",
    (request, random) => replace(request, "Millrace-Cause", random.pick(["/a", "/a@0", "@1", "/a//b@1"])),
  ],
  [400, "invalid_request", (request) => replace(request, "Millrace-Processor", long)],
  [403, "forbidden_host", (request) => replace(request, "Host", "evil.example")],
  [
    403,
    "forbidden_origin",
    (request, random) => replace(request, "Origin", random.pick(["https://evil.example", "null"])),
  ],
  [413, "too_large", (request) => setBody(request, `[${Array(1_001).fill("{}")}]`)],
  [
    405,
    "method_not_allowed",
    (request, random) => setMethod(request, random.pick(["PUT", "PATCH", "PROPFIND", "TRACE"])),
  ],
  [400, "invalid_request", (request) => setMethod(request, "GET", "?nonsense=1")],
  [412, "offset_conflict", (request, _, leaf) => setMethod(request, "GET", `?afterOffset=${leaf.model.head + 1}`)],
];

/** Rare, because it is a mebibyte. */
const tooLong: (typeof spoilt)[number] = [
  413,
  "too_large",
  (request) => setBody(request, `{"type":"a","payload":"${"x".repeat(1_048_576)}"}`),
];

export function refused(lane: Lane, leaf: Leaf): Modelled {
  const { random, project } = lane;
  const [status, code, spoil] = random.integer(150) === 0 ? tooLong : random.pick(spoilt);
  const headers: [string, string][] = [
    ["Host", "localhost"],
    ["X-Project-Slug", project],
  ];
  const request: WireRequest = { method: "POST", target: `/api/streams${leaf.path}`, headers };
  setBody(request, '{"type":"never"}');
  spoil(request, random, leaf);
  return { request, check: (answer) => expectRefusal(answer, { status, code }, request.method) };
}

function replace(request: WireRequest, name: string, value: string): WireRequest {
  request.headers = [...request.headers.filter(([other]) => other !== name), [name, value]];
  return request;
}

function setBody(request: WireRequest, text: string, contentType?: string): WireRequest {
  request.body = Buffer.from(text);
  return contentType === undefined ? request : replace(request, "Content-Type", contentType);
}

function setMethod(request: WireRequest, method: string, query = ""): void {
  request.method = method;
  request.target += query;
  if (method === "GET") delete request.body;
}

function retarget(request: WireRequest, path: string): void {
  request.target = `/api/streams${path}`;
}

/** Answers that say nothing of a stream. */
export function aside(lane: Lane): Modelled {
  const [method, target, status] = lane.random.pick<[string, string, number]>([
    ["GET", "/healthz", 200],
    ["GET", "/readyz", 200],
    ["HEAD", "/metrics", 200],
    ["OPTIONS", "/api/streams/a", 204],
    ["GET", "/api/nothing", 404],
    ["GET", "/api/streams?prefix=/nowhere", 200],
    ["GET", "/events/stream/paused", 200],
    ["GET", "/v1/secrets", 404],
    ["POST", "/metrics", 405],
  ]);
  const request: WireRequest = { method, target, headers: [["Host", "localhost"]] };
  const check = (answer: Answer) => {
    expectAnswer(answer, method);
    expectStatus(answer, status);
  };
  return { request, check };
}
