/** Secrets in the headers that leave: for their own hosts, on every hop; and what is said to this server itself. */
import type { IncomingHttpHeaders } from "node:http";
import type { EgressCause } from "millrace";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createEgressWorld, type EgressWorld } from "./egress-world.ts";

let world: EgressWorld;
let origin: string;
let elsewhere: string;
let heard: IncomingHttpHeaders[];
let fixed: readonly [string, string] | undefined;
let own: string[];

const cause: EgressCause = { streamPath: "/me/grüße", offset: 7, depth: 3, slug: "ping pong" };

beforeEach(async () => {
  heard = [];
  own = [];
  fixed = undefined;
  world = await createEgressWorld({
    fixedHeader: (isolate) => (isolate === "isolate-1" ? fixed : undefined),
    ownOrigins: own,
    attribution: {
      cause: (call) => (call === "c1" ? cause : undefined),
      refused: (call, message) => void world.refusals.push({ call, message }),
    },
  });
  origin = await world.serve((incoming, outgoing) => {
    heard.push(incoming.headers);
    if (incoming.url === "/away") outgoing.writeHead(307, { location: `${elsewhere}/landed` });
    outgoing.end("fine");
  });
  elsewhere = await world.serve((incoming, outgoing) => {
    heard.push(incoming.headers);
    outgoing.end("elsewhere");
  });
  await world.secrets.set("demo", { name: "openai", value: "sk-confidential", hosts: [origin] });
  await world.secrets.set("demo", { name: "second.KEY-1", value: "a+b/c=", hosts: [origin] });
  await world.secrets.set("other", { name: "theirs", value: "confidential", hosts: [origin] });
});
afterEach(() => world.close());

describe("a placeholder becomes the value", () => {
  test.each([
    ["Bearer {{secret:openai}}", "Bearer sk-confidential"],
    ["{{secret:openai}}{{secret:second.KEY-1}};{{secret:openai}}", "sk-confidentiala+b/c=;sk-confidential"],
    [`Bearer getIterateSecret({secretKey: "openai"})`, "Bearer sk-confidential"],
    [`getIterateSecret({secretKey:'openai'})!`, "sk-confidential!"],
    [`getIterateSecret({ secretKey :  "openai" })`, "sk-confidential"],
    [`a=${encodeURIComponent(`getIterateSecret({secretKey: "second.KEY-1"})`)};b=c`, "a=a%2Bb%2Fc%3D;b=c"],
    [`a=${new URLSearchParams([["b", "getIterateSecret({secretKey: 'openai'})"]])}`, "a=b=sk-confidential"],
    ["{{secret:}} {{secret:a b}} {{ secret:openai }} getIterateSecret(openai)", "as it is"],
  ])("%s", async (value, expected) => {
    expect((await world.ask(origin, { headers: { "x-key": value } })).status).toBe(200);
    expect(heard[0]?.["x-key"]).toBe(expected === "as it is" ? value : expected);
  });

  test("in any header, and nowhere else", async () => {
    const headers = { cookie: "key={{secret:openai}}", "x-a": "{{secret:openai}}", "content-length": "19" };
    const answer = await world.ask(`${origin}/{{secret:openai}}`, {
      method: "POST",
      headers,
      body: "{{secret:openai}}  ",
    });
    expect(answer.status).toBe(200);
    expect(heard[0]).toMatchObject({ cookie: "key=sk-confidential", "x-a": "sk-confidential" });
  });

  test("and what was filled in is not looked at again", async () => {
    await world.secrets.set("demo", { name: "nested", value: "{{secret:openai}}", hosts: [origin] });
    await world.ask(origin, { headers: { "x-key": "{{secret:nested}}" } });
    expect(heard[0]?.["x-key"]).toBe("{{secret:openai}}");
  });
});

