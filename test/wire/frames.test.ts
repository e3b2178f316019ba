/** Server-sent events: what happens on the left, every byte that is sent for it on the right. */
import { readFileSync } from "node:fs";
import type { ReadItem, SubtreeItem } from "@millrace/engine";
import { describe, expect, onTestFinished, test } from "vitest";
import { createWorld, type World } from "./world.ts";

const at = "2026-01-01T00:00:00.000Z";
const opening = ":\nretry: 1000\n\n";
const type = "https://events.iterate.com/events/stream/initialized";
const birth = `"type":"${type}","payload":{"projectSlug":"public","path":"/","streamId":"ID"},"createdAt":"${at}"}`;

interface Row {
  says: string;
  query: string;
  /** What is there before; by default two events in one batch at the root, which has no ancestors to hear of it. */
  arrange?: (world: World) => Promise<void>;
  /** What happens when everything before was sent. */
  act?: (world: World) => Promise<unknown>;
  /** Behind the opening. */
  before?: string;
  frames: string;
  /** How PROTOCOL.md says it in its table of frames. */
  stated?: string;
}

const twoEvents = (world: World) => world.append("/", [{ type: "a", payload: "ü\n\u2028" }, { type: "b" }]);
const noise = (world: World) => world.append("/", Array(999).fill({ type: "noise" }));
const empty = async () => {};
const quietFor15s = async ({ clock }: World) => {
  for (let second = 0; second < 15; second++) {
    clock.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
};
const remove = (world: World) => world.send("/api/streams/", { method: "DELETE" });

const first = `id: 1\nevent: message\ndata: {"streamPath":"/","offset":1,${birth}\n\n`;
const a = `{"streamPath":"/","offset":2,"type":"a","payload":"ü\\n\u2028","createdAt":"${at}"}`;
const b = `{"streamPath":"/","offset":3, "type":"b","payload":{},"createdAt":"${at}"}`;
const second = `id: 2\nevent: message\ndata: ${a}\n\n`;
const third = `id: 3\nevent: message\ndata: ${b}\n\n`;

/** By what a reader of a stream can be given: a kind without a row does not compile. */
const ofStream: Record<ReadItem["kind"], Row[]> = {
  events: [
    { says: "the history; a space continues a batch", query: "", frames: first + second + third },
    { says: "newest first", query: "order=desc&limit=2", frames: third + second },
    { says: "those of a type", query: "type=b", frames: third },
    { says: "nothing, and nothing is there", query: "", arrange: empty, frames: "" },
    {
      says: "everything that an event can have, in this order",
      query: "afterOffset=3",
      async arrange(world) {
        await twoEvents(world);
        await world.send("/", {
          method: "POST",
          body: '{"idempotencyKey":"k","metadata":{"m":1},"payload":[],"type":"c"}',
          headers: { "millrace-cause": "%2Fme@7", "millrace-depth": "2", "millrace-processor": "p" },
        });
      },
      frames: `id: 4\nevent: message\ndata: {"streamPath":"/","offset":4,"type":"c","payload":[],"metadata":{"m":1},"idempotencyKey":"k","createdAt":"${at}","source":{"kind":"remote","depth":3,"slug":"p","cause":{"streamPath":"/me","offset":7}}}\n\n`,
    },
    {
      says: "live, what is new",
      query: "live=true&afterOffset=3",
      act: (world) => world.append("/", { type: "c" }),
      frames: `id: 4\nevent: message\ndata: {"streamPath":"/","offset":4,"type":"c","payload":{},"createdAt":"${at}"}\n\n`,
    },
  ],
  scanned: [
    {
      says: "1,000 events that do not match",
      query: "type=none",
      arrange: noise,
      frames: "id: 1000\n\n",
      stated: "`id: <offset>` and an empty line",
    },
  ],
  "caught-up": [
    {
      says: "where history ends",
      query: "live=true&markers=true&afterOffset=2",
      frames: `${third}id: 3\nevent: caught-up\ndata: {"offset":3}\n\n`,
    },
    {
      says: "at the end",
      query: "live=true&markers=true&afterOffset=end",
      frames: 'id: 3\nevent: caught-up\ndata: {"offset":3}\n\n',
      stated: '`id: <offset>`, `event: caught-up`, `data: {"offset":<offset>}`',
    },
    {
      says: "of what is not there",
      query: "live=true&markers=true",
      arrange: empty,
      frames: 'id: 0\nevent: caught-up\ndata: {"offset":0}\n\n',
    },
    {
      says: "not without being asked",
      query: "live=true&afterOffset=2",
      before: third,
      act: (world) => world.append("/", { type: "c" }),
      frames: `id: 4\nevent: message\ndata: {"streamPath":"/","offset":4,"type":"c","payload":{},"createdAt":"${at}"}\n\n`,
    },
  ],
  idle: [
    {
      says: "a sign of life",
      query: "live=true&afterOffset=end",
      act: quietFor15s,
      frames: ":\n\n",
      stated: "`:` and an empty line",
    },
    {
      says: "a sign of life of a read with a type",
      query: "live=true&afterOffset=end&type=none",
      act: quietFor15s,
      frames: ":\nid: 3\n\n",
      stated: "`:`, `id: <offset>` and an empty line",
    },
  ],
  deleted: [
    {
      says: "the end",
      query: "live=true&afterOffset=end",
      act: remove,
      frames: 'event: deleted\ndata: {"streamPath":"/","head":3}\n\n',
      stated: '`event: deleted`, `data: {"streamPath":"<path>","head":<head>}`',
    },
  ],
};

/** A subtree's ids are places in the log: commit 1 has three events, so its last needs no count. */
const inSubtree = [
  `id: 1-1\nevent: message\ndata: {"streamPath":"/","offset":1,${birth}\n\n`,
  `id: 1-2\nevent: message\ndata: ${a}\n\n`,
  `id: 1\nevent: message\ndata: ${b}\n\n`,
].join("");

const ofSubtree: Record<SubtreeItem["kind"], Row[]> = {
  events: [
    { says: "the history", query: "", frames: inSubtree },
    { says: "from inside of a commit", query: "after=1-2", frames: `id: 1\nevent: message\ndata: ${b}\n\n` },
    {
      says: "live, a stream that is born later; the news of that does not match",
      query: "live=true&type=c&after=1",
      act: (world) => world.append("/me", { type: "c" }),
      frames: `id: 2\nevent: message\ndata: {"streamPath":"/me","offset":2,"type":"c","payload":{},"createdAt":"${at}"}\n\nid: 3\n\n`,
    },
  ],
  scanned: [{ says: "what does not match", query: "type=none", frames: "id: 1\n\n" }],
  "caught-up": [
    {
      says: "where history ends",
      query: "live=true&markers=true",
      frames: `${inSubtree}id: 1\nevent: caught-up\ndata: {"after":"1"}\n\n`,
    },
    {
      says: "of what is not there",
      query: "live=true&markers=true",
      arrange: empty,
      frames: 'id: 0\nevent: caught-up\ndata: {"after":"0"}\n\n',
    },
  ],
  idle: [
    { says: "a sign of life", query: "live=true&after=1", act: quietFor15s, frames: ":\n\n" },
    {
      says: "a sign of life of a read with a type",
      query: "live=true&after=1&type=none",
      act: quietFor15s,
      frames: ":\nid: 1\n\n",
    },
  ],
};

let ran = 0;

describe.each([
  ["a stream", "/?", ofStream],
  ["a subtree", "/?includeChildren=true&", ofSubtree],
] as const)("frames of %s", (_, target, table) => {
  describe.each(Object.entries(table) as [string, Row[]][])("%s", (_, rows) => {
    test.each(rows)("$says", async ({ query, arrange = twoEvents, act, before = "", frames }) => {
      const world = createWorld();
      onTestFinished(() => world.engine.close());
      await arrange(world);
      const response = await world.send(target + query);
      expect(response.headers.get("content-type")).toBe("text/event-stream");
      const reader = readerOf(response);
      const begins = opening + before;
      if (act !== undefined) {
        expect(await reader.text(begins.length)).toBe(begins);
        await Promise.all([reader.text(begins.length + frames.length), act(world)]);
      }
      const ends = !query.includes("live") || frames.includes("event: deleted");
      const text = await reader.text(ends ? Number.POSITIVE_INFINITY : begins.length + frames.length);
      expect(text).toBe(begins + frames);
      await reader.leave();
      ran++;
    });
  });
});

/** Gives everything so far, as soon as it is at least so long or the server has ended it. */
function readerOf(response: Response) {
  const chunks = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = "";
  let ended = false;
  return {
    async text(length: number): Promise<string> {
      while (!ended && withoutId(text).length < length) {
        const { done, value } = await chunks.read();
        ended = done;
        if (value !== undefined) text += decoder.decode(value, { stream: true });
      }
      return withoutId(text);
    },
    leave: () => chunks.cancel(),
  };
}

const withoutId = (text: string): string => text.replace(/"streamId":"[a-z0-9]{20}"/g, '"streamId":"ID"');

describe("PROTOCOL.md", () => {
  const protocol = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
  const section = protocol.slice(protocol.indexOf("### Server-sent events"), protocol.indexOf("### Subtrees"));
  const cells = [...section.matchAll(/^\| (`.*?) \| [^|]* \|$/gm)].map(([, cell]) => cell as string);
  const stated = Object.values(ofStream)
    .flat()
    .flatMap(({ stated, frames }): [string, string][] => (stated === undefined ? [] : [[stated, frames]]));

  test("states each frame of its table, and no others", () => {
    expect(cells).toHaveLength(5);
    expect([...cells].sort()).toEqual(stated.map(([cell]) => cell).sort());
  });

  test.each(stated)("%s is %j", (cell, frames) => {
    const head = /"head":(\d+)/.exec(frames)?.[1] ?? "";
    const offset = /id: (\d+)/.exec(frames)?.[1] ?? "";
    const spans = [...cell.matchAll(/`([^`]+)`/g)].map(([, span]) => span as string);
    const text = spans.join("\n").replaceAll("<offset>", offset).replaceAll("<head>", head).replaceAll("<path>", "/");
    expect(`${text}\n\n`).toBe(frames);
  });

  test("states the opening", () => {
    expect(section).toContain(`\n${opening}id: `);
  });
});

test("every row ran", () => {
  const rows = [...Object.values(ofStream), ...Object.values(ofSubtree)].flat();
  expect(ran).toBe(rows.length);
});
