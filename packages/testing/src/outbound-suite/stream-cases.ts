/** Requests are streamed both ways as they are, and who goes away takes the other side along. */
import { check, checkEqual } from "../check.ts";
import { checkFails, confidential } from "./outbound-case.ts";
import {
  createPieces,
  exchange,
  piecesOf,
  type StreamCase,
  type StreamReceived,
  streamOf,
  streamRequest,
  textOf,
} from "./stream-case.ts";

export const streamCases: readonly StreamCase[] = [
  {
    name: "a request arrives as it was, whatever its method",
    async run(fixture) {
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"]) {
        const received: (Omit<StreamReceived, "body"> & { text: string })[] = [];
        const url = await fixture.serve(async ({ body, ...rest }) => {
          received.push({ ...rest, text: await textOf(body) });
          return { status: 200 };
        });
        const body = method === "GET" ? {} : { body: { stream: streamOf("Grüße, 世界"), length: 15 } };
        const headers = [
          ["X-Order", "1"],
          ["x-bytes", "caf\u00e9"],
          ["x-order", "2"],
          ["accept-encoding", "br"],
        ] as const;
        const answer = await exchange(fixture, `${url}?a=1&b=%20`, { method, headers, ...body });
        checkEqual([answer.status, await textOf(answer.body)], [200, ""], "answer");
        checkEqual(received[0]?.method, method, "method");
        checkEqual(received[0]?.url, `${url}?a=1&b=%20`, "URL");
        checkEqual(received[0]?.text, method === "GET" ? "" : "Grüße, 世界", "body");
        const sent = received[0]?.headers.filter(([name]) => name.startsWith("x-") || name === "accept-encoding");
        checkEqual(
          sent,
          headers.map(([name, value]) => [name.toLowerCase(), value]),
          "headers",
        );
      }
    },
  },
  {
    name: "an answer comes as it was",
    async run(fixture) {
      for (const status of [200, 201, 301, 404, 429, 500]) {
        const headers = [
          ["Set-Cookie", "a=1"],
          ["set-cookie", "b=2"],
          ["x-bytes", "caf\u00e9"],
          ["location", "https://example.com/"],
        ] as const;
        const url = await fixture.serve(() => ({ status, headers, body: streamOf("Grüße, 世界") }));
        const answer = await exchange(fixture, url);
        checkEqual([answer.status, await textOf(answer.body)], [status, "Grüße, 世界"], "status and body");
        const names = new Set(headers.map(([name]) => name.toLowerCase()));
        checkEqual(
          answer.headers.filter(([name]) => names.has(name)),
          headers.map(([name, value]) => [name.toLowerCase(), value]),
          "headers",
        );
      }
    },
  },
  {
    name: "the head of an answer comes first, and each piece before the next",
    async run(fixture) {
      const pieces = createPieces();
      const url = await fixture.serve(() => ({ status: 200, body: pieces.stream }));
      const { body } = await exchange(fixture, url);
      const next = piecesOf(body);
      for (const text of ["one", "two", "three"]) {
        pieces.write(text);
        checkEqual(await next(), text, "piece");
      }
      pieces.end();
      checkEqual(await next(), undefined, "end");
    },
  },
  {
    name: "both ways at the same time",
    async run(fixture) {
      const url = await fixture.serve(({ body }) => ({ status: 200, body }));
      const sent = createPieces();
      sent.write("one");
      const { body } = await exchange(fixture, url, { method: "POST", body: { stream: sent.stream } });
      const next = piecesOf(body);
      checkEqual(await next(), "one", "first");
      for (const text of ["two", "three"]) {
        sent.write(text);
        checkEqual(await next(), text, "piece");
      }
      sent.end();
      checkEqual(await next(), undefined, "end");
    },
  },
  {
    name: "an abort cuts it before the answer, and within it",
    async run(fixture) {
      const pieces = createPieces();
      const abort = new AbortController();
      const silent = await fixture.serve(() => {
        abort.abort();
        return "never";
      });
      await checkFails(exchange(fixture, silent, { signal: abort.signal }), "aborted", "before");
      await checkFails(exchange(fixture, silent, { signal: AbortSignal.abort() }), "aborted", "from the start");
      const later = new AbortController();
      const url = await fixture.serve(() => ({ status: 200, body: pieces.stream }));
      const { body } = await exchange(fixture, url, { signal: later.signal });
      const next = piecesOf(body);
      pieces.write("one");
      checkEqual(await next(), "one", "piece");
      later.abort();
      await checkFails(next(), "aborted", "within");
      await fixture.until(pieces.cancelled);
    },
  },
  {
    name: "whoever does not want the rest cuts it",
    async run(fixture) {
      const pieces = createPieces();
      const url = await fixture.serve(() => ({ status: 200, body: pieces.stream }));
      const { body } = await exchange(fixture, url);
      await body.cancel();
      await fixture.until(pieces.cancelled);
    },
  },
  {
    name: "an answer that is cut fails, and is not taken for a whole one",
    async run(fixture) {
      const pieces = createPieces();
      const url = await fixture.serve(() => ({ status: 200, body: pieces.stream }));
      const { body } = await exchange(fixture, url);
      const next = piecesOf(body);
      pieces.write("one");
      checkEqual(await next(), "one", "piece");
      pieces.fail();
      await checkFails(next(), "unreachable", "cut");
    },
  },
  {
    name: "a request whose body is cut is never whole to its receiver",
    async run(fixture) {
      const sent = createPieces();
      let heard: Promise<string> = Promise.resolve("nothing");
      const url = await fixture.serve(({ body }) => {
        heard = textOf(body).then(
          () => "whole",
          () => "cut",
        );
        sent.fail();
        return "never";
      });
      sent.write("one");
      const cut = exchange(fixture, url, { method: "POST", body: { stream: sent.stream } });
      await checkFails(cut, "aborted", "body");
      checkEqual(await fixture.until(heard), "cut", "what came");
    },
  },
  {
    name: "who closes, who never answers, who is not there",
    async run(fixture) {
      const closes = await fixture.serve(() => "closes");
      await checkFails(exchange(fixture, closes), "unreachable", "closes");
      await checkFails(exchange(fixture, fixture.nowhere), "unreachable", "nowhere");
      const silent = await fixture.serve(() => "never");
      await checkFails(exchange(fixture, silent, { answerMs: 100 }), "timeout", "never");
    },
  },
  {
    name: "what may not be sent is refused, and nothing is sent",
    async run(fixture) {
      let came = 0;
      const url = await fixture.serve(() => ({ status: 200 + 0 * ++came }));
      for (const bad of ["", "/hooks", "ftp://example.com/", `http://a:${confidential}@example.com/`]) {
        await checkFails(exchange(fixture, bad), "refused", `"${bad}"`);
      }
      for (const name of ["host", "Connection", "content-length", "transfer-encoding", "x a", ""]) {
        await checkFails(exchange(fixture, url, { headers: [[name, confidential]] }), "refused", name);
      }
      for (const value of [`${confidential}\r\nx-b: c`, `${confidential}\u0000`, `${confidential} 世界`]) {
        await checkFails(exchange(fixture, url, { headers: [["x-a", value]] }), "refused", "value");
      }
      checkEqual(came, 0, "requests");
    },
  },
  {
    name: "closing cuts what is under way, and nothing is sent afterwards",
    async run(fixture) {
      const pieces = createPieces();
      const url = await fixture.serve(() => ({ status: 200, body: pieces.stream }));
      const { body } = await exchange(fixture, url);
      const next = piecesOf(body);
      pieces.write("one");
      checkEqual(await next(), "one", "piece");
      await fixture.outbound.close();
      await checkFails(next(), "aborted", "under way");
      await checkFails(fixture.outbound.exchange(streamRequest(url)), "aborted", "afterwards");
      check(true, "closed");
    },
  },
];