describe("a value does not go", () => {
  async function checkRefused(url: string, value: string, message: RegExp): Promise<void> {
    const answer = await world.ask(url, { headers: { "x-millrace-call": "c9", authorization: value } });
    expect(answer).toMatchObject({ status: 403, headers: { "x-millrace-egress": "secret" } });
    expect(JSON.parse(answer.body).error).toEqual({ code: "egress_secret", message: expect.stringMatching(message) });
    expect(world.refusals).toEqual([{ call: "c9", message: expect.stringMatching(message) }]);
    expect(answer.body + world.refusals[0]?.message).not.toContain("confidential");
    expect(heard).toEqual([]);
  }

  test("to another host", () =>
    checkRefused(elsewhere, "Bearer {{secret:openai}}", /The secret "openai" may be sent to .*, and not to /));

  test("where it is not known", () =>
    checkRefused(origin, "Bearer {{secret:none}}", /There is no secret "none" in project demo\. Set it with: /));

  test("in the spelling of the talk", () =>
    checkRefused(origin, `Bearer getIterateSecret({secretKey: "none"})`, /There is no secret "none"/));

  test("out of another project", () => checkRefused(origin, "{{secret:theirs}}", /There is no secret "theirs"/));

  test("where a redirect leads, though it went to the first hop", async () => {
    const headers = { authorization: "Bearer {{secret:openai}}" };
    const first = await world.ask(`${origin}/away`, { headers });
    expect([first.status, first.headers.location]).toEqual([307, `${elsewhere}/landed`]);
    expect(heard[0]?.authorization).toBe("Bearer sk-confidential");
    // As workerd does: the next hop is a request of its own, with the headers of the first.
    const second = await world.ask(String(first.headers.location), { headers });
    expect([second.status, second.headers["x-millrace-egress"], heard.length]).toEqual([403, "secret", 1]);
  });
});

describe("the header of a configuration", () => {
  const headers = { "x-millrace-isolate": "isolate-1" };

  test("is given to all requests of its isolate, and of no other", async () => {
    fixed = ["Authorization", `Bearer getIterateSecret({secretKey: "openai"})`];
    await world.ask(origin, { headers: { ...headers, authorization: "Bearer forged {{secret:none}}" } });
    await world.ask(origin, { headers: { "x-millrace-isolate": "isolate-2" } });
    await world.ask(origin);
    expect(heard.map(({ authorization }) => authorization)).toEqual(["Bearer sk-confidential", undefined, undefined]);
  });

  test("stays away from hosts that are not its secret's", async () => {
    fixed = ["x-key", "{{secret:openai}}"];
    expect((await world.ask(elsewhere, { headers })).body).toBe("elsewhere");
    expect(heard[0]).not.toHaveProperty("x-key");
    expect(world.refusals).toEqual([]);
  });

  test("without a secret goes everywhere; with one that is not there nothing goes", async () => {
    fixed = ["x-key", "plain"];
    await world.ask(elsewhere, { headers });
    expect(heard[0]).toMatchObject({ "x-key": "plain" });
    fixed = ["x-key", "{{secret:none}}"];
    expect((await world.ask(origin, { headers })).headers["x-millrace-egress"]).toBe("secret");
    expect(heard).toHaveLength(1);
  });

  test.each(["host", "transfer-encoding", "not a name", "x-a\r\nx-b"])("is not taken as %j", async (name) => {
    fixed = [name, "value"];
    const answer = await world.ask(origin, { headers });
    expect(answer).toMatchObject({ status: 403, headers: { "x-millrace-egress": "destination" } });
    expect(heard).toEqual([]);
  });
});

describe("a request to this server itself", () => {
  const forged = { "millrace-cause": "%2Fforged@1", "Millrace-Depth": "0", "millrace-processor": "forged" };

  test("says what caused it, whatever the code says", async () => {
    own.push(origin);
    await world.ask(`${origin}/me/hello`, { method: "POST", headers: { ...forged, "x-millrace-call": "c1" } });
    expect(heard[0]).toMatchObject({
      "millrace-cause": "%2Fme%2Fgr%C3%BC%C3%9Fe@7",
      "millrace-depth": "3",
      "millrace-processor": "ping%20pong",
    });
  });

  test.each<Record<string, string>>([{}, { "x-millrace-call": "c2" }])(
    "by nobody's call is refused: %j",
    async (headers) => {
      own.push(origin);
      const answer = await world.ask(origin, { headers: { ...forged, ...headers } });
      expect(answer).toMatchObject({ status: 403, headers: { "x-millrace-egress": "cause" } });
      expect(heard).toEqual([]);
    },
  );

  test("is no matter of other servers, whose causes are the code's own", async () => {
    own.push(origin);
    await world.ask(elsewhere, { headers: { ...forged, "x-millrace-call": "c1" } });
    expect(heard[0]).toMatchObject({ "millrace-cause": "%2Fforged@1", "millrace-depth": "0" });
  });
});
