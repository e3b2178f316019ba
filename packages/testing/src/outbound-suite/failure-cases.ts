/** What goes wrong is an OutboundError with a reason, in time, and a matter of that request alone. */
import { checkEqual } from "../check.ts";
import { checkFails, confidential, type OutboundCase, request, send } from "./outbound-case.ts";

const ok = () => ({ status: 200, body: "fine" });

export const failureCases: readonly OutboundCase[] = [
  {
    name: "who never answers is a timeout",
    async run(fixture) {
      const { url, received } = await fixture.listen(() => "never");
      await checkFails(send(fixture, url, { timeoutMs: 150 }), "timeout", "never");
      checkEqual(received.length, 1, "requests");
    },
  },
  {
    name: "an answer behind the deadline is a timeout, and nobody else's answer",
    async run(fixture) {
      let late = true;
      const { url, received } = await fixture.listen(() => {
        const afterMs = late ? 400 : 0;
        late = false;
        return { status: 200, body: afterMs === 0 ? "in time" : "late", afterMs };
      });
      await checkFails(send(fixture, url, { timeoutMs: 150 }), "timeout", "late");
      const { body } = await send(fixture, url);
      checkEqual([body, received.length], ["in time", 2], "the next answer");
    },
  },
  {
    name: "who closes the connection is unreachable, and is asked once",
    async run(fixture) {
      const { url, received } = await fixture.listen(() => "closes");
      await checkFails(send(fixture, url), "unreachable", "closed");
      checkEqual(received.length, 1, "requests");
    },
  },
  {
    name: "where nobody listens is unreachable",
    async run(fixture) {
      await checkFails(send(fixture, fixture.nowhere), "unreachable", "nowhere");
    },
  },
  {
    name: "a request can be aborted while it is under way",
    async run(fixture) {
      const abort = new AbortController();
      const { url, received } = await fixture.listen(() => {
        abort.abort();
        return "never";
      });
      await checkFails(send(fixture, url, { signal: abort.signal }), "aborted", "aborted");
      checkEqual(received.length, 1, "requests");
    },
  },
  {
    name: "what was aborted before is not sent",
    async run(fixture) {
      const { url, received } = await fixture.listen(ok);
      await checkFails(send(fixture, url, { signal: AbortSignal.abort() }), "aborted", "aborted before");
      await send(fixture, url);
      checkEqual(received.length, 1, "requests");
    },
  },
  {
    name: "closing cuts what is under way, and nothing is sent afterwards",
    async run(fixture) {
      let arrived = () => {};
      const arrival = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const { url, received } = await fixture.listen(() => {
        arrived();
        return "never";
      });
      const failing = checkFails(fixture.outbound.send(request(url)), "aborted", "under way");
      await fixture.until(arrival);
      await fixture.outbound.close();
      await failing;
      await checkFails(fixture.outbound.send(request(url)), "aborted", "afterwards");
      await fixture.outbound.close();
      checkEqual(received.length, 1, "requests");
    },
  },
  {
    name: "what is no URL of http or https is refused",
    async run(fixture) {
      for (const url of [
        "",
        "example.com",
        "/hooks",
        "file:///etc/passwd",
        "ftp://example.com/",
        "ws://example.com/",
      ]) {
        await checkFails(send(fixture, url), "refused", `"${url}"`);
      }
      await checkFails(send(fixture, `http://name:${confidential}@example.com/`), "refused", "with a password");
    },
  },
  {
    name: "headers that cannot be sent are refused, and nothing is sent",
    async run(fixture) {
      const { url, received } = await fixture.listen(ok);
      const headers: Record<string, string>[] = [
        { "x-a": `${confidential}\r\nx-b: c` },
        { "x-a": `${confidential}\n` },
        { "x-a": `${confidential}\u0000` },
        { "x-a": `${confidential} 世界` },
        { "x a": confidential },
        { "": confidential },
        { "x-a:": confidential },
      ];
      for (const given of headers) {
        await checkFails(send(fixture, url, { headers: given }), "refused", JSON.stringify(given));
      }
      checkEqual(received, [], "requests");
    },
  },
  {
    name: "a request that hangs holds up no other",
    async run(fixture) {
      const hanging = await fixture.listen(() => "never");
      const { url } = await fixture.listen(ok);
      const abort = new AbortController();
      const hang = checkFails(
        fixture.outbound.send(request(hanging.url, { signal: abort.signal, timeoutMs: 1e6 })),
        "aborted",
        "what hangs",
      );
      for (let i = 0; i < 5; i++) checkEqual((await send(fixture, url)).body, "fine", "another");
      abort.abort();
      await hang;
    },
  },
  {
    name: "after a failure the same receiver is reached again",
    async run(fixture) {
      let count = 0;
      const { url } = await fixture.listen(() => (++count % 2 === 1 ? "closes" : ok()));
      for (let i = 0; i < 3; i++) {
        await checkFails(send(fixture, url), "unreachable", "closed");
        checkEqual((await send(fixture, url)).body, "fine", "the next");
      }
    },
  },
];
