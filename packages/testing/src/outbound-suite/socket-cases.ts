/** WebSockets: opened by the same rule as requests, messages both ways in order, and an end that each side hears of. */
import { check, checkEqual } from "../check.ts";
import type { PeerTalk } from "../socket-peer.ts";
import {
  checkFails,
  confidential,
  connect,
  type OutboundCase,
  type OutboundFixture,
  socketRequest,
} from "./outbound-case.ts";

/** What ended, once it has. */
function endOf(): { talk: Required<Pick<PeerTalk, "ended">>; ended: Promise<[number, string]> } {
  let ended: (code: number, reason: string) => void = () => {};
  const promise = new Promise<[number, string]>((resolve) => {
    ended = (code, reason) => resolve([code, reason]);
  });
  return { talk: { ended }, ended: promise };
}

/** Resolves with as many messages as were asked for. */
function collector(count: number) {
  const heard: string[] = [];
  let resolve = (_: string[]) => {};
  const all = new Promise<string[]>((done) => {
    resolve = done;
  });
  return {
    heard,
    all,
    hear(text: string) {
      heard.push(text);
      if (heard.length === count) resolve(heard);
    },
  };
}

const silent = () => ({});

async function checkNotOpened(fixture: OutboundFixture, url: string, reason: string, what: string): Promise<void> {
  await checkFails(connect(fixture, url), reason, what);
}

