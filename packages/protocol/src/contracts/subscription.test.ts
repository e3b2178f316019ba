import { describe, expect, test } from "vitest";
import { builtinPrefix } from "../contract.ts";
import { expressionCharactersMax } from "../limits.ts";
import { parseEventInput } from "../parse-event.ts";

const webhook = { slug: "s", type: "webhook", callbackUrl: "https://example.com/hook" };
const websocket = { slug: "s", type: "websocket", callbackUrl: "wss://example.com/socket" };
const stream = { slug: "s", type: "stream", path: "/team/inbox" };

function judge(name: string, payload: unknown): string {
  const options = { jsonDepth: 64, fromServer: true };
  const parsed = parseEventInput({ type: builtinPrefix + name, payload }, options);
  return parsed.ok ? "accepted" : parsed.error;
}

test("half a character is no part of a slug: it could stand in no header and no key", () => {
  const fault = "payload.slug: expected whole characters, got half of a surrogate pair";
  expect(judge("subscription/configured", { ...webhook, slug: "a\ud800" })).toContain(fault);
  expect(judge("jsonata-transformer-removed", { slug: "\udc00" })).toContain(fault);
  expect(judge("subscription/configured", { ...webhook, slug: "\ud83d\ude00" })).toBe("accepted");
});

describe("subscription/configured", () => {
  test.each([
    [webhook],
    [{ ...webhook, callbackUrl: "http://localhost:4000/?a=b" }],
    [websocket],
    [{ ...websocket, callbackUrl: "ws://127.0.0.1:9" }],
    [{ ...websocket, callbackUrl: "https://example.com" }],
    [{ ...websocket, callbackUrl: "http://example.com" }],
    [stream],
    [{ ...stream, path: "team%2Finbox/" }],
    [{ ...stream, path: "/" }],
    [{ ...webhook, jsonataFilter: "type = 'a'", jsonataTransform: "{ 'text': payload.text }" }],
    [{ ...webhook, headers: {} }],
    [{ ...webhook, headers: { "x-api-key": "literal", Authorization: "Bearer {{secret:KEY}}" } }],
    [{ ...webhook, headers: { authorization: "{{secret:my.key-1}}" } }],
    [{ ...webhook, signingSecret: "{{secret:SIGNING}}" }],
    [{ ...webhook, timeoutSeconds: 15 }],
    [{ ...webhook, timeoutSeconds: 0.5 }],
    [{ ...webhook, startFrom: "start" }],
    [{ ...webhook, startFrom: "end" }],
    [{ ...webhook, startFrom: 0 }],
    [{ ...webhook, startFrom: 42 }],
  ])("%j is accepted", (payload) => {
    expect(judge("subscription/configured", payload)).toBe("accepted");
  });

  test.each([
    [{}, "payload.slug: is missing"],
    [
      { ...webhook, type: "carrier-pigeon" },
      'payload.type: expected one of "webhook", "websocket", "stream", got a str',
    ],
    [{ slug: "s", callbackUrl: "https://example.com" }, 'payload.type: is missing; expected one of "webhook"'],
    [{ slug: "s", type: "webhook" }, "payload.callbackUrl: is missing; expected a URL"],
    [{ slug: "s", type: "websocket" }, "payload.callbackUrl: is missing; expected a URL"],
    [{ slug: "s", type: "stream" }, "payload.path: is missing; expected the path of a stream"],
    [
      { ...webhook, callbackUrl: "example.com" },
      "payload.callbackUrl: expected a URL that begins with http:// or https",
    ],
    [{ ...webhook, callbackUrl: "" }, "payload.callbackUrl: expected a URL that begins with http:// or https://"],
    [
      { ...webhook, callbackUrl: "ws://example.com" },
      "payload.callbackUrl: expected a URL that begins with http:// or",
    ],
    [{ ...webhook, callbackUrl: "file:///etc/passwd" }, "payload.callbackUrl: expected a URL that begins with http://"],
    [
      { ...webhook, callbackUrl: "https://me:pass@example.com" },
      "payload.callbackUrl: expected a URL without user name",
    ],
    [{ ...webhook, callbackUrl: 1 }, "payload.callbackUrl: expected a string, got a number"],
    [
      { ...websocket, callbackUrl: "ftp://example.com" },
      "payload.callbackUrl: expected a URL that begins with ws:// or",
    ],
    [{ ...webhook, path: "/a" }, "payload.path: a subscription of type webhook has a callbackUrl instead"],
    [{ ...websocket, path: "/a" }, "payload.path: a subscription of type websocket has a callbackUrl instead"],
    [
      { ...stream, callbackUrl: "https://example.com" },
      "payload.callbackUrl: a subscription of type stream has a path",
    ],
    [{ ...stream, path: "/a b" }, 'payload.path: Stream path "/a b" has the character " "'],
    [{ ...stream, path: "../a" }, 'payload.path: Stream path "../a" has the segment ".."'],
    [{ ...stream, path: 7 }, "payload.path: expected a string, got a number"],
    [
      { ...webhook, jsonataFilter: "type =" },
      "payload.jsonataFilter: expected JSONata that compiles: Unexpected end of",
    ],
    [{ ...webhook, jsonataTransform: "" }, "payload.jsonataTransform: expected JSONata that compiles: Unexpected end"],
    [{ ...webhook, jsonataTransform: null }, "payload.jsonataTransform: expected a string, got null"],
    [{ ...webhook, headers: [] }, "payload.headers: expected an object, got an array"],
    [{ ...webhook, headers: { a: 1 } }, "payload.headers.a: expected a string, got a number"],
    [{ ...webhook, headers: { Host: "other" } }, "payload.headers.Host: the server sets this header itself"],
    [
      { ...webhook, headers: { "Webhook-Signature": "v1,x" } },
      "payload.headers.Webhook-Signature: the server sets this header itself",
    ],
    [
      { ...webhook, callbackUrl: "https://example.com/?key={{secret:KEY}}" },
      "payload.callbackUrl: a secret can stand in headers only",
    ],
    [{ ...webhook, headers: { "a b": "c" } }, 'payload.headers["a b"]: expected the name of an HTTP header'],
    [{ ...webhook, headers: { a: "b\r\nc: d" } }, "payload.headers.a: expected a header's value, without line breaks"],
    [
      { ...webhook, headers: { authorization: "Bearer abc" } },
      "payload.headers.authorization: expected a secret, such",
    ],
    [
      { ...webhook, headers: { AUTHORIZATION: "Bearer abc" } },
      "payload.headers.AUTHORIZATION: expected a secret, such",
    ],
    [{ ...webhook, headers: { Authorization: "{{secret:}}" } }, "payload.headers.Authorization: a reference to a"],
    [{ ...webhook, headers: { a: "{{secret:A B}}" } }, "payload.headers.a: a reference to a secret is {{secret:NAME}}"],
    [{ ...webhook, headers: { a: "{{secret:A}} {{ secret:B }}" } }, "payload.headers.a: a reference to a secret is"],
    [{ ...webhook, headers: { a: "{{Secret:A}}" } }, "payload.headers.a: a reference to a secret is {{secret:NAME}}"],
    [{ ...webhook, headers: JSON.parse('{"__proto__":"a"}') }, "payload.headers: __proto__ cannot be a key here"],
    [{ ...webhook, signingSecret: "whsec_abc" }, "payload.signingSecret: expected {{secret:NAME}}; store the secret"],
    [{ ...webhook, signingSecret: "x {{secret:A}}" }, "payload.signingSecret: expected {{secret:NAME}}"],
    [{ ...webhook, timeoutSeconds: 0 }, "payload.timeoutSeconds: expected a number above 0"],
    [{ ...webhook, timeoutSeconds: 15.1 }, "payload.timeoutSeconds: expected at most 15 seconds"],
    [{ ...webhook, timeoutSeconds: "5" }, "payload.timeoutSeconds: expected a number, got a string"],
    [
      { ...webhook, startFrom: "head" },
      'payload.startFrom: expected "start", "end" or the offset after which to begin',
    ],
    [{ ...webhook, startFrom: -1 }, 'payload.startFrom: expected "start", "end" or the offset'],
    [{ ...webhook, startFrom: 1.5 }, 'payload.startFrom: expected "start", "end" or the offset'],
    [{ ...webhook, startFrom: null }, 'payload.startFrom: expected "start", "end" or the offset'],
    [
      { ...webhook, url: "https://example.com" },
      "payload.url: unknown key; subscription/configured has slug, type, call",
    ],
    [JSON.parse('{"slug":"s","type":"stream","path":"/a","__proto__":{}}'), "payload.__proto__: unknown key"],
  ])("%j is refused: %s", (payload, error) => {
    expect(judge("subscription/configured", payload)).toContain(error);
    expect(judge("subscription/configured", payload)).toMatch(/^.{1,330}$/);
  });
});

describe("JSONata", () => {
  test.each([
    ["$contains(type, 'a') and payload.b[0] > 1", "accepted"],
    ["  payload  ", "accepted"],
    [" ", "expected JSONata that compiles: Unexpected end of expression"],
    ["$x(", 'expected JSONata that compiles: Expected ")" before end of expression (at character 3)'],
    ["/[/", "expected JSONata that compiles: No terminating /"],
    ["/(/", "expected JSONata that compiles"],
    ["a b\nc", "expected JSONata that compiles: Syntax error"],
    ["(".repeat(60_000), "expected JSONata that compiles: it is nested too deeply"],
    ["a".repeat(expressionCharactersMax), "accepted"],
    ["a".repeat(expressionCharactersMax + 1), "expected JSONata of at most 65536 characters, got 65537"],
  ])("%# is judged by compiling it", (matcher, outcome) => {
    const payload = { slug: "s", matcher, transform: "$" };
    expect(judge("jsonata-transformer-configured", payload)).toContain(outcome);
    expect(judge("jsonata-transformer-configured", payload)).toMatch(/^.{1,330}$/);
  });
});
