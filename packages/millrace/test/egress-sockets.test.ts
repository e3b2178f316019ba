/** WebSockets through the gate: whatever the two ends say to each other, byte for byte. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect as connectSocket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { createEgressRules } from "millrace";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ServerOptions, WebSocket, WebSocketServer } from "ws";
import { createEgressWorld, type EgressWorld, textOf } from "./egress-world.ts";

let world: EgressWorld;
let servers: WebSocketServer[];

beforeEach(async () => {
  servers = [];
  world = await createEgressWorld();
});
afterEach(async () => {
  for (const server of servers) {
    for (const socket of server.clients) socket.terminate();
    server.close();
  }
  await world.close();
});

async function accept(
  options: ServerOptions = {},
): Promise<{ origin: string; peers: WebSocket[]; peer: Promise<WebSocket> }> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", ...options });
  servers.push(server);
  const peers: WebSocket[] = [];
  const peer = once(server, "connection").then(([socket]) => socket as WebSocket);
  server.on("connection", (socket) => {
    peers.push(socket);
    socket.on("error", () => {});
  });
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, peers, peer };
}

/** As workerd asks: the whole URL, with http or https in it. */
function dial(url: string, protocols: string[] = [], headers: Record<string, string> = {}): WebSocket {
  const options = {
    headers,
    createConnection: () => connectSocket(world.gate.socketPath),
    finishRequest(request: { path: string; removeHeader(name: string): void; end(): void }) {
      request.path = url;
      request.removeHeader("host");
      request.end();
    },
  };
  const socket = new WebSocket("ws://gate/", protocols, options as never);
  socket.on("error", () => {});
  return socket;
}

async function message(socket: WebSocket): Promise<[string, boolean]> {
  const [data, isBinary] = (await once(socket, "message")) as [Buffer, boolean];
  return [data.toString("latin1"), isBinary];
}

async function closing(socket: WebSocket): Promise<[number, string]> {
  const [code, reason] = (await once(socket, "close")) as [number, Buffer];
  return [code, String(reason)];
}

test.each([true, false])("text, binary, pings and long messages, packed: %s", async (perMessageDeflate) => {
  const { origin, peer } = await accept({ perMessageDeflate });
  const socket = dial(`${origin}/live?a=1`);
  const other = await peer;
  await once(socket, "open");
  expect(socket.extensions).toBe(perMessageDeflate ? "permessage-deflate" : "");
  for (const [from, to] of [
    [socket, other],
    [other, socket],
  ] as const) {
    for (const data of ["text", Buffer.from([0, 1, 0xff]), "x".repeat(300_000)]) {
      const heard = message(to);
      from.send(data);
      expect(await heard).toEqual([data.toString("latin1"), typeof data !== "string"]);
    }
    const ponged = once(from, "pong");
    from.ping("here?");
    expect(String((await ponged)[0])).toBe("here?");
  }
});

test("what the other end sends at once is not lost, nor is its path", async () => {
  const { origin } = await accept();
  const [server] = servers;
  const asked: (string | undefined)[] = [];
  server?.on("connection", (socket, request) => {
    asked.push(request.url, request.headers.host);
    for (let i = 0; i < 100; i++) socket.send(`message ${i}`);
    socket.close(4000, "all said");
  });
  const socket = dial(`${origin}/live?a=1`);
  const heard: string[] = [];
  socket.on("message", (data) => heard.push(String(data)));
  expect(await closing(socket)).toEqual([4000, "all said"]);
  expect(heard).toEqual(Array.from({ length: 100 }, (_, i) => `message ${i}`));
  expect(asked).toEqual(["/live?a=1", new URL(origin).host]);
});

test("the protocol is agreed on by the two ends", async () => {
  const { origin } = await accept({ handleProtocols: (offered) => [...offered][1] ?? false });
  const socket = dial(origin, ["realtime", "openai-beta.v1"]);
  await once(socket, "open");
  expect(socket.protocol).toBe("openai-beta.v1");
});