export const socketCases: readonly OutboundCase[] = [
  {
    name: "a WebSocket: the request that is upgraded is what was asked for",
    async run(fixture) {
      const { url, requests } = await fixture.accept(silent);
      await connect(fixture, `${url}?a=1`, { headers: { "X-Mixed-Case": "Value: with, signs;=é" } });
      checkEqual(requests.length, 1, "requests");
      checkEqual(requests[0]?.url, `${url}?a=1`, "URL");
      checkEqual(requests[0]?.headers["x-mixed-case"], "Value: with, signs;=é", "a header");
    },
  },
  {
    name: "a WebSocket: messages arrive as they were, in order, both ways at once",
    async run(fixture) {
      const texts = [
        "",
        "Grüße, 世界 👋",
        "x".repeat(60_000),
        ...Array.from({ length: 200 }, (_, i) => `message ${i}`),
      ];
      const there = collector(texts.length);
      const here = collector(texts.length);
      const { url } = await fixture.accept(() => ({
        hear: there.hear,
        opened(socket) {
          for (const text of texts) socket.send(text);
        },
      }));
      const socket = await connect(fixture, url, { onMessage: here.hear });
      await fixture.until(Promise.all(texts.map((text) => socket.send(text))));
      checkEqual(await fixture.until(there.all), texts, "what went there");
      checkEqual(await fixture.until(here.all), texts, "what came back");
    },
  },
  {
    name: "a WebSocket: the other side ends it behind its last message, and nothing is sent any more",
    async run(fixture) {
      const { heard, hear } = collector(1);
      const { url } = await fixture.accept(() => ({
        hear(_, socket) {
          socket.send("last");
          socket.close(4321, "go away");
        },
      }));
      const socket = await connect(fixture, url, { onMessage: hear });
      await fixture.until(socket.send("first"));
      checkEqual(await fixture.until(socket.closed), { code: 4321, reason: "go away" }, "end");
      checkEqual(heard, ["last"], "messages");
      await checkFails(fixture.until(socket.send("late")), "unreachable", "behind the end");
      socket.close(1000, "late");
    },
  },
  {
    name: "a WebSocket: the other side hears how it was ended, behind all that was sent",
    async run(fixture) {
      for (const [code, reason] of [
        [1000, "idle"],
        [4009, "an event was not taken"],
      ] as const) {
        const { talk, ended } = endOf();
        const { heard, hear } = collector(2);
        const { url } = await fixture.accept(() => ({ ...talk, hear }));
        const socket = await connect(fixture, url);
        await fixture.until(Promise.all([socket.send("1"), socket.send("2")]));
        socket.close(code, reason);
        socket.close(4000, "again");
        checkEqual(await fixture.until(ended), [code, reason], "what the other side heard");
        checkEqual(await fixture.until(socket.closed), { code, reason }, "what this side heard");
        checkEqual(heard, ["1", "2"], "messages");
      }
    },
  },
  {
    name: "a WebSocket: one that is cut has ended with 1006",
    async run(fixture) {
      const { url } = await fixture.accept(() => ({ hear: (_, socket) => socket.cut() }));
      const socket = await connect(fixture, url);
      await fixture.until(socket.send("cut it"));
      checkEqual(await fixture.until(socket.closed), { code: 1006, reason: "" }, "end");
    },
  },
  {
    name: "a WebSocket: too long a message ends it, and is not handed over",
    async run(fixture) {
      const { talk, ended } = endOf();
      const { heard, hear } = collector(1);
      const { url } = await fixture.accept(() => ({
        ...talk,
        opened(socket) {
          socket.send("x".repeat(1_000));
          socket.send("é".repeat(501));
          socket.send("behind it");
        },
      }));
      const socket = await connect(fixture, url, { onMessage: hear, messageBytesMax: 1_000 });
      const { code } = await fixture.until(socket.closed);
      check(code === 1006 || code === 1009, `it ended with ${code}`);
      checkEqual(
        heard.map(({ length }) => length),
        [1_000],
        "messages",
      );
      await fixture.until(ended);
    },
  },
  {
    name: "a WebSocket: where it is not upgraded it is unreachable, and is asked for once",
    async run(fixture) {
      for (const status of [200, 307, 401, 404, 407, 421, 429, 503]) {
        const { url, requests } = await fixture.accept(() => ({ status }));
        await checkNotOpened(fixture, url, "unreachable", `status ${status}`);
        checkEqual(requests.length, 1, `requests that were answered ${status}`);
      }
      const { url, requests } = await fixture.accept(() => "closes");
      await checkNotOpened(fixture, url, "unreachable", "closed");
      checkEqual(requests.length, 1, "requests");
      await checkNotOpened(fixture, fixture.nowhere, "unreachable", "nowhere");
    },
  },
  {
    name: "a WebSocket: who never answers is a timeout; once it is open there is none",
    async run(fixture) {
      const { url } = await fixture.accept(() => "never");
      await checkFails(connect(fixture, url, { timeoutMs: 150 }), "timeout", "never");
      const echoing = await fixture.accept(() => ({ hear: (text, socket) => socket.send(text) }));
      const { all, hear } = collector(1);
      const socket = await connect(fixture, echoing.url, { timeoutMs: 150, onMessage: hear });
      await fixture.until(fixture.outbound.connect(socketRequest(url, { timeoutMs: 300 })).catch(() => {}));
      await fixture.until(socket.send("still here"));
      checkEqual(await fixture.until(all), ["still here"], "messages");
    },
  },
  {
    name: "a WebSocket: aborted while it is being opened it is not; afterwards the signal means nothing",
    async run(fixture) {
      const abort = new AbortController();
      const { url } = await fixture.accept(() => {
        abort.abort();
        return "never";
      });
      await checkFails(connect(fixture, url, { signal: abort.signal }), "aborted", "under way");
      await checkFails(connect(fixture, url, { signal: AbortSignal.abort() }), "aborted", "before");
      const echoing = await fixture.accept(() => ({ hear: (text, socket) => socket.send(text) }));
      const late = new AbortController();
      const { all, hear } = collector(1);
      const socket = await connect(fixture, echoing.url, { signal: late.signal, onMessage: hear });
      late.abort();
      await fixture.until(socket.send("still here"));
      checkEqual(await fixture.until(all), ["still here"], "messages");
    },
  },
  {
    name: "a WebSocket: by the same rule as a request: what is forbidden, no URL or no header is refused",
    async run(fixture) {
      const { url, requests } = await fixture.accept(silent);
      for (const bad of ["", "example.com", "ftp://example.com/", `http://name:${confidential}@example.com/`]) {
        await checkNotOpened(fixture, bad, "refused", `"${bad.replace(confidential, "")}"`);
      }
      const headers = { "x-a": `${confidential}\r\nx-b: c` };
      await checkFails(connect(fixture, url, { headers }), "refused", "a header with a line break");
      const forbidding = fixture.forbidding(url);
      await checkFails(fixture.until(forbidding.connect(socketRequest(url))), "refused", "forbidden");
      checkEqual(requests, [], "requests");
    },
  },
  {
    name: "a WebSocket: closing the way out cuts what is open and what is being opened, and opens none",
    async run(fixture) {
      const { talk, ended } = endOf();
      const { url } = await fixture.accept(() => talk);
      const hanging = await fixture.accept(() => "never");
      const socket = await connect(fixture, url);
      const opening = checkFails(fixture.outbound.connect(socketRequest(hanging.url)), "aborted", "under way");
      await fixture.outbound.close();
      await opening;
      checkEqual((await fixture.until(socket.closed)).code, 1006, "code here");
      checkEqual((await fixture.until(ended))[0], 1006, "code there");
      await checkNotOpened(fixture, url, "aborted", "afterwards");
    },
  },
];
