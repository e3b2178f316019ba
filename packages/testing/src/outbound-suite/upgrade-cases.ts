/** A request that becomes a WebSocket is bytes both ways from there on, or an answer like any other. */
import { check, checkEqual } from "../check.ts";
import { checkFails } from "./outbound-case.ts";
import { type OpenStreams, piecesOf, type StreamCase, streamOf, textOf, upgrade } from "./stream-case.ts";

const encoder = new TextEncoder();

function opened(answer: Awaited<ReturnType<typeof upgrade>>): OpenStreams & { headers: unknown } {
  check(answer.is === "open", "expected it to be open");
  return answer as never;
}

async function echo({ readable, writable }: OpenStreams): Promise<void> {
  await readable.pipeTo(writable).catch(() => {});
}

export const upgradeCases: readonly StreamCase[] = [
  {
    name: "bytes go both ways, until one side ends",
    async run(fixture) {
      let asked: readonly (readonly [string, string])[] = [];
      const url = await fixture.serve(({ headers }) => {
        asked = headers;
        return { open: echo, headers: [["sec-websocket-protocol", "one"]] };
      });
      const { readable, writable, headers } = opened(await upgrade(fixture, url));
      check(
        asked.some(([name]) => name === "sec-websocket-key"),
        "the key arrives",
      );
      check(JSON.stringify(headers).includes('["sec-websocket-protocol","one"]'), "the protocol comes back");
      const writer = writable.getWriter();
      const next = piecesOf(readable);
      for (const text of ["one", "\u0000two", "three"]) {
        await writer.write(encoder.encode(text));
        checkEqual(await next(), text, "piece");
      }
      await writer.close();
      checkEqual(await next(), undefined, "end");
    },
  },
  {
    name: "an answer that opens nothing is an answer",
    async run(fixture) {
      const url = await fixture.serve(() => ({ status: 401, headers: [["x-why", "no key"]], body: streamOf("no") }));
      const answer = await upgrade(fixture, url);
      check(answer.is === "answered", "expected an answer");
      if (answer.is !== "answered") return;
      checkEqual([answer.status, await textOf(answer.body)], [401, "no"], "status and body");
      checkEqual(answer.headers.find(([name]) => name === "x-why")?.[1], "no key", "header");
    },
  },
  {
    name: "an abort cuts what is open",
    async run(fixture) {
      let ended: Promise<unknown> = Promise.resolve();
      const url = await fixture.serve(() => ({
        open({ readable, writable }) {
          void writable.getWriter().write(encoder.encode("here"));
          ended = textOf(readable).catch(() => {});
        },
      }));
      const abort = new AbortController();
      const { readable } = opened(await upgrade(fixture, url, { signal: abort.signal }));
      const next = piecesOf(readable);
      checkEqual(await next(), "here", "piece");
      abort.abort();
      const rest = await next().then(
        (text) => text,
        () => undefined,
      );
      checkEqual(rest, undefined, "nothing more");
      await fixture.until(ended);
    },
  },
  {
    name: "who is not there, and what was aborted before",
    async run(fixture) {
      await checkFails(upgrade(fixture, fixture.nowhere), "unreachable", "nowhere");
      await checkFails(upgrade(fixture, fixture.nowhere, { signal: AbortSignal.abort() }), "aborted", "aborted");
      const silent = await fixture.serve(() => "never");
      await checkFails(upgrade(fixture, silent, { answerMs: 100 }), "timeout", "never");
    },
  },
];
