/** What comes out of the gate is what went in, less what belongs to the way: methods, headers, bodies, statuses. */
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createEgressWorld, type EgressWorld, textOf } from "./egress-world.ts";

let world: EgressWorld;

beforeEach(async () => {
  world = await createEgressWorld();
});
afterEach(() => world.close());

interface Heard {
  method: string | undefined;
  url: string | undefined;
  raw: [string, string][];
  body: string;
}

async function listen(): Promise<{ origin: string; heard: Heard[] }> {
  const heard: Heard[] = [];
  const origin = await world.serve(async (incoming, outgoing) => {
    const { method, url, rawHeaders } = incoming;
    const raw = rawHeaders.flatMap((name, i): [string, string][] =>
      i % 2 === 0 ? [[name, rawHeaders[i + 1] as string]] : [],
    );
    heard.push({ method, url, raw, body: await textOf(incoming) });
    outgoing.end("fine");
  });
  return { origin, heard };
}

const ofTheConnection = new Set(["host", "connection"]);

function sent({ raw }: Heard): [string, string][] {
  return raw.filter(([name]) => !ofTheConnection.has(name.toLowerCase()));
}

test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])(
  "%s with a body arrives",
  async (method) => {
    const { origin, heard } = await listen();
    const answer = await world.ask(`${origin}/v1/things?a=1&b=%20`, {
      method,
      headers: { "content-length": "4", "x-a": "b" },
      body: "body",
    });
    expect(answer).toMatchObject({ status: 200, body: "fine" });
    expect(heard).toMatchObject([{ method, url: "/v1/things?a=1&b=%20", body: "body" }]);
    expect(sent(heard[0] as Heard)).toEqual([
      ["x-a", "b"],
      ["content-length", "4"],
    ]);
  },
);

test.each([
  ["GET", []],
  ["DELETE", []],
  ["POST", [["content-length", "0"]]],
])("%s without a body has none", async (method, headers) => {
  const { origin, heard } = await listen();
  await world.ask(origin, { method });
  expect(heard[0]).toMatchObject({ method, body: "" });
  expect(sent(heard[0] as Heard)).toEqual(headers);
});

test("a body of unknown length is sent in chunks", async () => {
  const { origin, heard } = await listen();
  await world.ask(origin, { method: "POST", headers: { "transfer-encoding": "chunked" }, body: "piece by piece" });
  expect(heard[0]?.body).toBe("piece by piece");
  expect(sent(heard[0] as Heard)).toEqual([["transfer-encoding", "chunked"]]);
});

test("headers of the connection, of the sandbox, and those that are named as such do not leave", async () => {
  const { origin, heard } = await listen();
  await world.ask(origin, {
    headers: {
      connection: "keep-alive, x-hop",
      "x-hop": "1",
      "keep-alive": "timeout=9",
      te: "trailers",
      expect: "100-continue",
      "proxy-authorization": "Basic YTpi",
      "proxy-connection": "keep-alive",
      "x-millrace-isolate": "i",
      "x-millrace-call": "c",
      "X-Millrace-Anything": "forged",
      host: "forged.example",
      "accept-encoding": "br",
      cookie: "a=b",
      "set-cookie": ["one", "two"],
    },
  });
  expect(sent(heard[0] as Heard)).toEqual([
    ["accept-encoding", "br"],
    ["cookie", "a=b"],
    ["set-cookie", "one"],
    ["set-cookie", "two"],
  ]);
  expect(heard[0]?.raw).toContainEqual(["host", new URL(origin).host]);
});

test("values of headers keep their bytes", async () => {
  const { origin, heard } = await listen();
  const latin = "caf\u00e9 \u00ff";
  await world.ask(origin, { method: "PUT", headers: { "x-latin": latin }, body: Buffer.from("body") });
  expect(heard[0]?.raw).toContainEqual(["x-latin", latin]);
});

