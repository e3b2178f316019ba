/**
 * Where requests are let to, over real sockets. Nothing leaves the machine: what a name is connected to is seen, and cut
 * off, between the look-up and the connection.
 */
import diagnostics from "node:diagnostics_channel";
import { isIP, type Socket } from "node:net";
import { createOutbound } from "millrace";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { failureOf, request } from "./outbound-request.ts";
import { createReceivers, type Receivers } from "./receivers.ts";

const publicAddress = "93.184.216.34";

/** Addresses that names led to, in order. */
let connectedTo: string[];
let receivers: Receivers;

function guard(message: unknown): void {
  const { socket } = message as { socket: Socket };
  socket.on("lookup", (error, address) => {
    if (error !== null) return;
    connectedTo.push(address);
    if (isIP(address) === 0 || address.startsWith("127.")) return;
    socket.destroy(Object.assign(new Error("cut off by the test"), { code: "ENETUNREACH" }));
  });
}

beforeAll(() => diagnostics.subscribe("net.client.socket", guard));
afterAll(() => diagnostics.unsubscribe("net.client.socket", guard));

beforeEach(() => {
  connectedTo = [];
  receivers = createReceivers();
});

afterEach(() => receivers.dispose());

/** Answers one list of addresses after the other, the last one again and again. */
function createLookup(...answers: string[][]) {
  const asked: string[] = [];
  return {
    asked,
    async lookup(hostname: string) {
      asked.push(hostname);
      return answers[Math.min(asked.length, answers.length) - 1] ?? [];
    },
  };
}

function at(url: string, host: string): string {
  return url.replace("127.0.0.1", host);
}

describe("this machine is not reached", () => {
  const forms = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0177.0.0.1",
    "0x7f.1",
    "0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "localhost",
    "LOCALHOST",
  ];

  test.each(forms)("as http://%s/", async (host) => {
    const outbound = createOutbound();
    const receiver = await receivers.listen(() => ({ status: 200 }));
    const { reason, message } = await failureOf(outbound.send(request(at(receiver.url, host))));
    expect([reason, message]).toEqual([
      "refused",
      expect.stringMatching(/leads to \S+, which is not a public address/),
    ]);
    expect([connectedTo, receiver.connections()]).toEqual([[], 0]);
    await outbound.close();
  });

  test("as a name that leads to it", async () => {
    const { asked, lookup } = createLookup(["127.0.0.1", "::1", "10.0.0.1"]);
    const outbound = createOutbound({ lookup });
    const receiver = await receivers.listen(() => ({ status: 200 }));
    const url = at(receiver.url, "inside.example");
    expect(await failureOf(outbound.send(request(url)))).toEqual({
      reason: "refused",
      message:
        `${new URL(url).origin}/ leads to 127.0.0.1, which is not a public address. ` +
        "Start the server with --allow-private-destinations to allow this.",
    });
    expect([asked, connectedTo, receiver.connections()]).toEqual([["inside.example"], [], 0]);
    await outbound.close();
  });

  test("as a name that changes its address between the look and the connection", async () => {
    const { asked, lookup } = createLookup([publicAddress], ["127.0.0.1"]);
    const outbound = createOutbound({ lookup });
    const receiver = await receivers.listen(() => ({ status: 200 }));
    const url = at(receiver.url, "rebinding.example");

    const first = await failureOf(outbound.send(request(url)));
    expect(first).toEqual({ reason: "unreachable", message: `${new URL(url).origin}: no way to the network.` });
    expect([asked.length, connectedTo]).toEqual([1, [publicAddress]]);

    const second = await failureOf(outbound.send(request(url)));
    expect([second.reason, asked.length, connectedTo]).toEqual(["refused", 2, [publicAddress]]);
    expect(receiver.connections()).toBe(0);
    await outbound.close();
  });

  test("as one of several addresses", async () => {
    const { lookup } = createLookup(["127.0.0.1", publicAddress, "::1"]);
    const outbound = createOutbound({ lookup });
    const receiver = await receivers.listen(() => ({ status: 200 }));
    const { reason } = await failureOf(outbound.send(request(at(receiver.url, "both.example"))));
    expect([reason, connectedTo, receiver.connections()]).toEqual(["unreachable", [publicAddress], 0]);
    await outbound.close();
  });

  test("as where a redirect leads", async () => {
    const inside = await receivers.listen(() => ({ status: 200 }));
    const outside = await receivers.listen(() => ({ status: 302, headers: { location: inside.url } }));
    const outbound = createOutbound({ allowPrivateDestinations: true });
    const { status, headers } = await outbound.send(request(outside.url));
    expect([status, headers.location, inside.connections()]).toEqual([302, inside.url, 0]);
    await outbound.close();
  });

  test("over https", async () => {
    const { lookup } = createLookup(["127.0.0.1"]);
    const outbound = createOutbound({ lookup });
    const receiver = await receivers.listenRaw(() => undefined);
    for (const host of ["127.0.0.1", "inside.example"]) {
      const url = `https://${host}:${receiver.port}/`;
      expect((await failureOf(outbound.send(request(url)))).reason).toBe("refused");
    }
    expect(receiver.connections()).toBe(0);
    await outbound.close();
  });
});

