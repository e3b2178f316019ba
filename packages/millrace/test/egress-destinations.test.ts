/** Where the gate lets a request go: to public addresses, and to the hosts that the operator allows. */
import { createEgressRules, type EgressOptions } from "millrace";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createEgressWorld, type EgressWorld } from "./egress-world.ts";
import { addressesInDisguise, reservedBlocks } from "./hostile-addresses.ts";

let world: EgressWorld;

afterEach(() => world.close());

describe("what is not public is refused", () => {
  let looked: string[];
  let found: string[];

  beforeEach(async () => {
    looked = [];
    found = [];
    const lookup = async (name: string) => {
      looked.push(name);
      return found;
    };
    world = await createEgressWorld({ outbound: { allowPrivateDestinations: false, lookup } });
  });

  const hosts = reservedBlocks.flatMap(([, first, last]) => [first, last]);

  test.each(hosts)("%s, as it is and behind a name", async (address) => {
    const literal = address.includes(":") ? `[${address}]` : address;
    found = [address];
    for (const url of [`http://${literal}/`, `https://${literal}:8443/`, "http://inside.example/"]) {
      const answer = await world.ask(url, { headers: { "x-millrace-call": url } });
      expect([url, answer.status, answer.headers["x-millrace-egress"]]).toEqual([url, 403, "destination"]);
      expect(answer.body).toContain("which is not a public address");
    }
    expect(looked).toEqual(["inside.example"]);
    expect(world.refusals).toHaveLength(3);
  });

  /** Byte for byte, because a client would put it right. */
  async function statusOf(target: string): Promise<number> {
    const socket = await world.connect();
    socket.write(`GET ${target} HTTP/1.1\r\nconnection: close\r\n\r\n`);
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    return Number(/^HTTP\/1\.1 (\d{3}) /.exec(Buffer.concat(chunks).toString())?.[1]);
  }

  test.each(addressesInDisguise)("%s, in disguise", async (text) => {
    expect([400, 403]).toContain(await statusOf(text));
    expect(looked).toEqual([]);
  });

  test("a WebSocket too", async () => {
    const headers = { connection: "upgrade", upgrade: "websocket", "sec-websocket-key": "a", "x-millrace-call": "c1" };
    const answer = await world.ask("https://169.254.169.254/latest", { headers });
    expect(answer).toMatchObject({ status: 403, headers: { "x-millrace-egress": "destination" } });
    expect(world.refusals).toMatchObject([{ call: "c1", message: expect.stringMatching(/not a public address/) }]);
  });

  test("a call that is refused again and again is told once", async () => {
    for (let i = 0; i < 5; i++) await world.ask("http://10.0.0.1/", { headers: { "x-millrace-call": "c1" } });
    await world.ask("http://10.0.0.1/", { headers: { "x-millrace-call": "c2" } });
    await world.ask("http://10.0.0.1/secret-path?key=confidential");
    expect(world.refusals.map(({ call }) => call)).toEqual(["c1", "c2", undefined]);
    expect(world.refusals[2]?.message).toBe(
      "A request of the code, GET to http://10.0.0.1, was refused: http://10.0.0.1/ leads to 10.0.0.1, which is not a " +
        "public address. Start the server with --allow-private-destinations to allow this.",
    );
  });
});

describe("the hosts that the operator allows", () => {
  function refused(options: EgressOptions | undefined, project: string, url: string): boolean {
    return createEgressRules(options)(project)(new URL(url)) !== undefined;
  }

  beforeEach(async () => {
    world = await createEgressWorld({ allowed: createEgressRules({ hosts: ["api.example.com"] })("demo") });
  });

  const some = { hosts: ["api.example.com", "*.example.org"], projects: { demo: ["http://plain.example:8080"] } };

  test.each([
    [undefined, "demo", "https://any.example/", false],
    [undefined, "demo", "http://any.example:81/", false],
    [some, "demo", "https://api.example.com/v1", false],
    [some, "demo", "https://api.example.com:443/v1", false],
    [some, "demo", "https://API.example.com/v1", false],
    [some, "demo", "https://api.example.com:444/v1", true],
    [some, "demo", "http://api.example.com/v1", true],
    [some, "demo", "https://evil.example/?api.example.com", true],
    [some, "demo", "https://api.example.com.evil.example/", true],
    [some, "demo", "https://evilapi.example.com/", true],
    [some, "demo", "https://a.b.example.org/", false],
    [some, "demo", "https://example.org/", true],
    [some, "demo", "https://xexample.org/", true],
    [some, "demo", "http://plain.example:8080/", false],
    [some, "other", "http://plain.example:8080/", true],
    [some, "other", "https://api.example.com/", false],
    [{ hosts: [] }, "demo", "https://api.example.com/", true],
    [{ projects: { demo: ["api.example.com"] } }, "demo", "https://any.example/", true],
    [{ projects: { demo: ["api.example.com"] } }, "other", "https://any.example/", false],
    [{ projects: { demo: ["api.example.com"] } }, "constructor", "https://any.example/", false],
    // What workerd makes of node:dns.
    [undefined, "demo", "https://cloudflare-dns.com/dns-query?name=a", true],
    [undefined, "demo", "https://cloudflare-dns.com./dns-query?name=a", true],
    [some, "demo", "https://cloudflare-dns.com/dns-query?name=a", true],
    [{ hosts: ["cloudflare-dns.com"] }, "demo", "https://cloudflare-dns.com/dns-query?name=a", false],
  ] as [EgressOptions | undefined, string, string, boolean][])("%j: %s to %s is refused: %s", (...row) => {
    expect(refused(row[0], row[1], row[2])).toBe(row[3]);
  });

  test.each([
    [{ hosts: ["https://api.example.com/path"] }, /expected a host/],
    [{ hosts: ["*.com"] }, /every host of a top-level domain/],
    [{ projects: { "a/b": ["api.example.com"] } }, /A project slug/],
  ] as [EgressOptions, RegExp][])("%j is no such list", (options, message) => {
    expect(() => createEgressRules(options)).toThrow(message);
  });

  test("all others are refused, and told, before anything is looked up", async () => {
    const answer = await world.ask("https://evil.example/path?key=confidential", {
      headers: { "x-millrace-call": "c1", authorization: "Bearer {{secret:NONE}}" },
    });
    const message = "it is not among the hosts that demo may ask; the operator adds it with --egress-allow.";
    expect(answer).toMatchObject({ status: 403, headers: { "x-millrace-egress": "host" } });
    expect(JSON.parse(answer.body)).toEqual({ error: { code: "egress_host", message } });
    expect(world.refusals).toEqual([
      { call: "c1", message: `A request of the code, GET to https://evil.example, was refused: ${message}` },
    ]);
  });
});