test("an answer goes on as it came, packed, with every header once more", async () => {
  const packed = gzipSync("unfolds".repeat(10_000));
  const origin = await world.serve((_, outgoing) => {
    outgoing.sendDate = false;
    outgoing.writeHead(203, [
      ...["content-encoding", "gzip"],
      ...["content-length", String(packed.length)],
      ...["set-cookie", "a=1"],
      ...["set-cookie", "b=2"],
      ...["x-millrace-egress", "forged"],
      ...["keep-alive", "timeout=9"],
      ...["x-latin", "caf\u00e9"],
      ...["connection", "close, x-hop"],
      ...["x-hop", "1"],
    ]);
    outgoing.end(packed);
  });
  const answer = await world.ask(origin);
  expect(answer.status).toBe(203);
  expect(answer.headers).toEqual({
    "content-encoding": "gzip",
    "content-length": String(packed.length),
    "set-cookie": ["a=1", "b=2"],
    "x-latin": "caf\u00e9",
    connection: "close",
  });
});

describe("answers without a body", () => {
  test("to HEAD, with the length that it would have", async () => {
    const origin = await world.serve((_, outgoing) => void outgoing.writeHead(200, { "content-length": "77" }).end());
    const answer = await world.ask(origin, { method: "HEAD" });
    expect(answer).toMatchObject({ status: 200, body: "", headers: { "content-length": "77" } });
  });

  test.each([204, 304])("%d", async (status) => {
    const origin = await world.serve((_, outgoing) => void outgoing.writeHead(status, { etag: '"1"' }).end());
    expect(await world.ask(origin)).toMatchObject({ status, body: "", headers: { etag: '"1"' } });
  });

  test.each([301, 302, 303, 307, 308])("%d is handed on, and nobody follows it here", async (status) => {
    const { origin: target, heard } = await listen();
    const origin = await world.serve((_, outgoing) => void outgoing.writeHead(status, { location: target }).end());
    expect(await world.ask(origin)).toMatchObject({ status, headers: { location: target } });
    expect(heard).toEqual([]);
  });
});

test.each([400, 401, 403, 404, 429, 500, 503, 999])("an answer of %d is an answer, and no refusal", async (status) => {
  const origin = await world.serve((_, outgoing) => void outgoing.writeHead(status).end("no"));
  const answer = await world.ask(origin);
  expect(answer).toMatchObject({ status, body: "no" });
  expect(answer.headers["x-millrace-egress"]).toBeUndefined();
  expect(world.refusals).toEqual([]);
});

test("what cannot be reached is told to the code alone", async () => {
  const origin = await world.serve((incoming) => void incoming.socket.destroy());
  const answer = await world.ask(`${origin}/?key=confidential`);
  expect(answer).toMatchObject({ status: 502, headers: { "x-millrace-egress": "unreachable" } });
  expect(JSON.parse(answer.body)).toEqual({
    error: { code: "egress_unreachable", message: expect.stringContaining("the connection was closed") },
  });
  expect(answer.body).not.toContain("confidential");
  expect(world.refusals).toEqual([]);
});

describe("is refused, and told", () => {
  test.each([
    ["a path without a host", "/v1/things", "GET"],
    ["another protocol", "ftp://example.com/", "GET"],
    ["no URL", "http://[/", "GET"],
    ["TRACE", "http://example.com/", "TRACE"],
  ])("%s", async (_, url, method) => {
    const answer = await world.ask(url, { method, headers: { "x-millrace-call": "c1" } });
    expect(answer).toMatchObject({ status: 400, headers: { "x-millrace-egress": "request" } });
    expect(world.refusals).toEqual([{ call: "c1", message: expect.stringMatching(/^A request of the code, /) }]);
  });

  test("a tunnel", async () => {
    const socket = await world.connect();
    socket.write("CONNECT example.com:25 HTTP/1.1\r\nx-millrace-call: c1\r\n\r\n");
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 400.*Only HTTP and WebSockets leave a sandbox\./s);
    expect(world.refusals).toEqual([{ call: "c1", message: expect.stringContaining("Only HTTP and WebSockets") }]);
  });

  test("a URL with a password, whose message does not show it", async () => {
    const answer = await world.ask("https://name:confidential@example.com/");
    expect(answer).toMatchObject({ status: 403, headers: { "x-millrace-egress": "destination" } });
    expect(answer.body + world.refusals[0]?.message).not.toContain("confidential");
  });
});

test("headers that are too long are answered 431", async () => {
  const { origin, heard } = await listen();
  expect((await world.ask(origin, { headers: { "x-long": "x".repeat(60 * 1024) } })).status).toBe(200);
  expect((await world.ask(origin, { headers: { "x-long": "x".repeat(65 * 1024) } })).status).toBe(431);
  expect(heard).toHaveLength(1);
});