describe("a name", () => {
  test("is asked for once for each connection, and what was found is connected to", async () => {
    const { asked, lookup } = createLookup(["127.0.0.1"], ["127.0.0.2"]);
    const outbound = createOutbound({ lookup, allowPrivateDestinations: true });
    const receiver = await receivers.listen(() => ({ status: 200 }));
    const url = at(receiver.url, "receiver.example");
    for (let i = 0; i < 3; i++) await outbound.send(request(url));
    expect([asked, connectedTo]).toEqual([["receiver.example"], ["127.0.0.1"]]);
    expect(receiver.received.map(({ headers }) => headers.host)).toEqual(Array(3).fill(new URL(url).host));
    await outbound.close();
  });

  test("with several addresses is reached at the one that takes the connection", async () => {
    const { lookup } = createLookup(["127.0.0.2", "127.0.0.1"]);
    const outbound = createOutbound({ lookup, allowPrivateDestinations: true });
    const receiver = await receivers.listen(() => ({ status: 200, body: "here" }));
    expect((await outbound.send(request(at(receiver.url, "receiver.example")))).body).toBe("here");
    await outbound.close();
  });

  test("of which no address takes the connection is unreachable, and each is named", async () => {
    const { lookup } = createLookup(["127.0.0.2", "127.0.0.3"]);
    const outbound = createOutbound({ lookup, allowPrivateDestinations: true });
    const { port } = new URL(await receivers.nowhere());
    const refused = [2, 3].map((last) => `connection refused by 127.0.0.${last}:${port}`).join(", ");
    expect(await failureOf(outbound.send(request(`http://receiver.example:${port}/`)))).toEqual({
      reason: "unreachable",
      message: `http://receiver.example:${port}: ${refused}.`,
    });
    await outbound.close();
  });

  test.each([
    ["that is not there", async () => Promise.reject(Object.assign(new Error("no"), { code: "ENOTFOUND" }))],
    ["without an address", async () => []],
  ])("%s is not found", async (_, lookup) => {
    const outbound = createOutbound({ lookup });
    expect(await failureOf(outbound.send(request("https://nobody.example/hook")))).toEqual({
      reason: "unreachable",
      message: "https://nobody.example: the name was not found.",
    });
    await outbound.close();
  });

  test("that is never found out costs no more than its time", async () => {
    const outbound = createOutbound({ lookup: () => new Promise(() => undefined) });
    expect(await failureOf(outbound.send(request("http://slow.example/", { timeoutMs: 100 })))).toEqual({
      reason: "timeout",
      message: "http://slow.example: no connection within 100 ms.",
    });
    const abort = new AbortController();
    const aborted = failureOf(outbound.send(request("http://slow.example/", { signal: abort.signal })));
    abort.abort();
    expect((await aborted).reason).toBe("aborted");
    await outbound.close();
  });
});

test("headers that belong to the connection are refused", async () => {
  const outbound = createOutbound({ allowPrivateDestinations: true });
  const receiver = await receivers.listen(() => ({ status: 200 }));
  for (const name of ["Host", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "TE"]) {
    expect(await failureOf(outbound.send(request(receiver.url, { headers: { [name]: "confidential" } })))).toEqual({
      reason: "refused",
      message: `The header ${name.toLowerCase()} cannot be given: the connection itself says it.`,
    });
  }
  expect(receiver.received).toEqual([]);
  await outbound.close();
});