test.each([
  [1000, "done"],
  [4321, "enough"],
])("a close with %d is heard on the other side, whoever it is", async (code, reason) => {
  const { origin, peers } = await accept();
  const first = dial(origin);
  await once(first, "open");
  const heardThere = closing(peers[0] as WebSocket);
  first.close(code, reason);
  expect(await heardThere).toEqual([code, reason]);
  const second = dial(origin);
  await once(second, "open");
  const heardHere = closing(second);
  peers[1]?.close(code, reason);
  expect(await heardHere).toEqual([code, reason]);
});

test("who goes away without a word takes the other side along", async () => {
  const { origin, peers } = await accept();
  const first = dial(origin);
  await once(first, "open");
  const heardThere = closing(peers[0] as WebSocket);
  first.terminate();
  expect((await heardThere)[0]).toBe(1006);
  const second = dial(origin);
  await once(second, "open");
  const heardHere = closing(second);
  peers[1]?.terminate();
  expect((await heardHere)[0]).toBe(1006);
});

test("the end of the gate cuts what is open", async () => {
  const { origin, peers } = await accept();
  const socket = dial(origin);
  await once(socket, "open");
  const heardThere = closing(peers[0] as WebSocket);
  const heardHere = closing(socket);
  expect(world.gate.underWay).toBe(1);
  await world.gate.close();
  expect([(await heardThere)[0], (await heardHere)[0]]).toEqual([1006, 1006]);
});

test("who does not read is waited for", async () => {
  const { origin, peers } = await accept({ perMessageDeflate: false });
  const socket = dial(origin);
  await once(socket, "open");
  peers[0]?.pause();
  const piece = Buffer.alloc(256 * 1024);
  let sent = 0;
  for (; sent < 400; sent++) {
    const taken = new Promise<string>((resolve) => socket.send(piece, () => resolve("taken")));
    if ((await Promise.race([taken, delay(500, "full")])) === "full") break;
  }
  expect(sent * piece.length).toBeLessThan(24 * 1024 * 1024);
  let heard = 0;
  const all = new Promise<void>((resolve) => {
    peers[0]?.on("message", () => ++heard === sent + 1 && resolve());
  });
  peers[0]?.resume();
  await all;
});

test("secrets are filled in, and the sandbox's own headers stay here", async () => {
  const { origin } = await accept();
  await world.secrets.set("demo", { name: "KEY", value: "sk-1", hosts: [origin] });
  const asked: Record<string, unknown>[] = [];
  servers[0]?.on("connection", (_, request) => asked.push(request.headers));
  const socket = dial(origin, [], { authorization: "Bearer {{secret:KEY}}", "x-millrace-call": "c1" });
  await once(socket, "open");
  expect(asked[0]).toMatchObject({ authorization: "Bearer sk-1" });
  expect(asked[0]).not.toHaveProperty("x-millrace-call");
});

test("an answer that is no WebSocket is handed on", async () => {
  const origin = await world.serve((_, outgoing) => {
    outgoing.writeHead(401, { "www-authenticate": "Bearer", "content-length": "6" }).end("no key");
  });
  const socket = dial(origin);
  const [, answer] = await once(socket, "unexpected-response");
  expect([answer.statusCode, answer.headers["www-authenticate"], await textOf(answer)]).toEqual([
    401,
    "Bearer",
    "no key",
  ]);
  expect(world.refusals).toEqual([]);
});

test("who is not allowed to be asked is not, and it is told", async () => {
  await world.close();
  world = await createEgressWorld({ allowed: createEgressRules({ hosts: ["api.example.com"] })("demo") });
  const { origin, peers } = await accept();
  const socket = dial(origin, [], { "x-millrace-call": "c1" });
  const [, answer] = await once(socket, "unexpected-response");
  expect([answer.statusCode, answer.headers["x-millrace-egress"]]).toEqual([403, "host"]);
  expect(JSON.parse(await textOf(answer)).error.code).toBe("egress_host");
  expect(world.refusals).toMatchObject([{ call: "c1" }]);
  expect(peers).toEqual([]);
});

test("no other protocol is changed to", async () => {
  const heard: unknown[] = [];
  const origin = await world.serve((incoming) => void heard.push(incoming.url));
  const answer = await world.ask(origin, { headers: { connection: "upgrade", upgrade: "h2c" } });
  expect(answer).toMatchObject({ status: 400, headers: { "x-millrace-egress": "request" } });
  expect(heard).toEqual([]);
});
