/** What is sent comes as it was, and the answer is handed on as it is. */
import { check, checkEqual } from "../check.ts";
import { type OutboundCase, send } from "./outbound-case.ts";

const ok = () => ({ status: 200 });

export const answerCases: readonly OutboundCase[] = [
  {
    name: "what is sent arrives as it was",
    async run(fixture) {
      const { url, received } = await fixture.listen(ok);
      const body = JSON.stringify({ text: "Grüße, 世界 👋", lines: "a\r\nb\u0000" });
      const headers = { "Content-Type": "application/json", "X-Mixed-Case": "Value: with, signs;=é", "x-empty": "" };
      await send(fixture, `${url}?a=1&b=%20`, { body, headers });
      checkEqual(received.length, 1, "requests");
      checkEqual(received[0]?.url, `${url}?a=1&b=%20`, "URL");
      checkEqual(received[0]?.body, body, "body");
      checkEqual(received[0]?.headers["content-type"], "application/json", "content type");
      checkEqual(received[0]?.headers["x-mixed-case"], "Value: with, signs;=é", "a header");
      checkEqual(received[0]?.headers["x-empty"], "", "an empty header");
    },
  },
  {
    name: "no body, and a long one",
    async run(fixture) {
      const { url, received } = await fixture.listen(ok);
      await send(fixture, url, { body: "" });
      await send(fixture, url, { body: "0123456789abcdef".repeat(65_536) });
      checkEqual(
        received.map(({ body }) => body.length),
        [0, 1_048_576],
        "lengths",
      );
    },
  },
  {
    name: "the answer comes as it was, with names of headers in lower case",
    async run(fixture) {
      const body = "Grüße, 世界 👋";
      const { url } = await fixture.listen(() => ({ status: 202, headers: { "Retry-After": "7" }, body }));
      const response = await send(fixture, url);
      checkEqual([response.status, response.body], [202, body], "status and body");
      checkEqual(response.headers["retry-after"], "7", "a header");
    },
  },
  {
    name: "every status is an answer, and nothing is sent twice",
    async run(fixture) {
      for (const status of [200, 204, 304, 400, 401, 404, 410, 429, 500, 503]) {
        const { url, received } = await fixture.listen(() => ({ status }));
        const response = await send(fixture, url);
        checkEqual([response.status, response.body, received.length], [status, "", 1], `status ${status}`);
      }
    },
  },
  {
    name: "no redirect is followed",
    async run(fixture) {
      const target = await fixture.listen(ok);
      for (const status of [301, 302, 303, 307, 308]) {
        const { url } = await fixture.listen(() => ({ status, headers: { location: target.url } }));
        const response = await send(fixture, url);
        checkEqual([response.status, response.headers.location], [status, target.url], `status ${status}`);
      }
      checkEqual(target.received, [], "what came to where it was redirected to");
    },
  },
  {
    name: "of a long body as much is read as was asked for, and the answer counts",
    async run(fixture) {
      const { url } = await fixture.listen(() => ({ status: 200, body: "x".repeat(300_000) }));
      const response = await send(fixture, url, { responseBytesMax: 1_000 });
      checkEqual([response.status, response.body], [200, "x".repeat(1_000)], "status and body");
      checkEqual((await send(fixture, url, { responseBytesMax: 0 })).body, "", "nothing of it");
      checkEqual((await send(fixture, url, { responseBytesMax: 300_000 })).body.length, 300_000, "all of it");
    },
  },
  {
    name: "a body is never cut within a character",
    async run(fixture) {
      const { url } = await fixture.listen(() => ({ status: 200, body: "€€€" }));
      for (const [responseBytesMax, body] of [
        [9, "€€€"],
        [8, "€€"],
        [7, "€€"],
        [2, ""],
      ] as const) {
        checkEqual((await send(fixture, url, { responseBytesMax })).body, body, `${responseBytesMax} bytes`);
      }
    },
  },
  {
    name: "many at once, each with its own answer",
    async run(fixture) {
      const { url, received } = await fixture.listen(({ body }) => ({ status: 200, body: `got ${body}` }));
      const bodies = Array.from({ length: 60 }, (_, i) => `request ${i}`);
      const responses = await Promise.all(bodies.map((body) => send(fixture, url, { body })));
      checkEqual(
        responses.map(({ body }) => body),
        bodies.map((body) => `got ${body}`),
        "answers",
      );
      checkEqual(received.length, bodies.length, "requests");
    },
  },
  {
    name: "one after the other, each with its own answer",
    async run(fixture) {
      const { url, received } = await fixture.listen(({ body }) => ({ status: 200, body: `got ${body}` }));
      for (let i = 0; i < 20; i++) checkEqual((await send(fixture, url, { body: `${i}` })).body, `got ${i}`, "answer");
      check(received.length === 20, "each came once");
    },
  },
];
